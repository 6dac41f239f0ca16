-- Names in a schema that the plan's own names could collide with: those made by this program (kind r relations,
-- s extended statistics).
-- $1 schema
SELECT 'r', c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname LIKE '%pgrecast%'
UNION ALL
SELECT 's', s.stxname
FROM pg_catalog.pg_statistic_ext s
JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
WHERE n.nspname = $1 AND s.stxname LIKE '%pgrecast%'
ORDER BY 1, 2;
