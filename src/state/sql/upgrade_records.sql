-- Records of ended jobs of format 3 or older.
WITH stream AS (
    INSERT INTO pgrecast.stream (slot_name, publication_name, back_publication_name, system_identifier, timeline, host,
                                 spool_directory)
    SELECT o.slot_name, o.publication_name, o.publication_name || '_back', o.system_identifier, o.timeline, o.host,
           o.spool_directory
    FROM pgrecast_before.job AS o ORDER BY o.id
    RETURNING id, slot_name),
job AS (
    INSERT INTO pgrecast.job (format, name, stream_id, phase, phase_since, created_at, created_by, ended_at, schema_name, table_name,
                              sql, options, host, pid, error, swapped_at)
    SELECT 4, o.name, s.id, o.phase, o.phase_since, o.created_at, current_user, o.ended_at, o.schema_name, o.table_name, o.sql,
           '{}', o.host, o.pid, o.error, o.swapped_at
    FROM pgrecast_before.job AS o JOIN stream AS s ON s.slot_name = o.slot_name ORDER BY o.id
    RETURNING id, name),
plan AS (INSERT INTO pgrecast.plan (job_id, version, plan) SELECT job.id, 1, '{}' FROM job)
INSERT INTO pgrecast.progress (job_id, updated_at, rows_copied, rows_estimated, bytes_copied, bytes_total, changes_spooled,
                               changes_applied, spool_bytes, lock_attempts, lock_held_ms, lock_wait_ms, verify_lsn, verify_rows,
                               verify_mismatches, verify_hash)
SELECT job.id, p.updated_at, p.rows_copied, p.rows_estimated, p.bytes_copied, p.bytes_total, p.changes_spooled,
       p.changes_applied, p.spool_bytes, p.lock_attempts, p.lock_held_ms, p.lock_wait_ms, p.verify_lsn, p.verify_rows,
       p.verify_mismatches, p.verify_hash
FROM job JOIN pgrecast_before.job AS o ON o.name = job.name JOIN pgrecast_before.progress AS p ON p.job_id = o.id
