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
       CURRENT_USER AS role,
       SESSION_USER AS session_role,
       -- a role that sessions get by ALTER ROLE ... SET role; managed services have roles of their own whose members may replicate
       CURRENT_USER = SESSION_USER
           OR EXISTS (SELECT FROM pg_catalog.pg_roles r
                      WHERE (r.rolname = CURRENT_USER AND (r.rolsuper OR r.rolreplication))
                         OR (r.rolname ~ 'replication' AND NOT pg_catalog.starts_with(r.rolname, 'pg_')
                             AND pg_catalog.pg_has_role(r.oid, 'MEMBER')))
           AS may_use_slots,
       -- functions that a run calls, and whose right an administrator can have revoked
       (SELECT pg_catalog.string_agg(DISTINCT p.oid::pg_catalog.regprocedure::pg_catalog.text, ', ')
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace
          AND p.proname IN ('pg_advisory_lock_shared', 'pg_advisory_xact_lock', 'pg_backend_pid', 'pg_control_system',
                            'pg_create_logical_replication_slot', 'pg_current_snapshot', 'pg_current_wal_insert_lsn',
                            'pg_current_wal_lsn', 'pg_current_xact_id', 'pg_drop_replication_slot', 'pg_export_snapshot',
                            'pg_logical_emit_message', 'pg_relation_filenode', 'pg_relation_size', 'pg_sequence_last_value',
                            'pg_snapshot_xmax', 'pg_snapshot_xmin', 'pg_table_size', 'pg_terminate_backend',
                            'pg_try_advisory_lock', 'pg_visible_in_snapshot', 'pg_walfile_name', 'pg_xact_status', 'set_config',
                            'setval')
          AND 'bytea'::pg_catalog.regtype <> ALL (p.proargtypes) -- a form of pg_logical_emit_message() that is not called
          AND NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')) AS may_not_call
