-- All that is known of one job; $1 is its name. Of several jobs of that name: the one that has not ended, or otherwise the
-- latest.
SELECT j.id, j.name, j.phase, j.schema_name, j.table_name, j.sql, j.stream_id, s.system_identifier, s.database_oid, s.timeline, s.slot_name,
       s.publication_name, s.back_publication_name, s.spool_directory, s.host, s.start_lsn, j.barrier_lsn, j.exact_lsn, p.plan,
       j.options, j.settings, j.instance, j.swaps, j.ended_at IS NOT NULL AS ended, j.x0, j.shadow_complete, j.swap_xid, j.swap_lsn,
       s.published, j.held, j.held_changes, j.held_for_good,
       extract(epoch FROM j.ends_at - pg_catalog.clock_timestamp()) AS window_seconds,
       pg_catalog.to_char(j.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS window_ends,
       coalesce((SELECT g.verify_mismatches FROM pgrecast.progress AS g WHERE g.job_id = j.id), 0) AS mismatches,
       s.system_identifier = (pg_catalog.pg_control_system()).system_identifier::pg_catalog.text
       AND s.database_oid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) AS here
FROM pgrecast.job AS j
JOIN pgrecast.stream AS s ON s.id = j.stream_id
JOIN LATERAL (SELECT v.plan FROM pgrecast.plan AS v WHERE v.job_id = j.id ORDER BY v.version DESC LIMIT 1) AS p ON true
WHERE j.name = $1
ORDER BY j.ended_at IS NOT NULL, j.id DESC
LIMIT 1
