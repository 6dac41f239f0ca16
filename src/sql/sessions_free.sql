-- How many more sessions the role, the database and the server allow; null: no limit. The limits of role and database do
-- not apply to a superuser.
SELECT CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN
           r.rolconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.usename = SESSION_USER) END AS role_free,
       CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN
           d.datconnlimit - (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.datname = d.datname) END AS database_free,
       pg_catalog.current_setting('max_connections')::pg_catalog.int4
           - pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4
           - COALESCE(pg_catalog.current_setting('reserved_connections', true), '0')::pg_catalog.int4
           - (SELECT count(*) FROM pg_catalog.pg_stat_activity AS a WHERE a.backend_type = 'client backend') AS server_free,
       SESSION_USER AS role, d.datname AS database
FROM pg_catalog.pg_roles AS r
CROSS JOIN pg_catalog.pg_database AS d
WHERE r.rolname = SESSION_USER AND d.datname = pg_catalog.current_database()
