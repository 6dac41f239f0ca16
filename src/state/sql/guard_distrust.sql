-- Somebody else may have written an inactive table of job $1: until all rows have been compared, no table is known to be
-- right. $2: the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.job_table AS t SET guard_seal = NULL FROM mine WHERE t.job_id = mine.id
