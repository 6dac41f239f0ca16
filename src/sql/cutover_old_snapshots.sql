-- Sessions of this database other than this one whose snapshot is older than $1. Maintenance workers have no user.
SELECT a.pid, pg_catalog.age(a.backend_xmin) AS age
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname = pg_catalog.current_database() AND a.usesysid IS NOT NULL AND a.backend_xmin IS NOT NULL
  AND a.application_name NOT LIKE 'pgrecast %'
  AND pg_catalog.age(a.backend_xmin) > pg_catalog.age($1::pg_catalog.xid)
ORDER BY 2 DESC LIMIT 1
