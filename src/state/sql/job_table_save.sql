-- Enter what the job knows about table $3. $2: the instance. Because of the lock an instance that takes the job over waits
-- for this transaction, or this statement finds that the job was taken over.
WITH mine AS (SELECT j.id FROM pgrecast.job AS j WHERE j.id = $1 AND j.instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.job_table AS t
SET shadow_oid = $4, copied_filenode = $5
FROM mine
WHERE t.job_id = mine.id AND t.number = $3
