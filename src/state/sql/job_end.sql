-- Job $1 has ended: remove what only a running job needs. $2: the instance, $3 phase, $4 why it failed.
WITH mine AS (
    UPDATE pgrecast.job
    SET phase = $3, phase_since = pg_catalog.clock_timestamp(), ended_at = pg_catalog.clock_timestamp(), error = $4
    WHERE id = $1 AND instance = $2 RETURNING id, instance, phase),
chunks AS (DELETE FROM pgrecast.chunk AS c USING mine WHERE c.job_id = mine.id),
positions AS (DELETE FROM pgrecast.position AS p USING mine WHERE p.job_id = mine.id),
blocked AS (DELETE FROM pgrecast.blocked AS b USING mine WHERE b.job_id = mine.id),
requests AS (
    UPDATE pgrecast.request AS r
    SET ended_at = pg_catalog.clock_timestamp(),
        outcome = CASE WHEN r.outcome IS NOT NULL THEN r.outcome
                       WHEN r.kind = CASE $3 WHEN 'finished' THEN 'finish' WHEN 'aborted' THEN 'abort' END THEN 'done'
                       ELSE 'not_taken' END
    FROM mine WHERE r.job_id = mine.id AND r.ended_at IS NULL)
INSERT INTO pgrecast.event (job_id, instance, kind, phase, message) SELECT id, instance, 'end', phase, $4 FROM mine
