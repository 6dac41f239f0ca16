-- The result of a verification of job $1. $2: the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.progress AS p
SET verify_lsn = $3, verify_rows = $4, verify_mismatches = $5, verify_hash = $6
FROM mine WHERE p.job_id = mine.id
