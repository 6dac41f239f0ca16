-- A job is over: what only a running one needs goes.
WITH chunks AS (DELETE FROM pgrecast.chunk WHERE job_id = $1),
     positions AS (DELETE FROM pgrecast.position WHERE job_id = $1),
     blocked AS (DELETE FROM pgrecast.blocked WHERE job_id = $1)
UPDATE pgrecast.job
SET phase = $2, phase_since = pg_catalog.clock_timestamp(), ended_at = pg_catalog.clock_timestamp(), error = $3,
    cutover_requested = false, rollback_requested = false, finish_requested = NULL, abort_requested = false
WHERE id = $1
