-- A job of format 3 (id $1) is aborted.
WITH objects AS (DELETE FROM pgrecast.object WHERE job_id = $1)
UPDATE pgrecast.job SET phase = 'aborted', phase_since = pg_catalog.clock_timestamp(), ended_at = pg_catalog.clock_timestamp()
WHERE id = $1
