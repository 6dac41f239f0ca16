-- What the pre-flight checks have to know of the server.
SELECT pg_catalog.pg_is_in_recovery() AS standby,
       pg_catalog.current_setting('wal_level') AS wal_level,
       pg_catalog.current_setting('max_replication_slots')::pg_catalog.int4
           - (SELECT count(*) FROM pg_catalog.pg_replication_slots)::pg_catalog.int4 AS free_slots,
       pg_catalog.current_setting('max_wal_senders')::pg_catalog.int4
           - (SELECT count(*) FROM pg_catalog.pg_stat_replication)::pg_catalog.int4 AS free_senders,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_create,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') AS may_create_temporary,
       pg_catalog.current_setting('synchronous_standby_names') AS synchronous_standby_names,
       pg_catalog.current_database() AS database,
       CURRENT_USER AS role
