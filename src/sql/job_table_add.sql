-- Enter a table of a job: its number, and what is known of it before the job begins.
WITH entered AS (
    INSERT INTO pgrecast.job_table (job_id, number, schema_name, table_name, source_oid, fingerprint)
    VALUES ($1, $2, $3, $4, $5, $6) RETURNING job_id, number)
INSERT INTO pgrecast.position (job_id, table_number) SELECT job_id, number FROM entered
