-- Enter where job $1 runs now. $2: the instance, $3 host, $4 process, $5 directory of the spool.
WITH mine AS (
    UPDATE pgrecast.job SET host = $3, pid = $4 WHERE id = $1 AND instance = $2 RETURNING stream_id)
UPDATE pgrecast.stream AS s SET host = $3, spool_directory = $5 FROM mine WHERE s.id = mine.stream_id
