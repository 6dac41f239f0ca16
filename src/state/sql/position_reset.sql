-- Set the position of all tables of job $1 to $3. $2: the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE),
written AS (UPDATE pgrecast.position AS p SET applied_lsn = $3 FROM mine WHERE p.job_id = mine.id)
SELECT FROM mine
