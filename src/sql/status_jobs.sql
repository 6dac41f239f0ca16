-- One row a job; $1 names one, or is null.
SELECT j.name,
       coalesce((SELECT pg_catalog.json_agg(t.schema_name || '.' || t.table_name
                                            ORDER BY (t.schema_name, t.table_name) <> (j.schema_name, j.table_name), t.number)
                 FROM pgrecast.job_table AS t WHERE t.job_id = j.id),
                pg_catalog.json_build_array(j.schema_name || '.' || j.table_name)),
       j.phase, j.sql, j.ended_at IS NOT NULL,
       EXISTS (SELECT FROM pg_catalog.pg_locks AS l
               WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                                              WHERE datname = pg_catalog.current_database())
                 AND l.classid = 1885827683 AND l.objid = j.id::pg_catalog.oid AND l.granted),
       extract(epoch FROM coalesce(j.ended_at, pg_catalog.clock_timestamp()) - j.created_at),
       p.rows_copied, p.rows_estimated, p.bytes_copied, p.bytes_total, p.changes_spooled, p.changes_applied,
       p.spool_bytes, p.lag_bytes, p.lag_seconds, p.throttled_by, coalesce(p.eta_seconds, -1), p.lock_attempts,
       coalesce(p.lock_held_ms, -1), coalesce(p.lock_wait_ms, -1),
       coalesce((SELECT CASE WHEN s.restart_lsn IS NULL THEN -1
                        ELSE pg_catalog.pg_current_wal_lsn() - s.restart_lsn END
                 FROM pg_catalog.pg_replication_slots AS s WHERE s.slot_name = j.slot_name), -1)::pg_catalog.int8,
       p.verify_lsn, p.verify_rows, p.verify_mismatches, p.verify_hash, j.error, j.id, j.leg,
       pg_catalog.to_char(j.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       (SELECT pg_catalog.count(*) FROM pgrecast.blocked AS b WHERE b.job_id = j.id), j.answer,
       EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s WHERE s.slot_name = j.slot_name
               AND coalesce(s.wal_status, 'lost') <> 'lost'),
       EXISTS (SELECT FROM pg_catalog.pg_publication AS p WHERE p.pubname = j.publication_name || '_back')
FROM pgrecast.job AS j JOIN pgrecast.progress AS p ON p.job_id = j.id
WHERE $1::pg_catalog.text IS NULL OR j.name = $1
ORDER BY j.id
