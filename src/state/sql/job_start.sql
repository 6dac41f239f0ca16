-- Enter where job $1 begins. $2: the instance, $3 start of the slot, $4 x0, $5 the barrier, $6 exact, $7 timeline.
WITH mine AS (
    UPDATE pgrecast.job SET x0 = $4, barrier_lsn = $5, exact_lsn = $6 WHERE id = $1 AND instance = $2 RETURNING stream_id)
UPDATE pgrecast.stream AS s SET start_lsn = $3, timeline = $7 FROM mine WHERE s.id = mine.stream_id
