-- Enter an event of job $1. $2: the instance, $3 kind, $4 message, $5 data.
WITH mine AS (SELECT id, instance, phase FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
INSERT INTO pgrecast.event (job_id, instance, kind, phase, message, data)
SELECT id, instance, $3, phase, $4, $5 FROM mine
