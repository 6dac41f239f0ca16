-- The indexes and extended statistics of a materialized view, and those of the one that was created like it.
-- $1 oid of the view; $2 oid of the other one
SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS classid, i.oid AS objid, made.oid AS made,
       pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, i.oid, 0) AS description
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
LEFT JOIN (SELECT c.oid, c.relname
           FROM pg_catalog.pg_index y
           JOIN pg_catalog.pg_class c ON c.oid = y.indexrelid
           WHERE y.indrelid = $2::pg_catalog.oid) made ON made.relname = i.relname
WHERE x.indrelid = $1::pg_catalog.oid
UNION ALL
SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid, made.oid,
       pg_catalog.pg_describe_object('pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid, 0)
FROM pg_catalog.pg_statistic_ext s
LEFT JOIN pg_catalog.pg_statistic_ext made ON made.stxrelid = $2::pg_catalog.oid AND made.stxname = s.stxname
WHERE s.stxrelid = $1::pg_catalog.oid
ORDER BY 4;
