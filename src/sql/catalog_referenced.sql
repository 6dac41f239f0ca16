-- The table that a new foreign key is to refer to, under the present search_path; as catalog_foreign_keys.sql reads one of an existing key.
-- $1 the name, quoted and maybe qualified
SELECT c.oid,
       pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
       CASE
           WHEN c.relkind NOT IN ('r', 'p') THEN 'it is not a table'
           WHEN c.relpersistence <> 'p' THEN 'it is not a permanent table'
           WHEN NOT pg_catalog.has_table_privilege(c.oid, 'REFERENCES') THEN 'the role has not the privilege REFERENCES on it'
       END AS reason,
       CASE WHEN pg_catalog.has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
           THEN pg_catalog.format('LOCK TABLE %I.%I IN ACCESS EXCLUSIVE MODE', n.nspname, c.relname) END AS lock
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)::pg_catalog.oid;
