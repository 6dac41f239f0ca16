-- Whether an instance holds job $1 (advisory lock of class $2), whether it reads requests (class $3), and whether a process has
-- connected to become the instance of the job named $5 (class $4). recent: an instance has written the job's figures within the
-- last minute, and has not said that it ended with an error.
SELECT coalesce(pg_catalog.bool_or(l.classid = k.lock AND l.objid = k.job), false) AS taken,
       coalesce(pg_catalog.bool_or(l.classid = k.ready AND l.objid = k.job), false) AS ready,
       coalesce(pg_catalog.bool_or(l.classid = k.begins AND l.objid = k.name), false) AS begins,
       EXISTS (SELECT FROM pgrecast.progress AS p JOIN pgrecast.job AS j ON j.id = p.job_id
               WHERE p.job_id = $1 AND j.error IS NULL
                 AND p.updated_at > pg_catalog.clock_timestamp() - interval '1 minute') AS recent
FROM pg_catalog.pg_locks AS l,
     (SELECT $1::pg_catalog.int8::pg_catalog.oid AS job, $2::pg_catalog.int8::pg_catalog.oid AS lock,
             $3::pg_catalog.int8::pg_catalog.oid AS ready, $4::pg_catalog.int8::pg_catalog.oid AS begins,
             pg_catalog.hashtext($5)::pg_catalog.oid AS name) AS k
WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
