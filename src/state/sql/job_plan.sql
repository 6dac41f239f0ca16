-- Add another version of the plan of job $1. $2: the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
INSERT INTO pgrecast.plan (job_id, version, plan)
SELECT mine.id, (SELECT max(p.version) + 1 FROM pgrecast.plan AS p WHERE p.job_id = mine.id), $3 FROM mine
