-- End what other sessions of the program do with tables that only the job uses ($1, oids), and give those sessions.
SELECT a.pid, pg_catalog.pg_terminate_backend(a.pid)
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid <> pg_catalog.pg_backend_pid() AND a.usename = current_user AND a.application_name LIKE 'pgrecast %'
  AND EXISTS (SELECT FROM pg_catalog.pg_locks AS l
              WHERE l.pid = a.pid AND l.relation = ANY ($1::pg_catalog.oid[])
                AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                  WHERE datname = pg_catalog.current_database()))
