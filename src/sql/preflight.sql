-- The server as the pre-flight sees it.
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('wal_level'),
       pg_catalog.current_setting('max_replication_slots')::pg_catalog.int4
           - (SELECT count(*) FROM pg_catalog.pg_replication_slots)::pg_catalog.int4,
       pg_catalog.current_setting('max_wal_senders')::pg_catalog.int4
           - (SELECT count(*) FROM pg_catalog.pg_stat_replication)::pg_catalog.int4,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY'),
       pg_catalog.current_setting('synchronous_standby_names'),
       pg_catalog.current_setting('max_slot_wal_keep_size'),
       pg_catalog.current_database(), CURRENT_USER
