-- The partitions of a table on all levels, each after its parent, with their names and bounds.
-- $1 oid of the table
WITH RECURSIVE part (oid, parent, level) AS (
    SELECT i.inhrelid, NULL::pg_catalog.oid, 1 FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = $1::pg_catalog.oid
    UNION ALL
    SELECT i.inhrelid, i.inhparent, p.level + 1
    FROM part AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
)
SELECT c.relname AS name,
       (SELECT r.relname FROM pg_catalog.pg_class AS r WHERE r.oid = p.parent) AS parent,
       pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bounds,
       CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key
FROM part AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.oid AND c.relispartition
ORDER BY p.level, c.oid
