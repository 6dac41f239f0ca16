-- Enter the error that stopped job $1. $2: the instance, $3 the message.
WITH mine AS (UPDATE pgrecast.job SET error = $3 WHERE id = $1 AND instance = $2 RETURNING id, instance, phase)
INSERT INTO pgrecast.event (job_id, instance, kind, phase, message) SELECT id, instance, 'error', phase, $3 FROM mine
