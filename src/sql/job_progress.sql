-- Write what is shown of a job, and read what is asked of it.
WITH written AS (
    UPDATE pgrecast.progress
    SET updated_at = pg_catalog.clock_timestamp(), rows_copied = coalesce($2, rows_copied), rows_estimated = $3,
        bytes_copied = coalesce($4, bytes_copied), bytes_total = coalesce($5, bytes_total), changes_spooled = $6, changes_applied = $7, spool_bytes = $8, lag_bytes = $9,
        lag_seconds = $10, eta_seconds = $11
    WHERE job_id = $1)
SELECT cutover_requested, verify_requested, released, pg_catalog.pg_current_wal_insert_lsn(), rollback_requested,
       abort_requested, finish_requested, verify_answered, reverse_maps IS NOT NULL
FROM pgrecast.job WHERE id = $1
