-- Job $1 enters phase $3. $2: the instance.
WITH mine AS (
    UPDATE pgrecast.job SET phase = $3, phase_since = pg_catalog.clock_timestamp() WHERE id = $1 AND instance = $2
    RETURNING id, instance, phase)
INSERT INTO pgrecast.event (job_id, instance, kind, phase) SELECT id, instance, 'phase', phase FROM mine
