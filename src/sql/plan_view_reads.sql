-- The columns of the clone that a view over it reads.
-- $1 schema, $2 name of the view, $3 oid of the clone
SELECT DISTINCT d.refobjsubid
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
WHERE n.nspname = $1 AND c.relname = $2
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $3::pg_catalog.oid
  AND d.refobjsubid > 0
ORDER BY 1;
