-- The figures of job $1. $2: the instance. A figure that this instance does not know ($3, $5, $6) is not changed.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE),
written AS (
    UPDATE pgrecast.progress AS p
    SET updated_at = pg_catalog.clock_timestamp(), rows_copied = coalesce($3, rows_copied), rows_estimated = $4,
        bytes_copied = coalesce($5, bytes_copied), bytes_total = coalesce($6, bytes_total), changes_spooled = $7,
        changes_applied = $8, spool_bytes = $9, lag_bytes = $10, lag_seconds = $11, eta_seconds = $12
    FROM mine WHERE p.job_id = mine.id)
SELECT pg_catalog.pg_current_wal_insert_lsn() AS server_lsn FROM mine
