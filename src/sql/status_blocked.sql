-- Some of the rows that block the way back of a job; $1 is its id.
SELECT b.key, b.error FROM pgrecast.blocked AS b WHERE b.job_id = $1 ORDER BY b.since, b.key LIMIT 10
