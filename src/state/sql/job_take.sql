-- Become the instance of a job. The writes of an earlier instance that still runs somewhere are refused from now on. $2:
-- whether the process that was the last instance takes the job again. It still has to answer its requests; otherwise
-- requests that nobody has answered end here.
WITH taken AS (
    UPDATE pgrecast.job SET instance = instance + 1, instance_since = pg_catalog.clock_timestamp(), error = NULL WHERE id = $1 RETURNING id, instance),
fenced AS (
    UPDATE pgrecast.position AS p SET instance = taken.instance FROM taken WHERE p.job_id = taken.id),
done AS (
    UPDATE pgrecast.request AS r SET ended_at = pg_catalog.clock_timestamp()
    FROM taken WHERE r.job_id = taken.id AND r.ended_at IS NULL AND r.outcome = 'done'),
left_over AS (
    UPDATE pgrecast.request AS r SET ended_at = pg_catalog.clock_timestamp(), outcome = 'not_taken'
    FROM taken WHERE r.job_id = taken.id AND r.ended_at IS NULL AND r.outcome IS NULL AND NOT $2::pg_catalog.bool)
SELECT instance FROM taken
