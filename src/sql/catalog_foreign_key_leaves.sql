-- The constraints that a foreign key of a partitioned table has on each of the partitions that hold rows.
-- $1 oid of the referenced table
WITH RECURSIVE part (top, oid, relation, name) AS (
    SELECT f.oid, f.oid, f.conrelid, f.conname
    FROM pg_catalog.pg_constraint f
    WHERE f.contype = 'f' AND f.confrelid = $1::pg_catalog.oid AND f.conparentid = 0
    UNION ALL
    SELECT p.top, c.oid, c.conrelid, c.conname
    FROM part p
    JOIN pg_catalog.pg_constraint c ON c.conparentid = p.oid AND c.confrelid = $1::pg_catalog.oid
)
SELECT p.top, pg_catalog.format('%I.%I', n.nspname, c.relname) AS relation, pg_catalog.quote_ident(p.name) AS constraint
FROM part p
JOIN pg_catalog.pg_class c ON c.oid = p.relation AND c.relkind = 'r'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE p.oid <> p.top
ORDER BY p.top, 2;
