-- What job $1 waits for, as its instance $2 sees it: $3, or null. Never waits for a lock itself: the instance may hold it in a
-- transaction of another session, and would wait for itself. Then nothing is written this time.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR KEY SHARE SKIP LOCKED),
free AS (SELECT p.job_id FROM pgrecast.progress AS p JOIN mine ON mine.id = p.job_id FOR NO KEY UPDATE OF p SKIP LOCKED)
UPDATE pgrecast.progress AS p SET waits = $3 FROM free WHERE p.job_id = free.job_id
