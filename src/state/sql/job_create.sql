-- Enter a job with its stream, its first plan and its row of progress.
WITH stream AS (
    INSERT INTO pgrecast.stream (slot_name, publication_name, back_publication_name, system_identifier, timeline, host,
                                 spool_directory, database_oid)
    VALUES ($1, $2, $3, $4, $5, $6, $7,
            (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())) RETURNING id),
job AS (
    INSERT INTO pgrecast.job (format, name, stream_id, phase, created_by, schema_name, table_name, sql, options, settings, host,
                              pid)
    SELECT $8, $9, stream.id, 'init', current_user, $10, $11, $12, $13, $16, $6, $14 FROM stream RETURNING id, instance, stream_id),
plan AS (
    INSERT INTO pgrecast.plan (job_id, version, plan) SELECT job.id, 1, $15 FROM job),
progress AS (
    INSERT INTO pgrecast.progress (job_id) SELECT job.id FROM job)
SELECT job.id, job.instance, job.stream_id FROM job
