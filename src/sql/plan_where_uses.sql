-- What view $1 uses that is not built into the server and has code of a user's behind it: functions, operators, domains and
-- base types. Enums and other types without such code are left out.
SELECT DISTINCT pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0) AS description
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
LEFT JOIN pg_catalog.pg_type t ON d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = d.refobjid
WHERE r.ev_class = $1::pg_catalog.regclass AND d.refobjid >= 16384
  AND (d.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass)
       OR t.typtype IN ('b', 'd') AND t.typelem = 0)
ORDER BY 1;
