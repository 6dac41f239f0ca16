-- Store what the publications of job $1 publish ($3), in the transaction that has changed it. $2: the instance.
WITH mine AS (SELECT stream_id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.stream AS s SET published = $3 FROM mine WHERE s.id = mine.stream_id
