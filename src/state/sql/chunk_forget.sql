-- Forget everything that is copied of table $3 of job $1. $2: the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE),
gone AS (DELETE FROM pgrecast.chunk AS c USING mine WHERE c.job_id = mine.id AND c.table_number = $3)
SELECT FROM mine
