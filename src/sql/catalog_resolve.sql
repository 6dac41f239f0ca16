-- The relation that a name, as typed, means under the present search_path.
-- $1 the name, quoted and maybe qualified
SELECT c.oid, n.nspname, c.relname, c.relkind
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)::oid;
