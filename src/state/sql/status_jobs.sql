-- One row for each job, or for the one of the name $1: the latest record of each name. $2 is the class of the lock that a running
-- instance holds. $3: instead the record of that number, or null. $4: instead all records.
SELECT j.id, j.name,
       coalesce((SELECT pg_catalog.json_agg(t.schema_name || '.' || t.table_name
                                            ORDER BY (t.schema_name, t.table_name) <> (j.schema_name, j.table_name), t.number)
                 FROM pgrecast.job_table AS t WHERE t.job_id = j.id),
                pg_catalog.json_build_array(j.schema_name || '.' || j.table_name)) AS tables,
       j.phase, j.sql, j.ended_at IS NOT NULL AS ended,
       pg_catalog.to_char(j.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created_at,
       pg_catalog.to_char(j.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS ended_at,
       j.host, j.pid, j.instance, pg_catalog.to_char(j.instance_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS instance_since,
       coalesce((j.options ->> 'hold')::pg_catalog.bool, false) AS hold,
       coalesce((SELECT pg_catalog.json_agg(n.nspname || '.' || c.relname ORDER BY t.number)
                 FROM pgrecast.job_table AS t
                 JOIN pg_catalog.pg_class AS c ON c.oid = CASE j.swaps % 2 WHEN 1 THEN t.source_oid ELSE t.shadow_oid END
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
                 WHERE t.job_id = j.id AND c.relname ~ '_pgrecast_(old|new)$'), '[]') AS inactive_tables,
       EXISTS (SELECT FROM pg_catalog.pg_locks AS l
               WHERE l.locktype = 'advisory' AND l.database = (SELECT oid FROM pg_catalog.pg_database
                                                              WHERE datname = pg_catalog.current_database())
                 AND l.classid = $2::pg_catalog.int8::pg_catalog.oid AND l.objid = j.id::pg_catalog.oid AND l.granted) AS running,
       extract(epoch FROM coalesce(j.ended_at, pg_catalog.clock_timestamp()) - j.created_at) AS age_seconds,
       p.rows_copied, p.rows_estimated, p.bytes_copied, p.bytes_total, p.changes_spooled, p.changes_applied,
       p.spool_bytes, coalesce(p.lag_bytes, -1) AS lag_bytes, coalesce(p.lag_seconds, -1) AS lag_seconds, p.throttled_by, p.waits,
       coalesce(p.eta_seconds, -1) AS eta_seconds, p.lock_attempts,
       coalesce(p.lock_held_ms, -1) AS lock_held_ms, coalesce(p.lock_wait_ms, -1) AS lock_wait_ms,
       coalesce((SELECT CASE WHEN s.restart_lsn IS NULL THEN -1
                        ELSE pg_catalog.pg_current_wal_lsn() - s.restart_lsn END
                 FROM pg_catalog.pg_replication_slots AS s
                 WHERE s.slot_name = x.slot_name AND s.database = pg_catalog.current_database()), -1)::pg_catalog.int8
           AS wal_retained_bytes,
       p.verify_lsn, p.verify_rows, p.verify_mismatches, p.verify_hash, j.error, j.held, j.held_changes, j.held_for_good, j.swaps,
       pg_catalog.to_char(j.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS window_ends,
       pg_catalog.to_char(j.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') AS window_ends_text,
       j.ended_at IS NULL AND coalesce(j.ends_at < pg_catalog.clock_timestamp(), false) AS window_over,
       (SELECT pg_catalog.count(*) FROM pgrecast.blocked AS b WHERE b.job_id = j.id) AS blocked_rows,
       (SELECT r.message FROM pgrecast.request AS r
        WHERE r.job_id = j.id AND r.kind = 'rollback' AND r.outcome = 'failed' AND r.ended_at > j.swapped_at
        ORDER BY r.id DESC LIMIT 1) AS rollback_failure,
       f.kind AS failed_kind, f.message AS failed_message,
       pg_catalog.to_char(f.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS failed_at,
       CASE WHEN j.ended_at IS NULL AND j.phase NOT IN ('init', 'finished') AND coalesce(slot.lost, true)
            THEN 'replication slot ' || pg_catalog.quote_ident(x.slot_name)
                 || CASE WHEN slot.lost THEN ' was invalidated by the server' || coalesce(': ' || slot.reason, '') ELSE ' is gone' END
       END AS slot_lost,
       EXISTS (SELECT FROM pg_catalog.pg_publication AS p WHERE p.pubname = x.back_publication_name) AS back_published
FROM pgrecast.job AS j
JOIN pgrecast.progress AS p ON p.job_id = j.id
JOIN pgrecast.stream AS x ON x.id = j.stream_id
LEFT JOIN LATERAL (SELECT coalesce(s.wal_status, 'lost') = 'lost' OR r.reason IS NOT NULL AS lost, r.reason
                   FROM pg_catalog.pg_replication_slots AS s
                   CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(s) ->> 'invalidation_reason') AS r (reason) -- 17 and later
                   WHERE s.slot_name = x.slot_name AND s.database = pg_catalog.current_database()) AS slot ON true
LEFT JOIN LATERAL (SELECT l.* FROM (SELECT r.kind, r.outcome, r.message, r.ended_at FROM pgrecast.request AS r
                                    WHERE r.job_id = j.id AND r.ended_at IS NOT NULL AND r.kind <> 'release'
                                    ORDER BY r.ended_at DESC, r.id DESC LIMIT 1) AS l
                   WHERE l.outcome = 'failed') AS f ON true
WHERE ($1::pg_catalog.text IS NULL OR j.name = $1)
  AND ($3::pg_catalog.int8 IS NULL OR j.id = $3)
  AND ($3::pg_catalog.int8 IS NOT NULL OR $4::pg_catalog.bool
       OR NOT EXISTS (SELECT FROM pgrecast.job AS n WHERE n.name = j.name AND n.id > j.id))
ORDER BY j.id
