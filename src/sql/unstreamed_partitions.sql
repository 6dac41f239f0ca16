-- Partitions of a table whose changes do not all come through a stream of the table, and why.
-- $1 oid of the table
WITH RECURSIVE part (oid) AS (
    SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = $1::pg_catalog.oid
    UNION ALL
    SELECT i.inhrelid FROM part AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
)
SELECT c.oid::pg_catalog.regclass AS name,
       CASE WHEN c.relkind = 'f' THEN 'is a foreign table'
       WHEN c.relpersistence <> 'p' THEN 'is unlogged'
       ELSE 'has a replica identity of its own' END AS what
FROM part AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
WHERE c.relkind <> 'p' AND (c.relkind <> 'r' OR c.relpersistence <> 'p' OR c.relreplident <> 'd')
ORDER BY c.oid
