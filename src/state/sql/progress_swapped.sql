-- The figures of a swap of job $1. $2: the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.progress AS p
SET lock_attempts = $3, lock_wait_ms = $4, lock_held_ms = $5
FROM mine WHERE p.job_id = mine.id
