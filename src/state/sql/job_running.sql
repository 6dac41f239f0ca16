-- Whether an instance holds job $1 (advisory lock of class $2), and whether it reads requests (class $3).
SELECT coalesce(pg_catalog.bool_or(classid = $2::pg_catalog.int8::pg_catalog.oid), false) AS taken,
       coalesce(pg_catalog.bool_or(classid = $3::pg_catalog.int8::pg_catalog.oid), false) AS ready
FROM pg_catalog.pg_locks
WHERE locktype = 'advisory' AND granted AND objid = $1::pg_catalog.int8::pg_catalog.oid
  AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
