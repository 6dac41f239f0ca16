-- The replication slot $1 of this database, and who uses it; no row: there is none.
SELECT s.wal_status IS NULL OR s.wal_status = 'lost' OR pg_catalog.to_jsonb(s) ->> 'invalidation_reason' IS NOT NULL AS lost,
       s.wal_status = 'unreserved' AS unreserved,
       pg_catalog.to_jsonb(s) ->> 'invalidation_reason' AS reason, -- 17 and later
       s.active_pid,
       a.usename AS role
FROM pg_catalog.pg_replication_slots AS s
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = s.active_pid
WHERE s.slot_name = $1 AND s.database = pg_catalog.current_database()
