-- Enter a table of a job: its number, and what is known about it before the job begins.
WITH entered AS (
    INSERT INTO pgrecast.job_table (job_id, number, schema_name, table_name, source_oid, fingerprint, definition)
    VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING job_id, number)
INSERT INTO pgrecast.position (job_id, table_number, stream_id, instance, applied_lsn)
SELECT e.job_id, e.number, j.stream_id, j.instance, '0/0' FROM entered AS e JOIN pgrecast.job AS j ON j.id = e.job_id
