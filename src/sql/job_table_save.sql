-- What the job knows of table $3, as its instance $2; the lock makes whoever takes the job over wait for this, or this
-- find that it was taken.
WITH mine AS (SELECT j.id FROM pgrecast.job AS j WHERE j.id = $1 AND j.instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.job_table AS t
SET shadow_oid = $4, copied_filenode = $5
FROM mine
WHERE t.job_id = mine.id AND t.number = $3
