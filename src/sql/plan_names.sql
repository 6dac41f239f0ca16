-- Names in a schema with which the names that the program chooses could collide: other names that this program has chosen
-- (kind r relations, and types, because a table has a type of its name; s extended statistics).
-- $1 schema
SELECT 'r' AS kind, c.relname AS name
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname LIKE '%pgrecast%'
UNION ALL
SELECT 'r', t.typname
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = $1 AND t.typname LIKE '%pgrecast%' AND t.typrelid = 0
  -- the server renames an array type that is in the way
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
UNION ALL
SELECT 's', s.stxname
FROM pg_catalog.pg_statistic_ext s
JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
WHERE n.nspname = $1 AND s.stxname LIKE '%pgrecast%'
ORDER BY 1, 2;
