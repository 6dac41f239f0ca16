-- Who holds a lock on one of the tables $1 (oids) that ACCESS EXCLUSIVE must wait for; vacuum and its like by their lock's mode.
SELECT l.pid, l.mode, coalesce(a.application_name, ''), a.usesysid IS NULL,
       coalesce(pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)), 0),
       l.relation::pg_catalog.regclass
FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.relation = ANY ($1::pg_catalog.oid[]) AND l.granted
  AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY 5 DESC LIMIT 1
