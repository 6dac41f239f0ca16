-- What has one of the names that a job's tables get: what it is, its name, its oid (of a table: that of pg_class), whether it is a
-- table, and the statement that drops it.
-- $1 schema; $2, $3 the names
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                      WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'index' END AS what,
       c.relname AS name, c.oid, c.relkind IN ('r', 'p') AS is_table,
       pg_catalog.format('DROP TABLE %I.%I', n.nspname, c.relname) AS remove
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname IN ($2, $3)
UNION ALL
SELECT 'type', t.typname, t.oid, false, NULL
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname IN ($2, $3) AND t.typrelid = 0
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
ORDER BY 2, 1;
