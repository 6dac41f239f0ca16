-- Enter an object that will be made: $3 kind, $4 name. An entry that exists stays as it is. $1 job, $2 the instance.
WITH mine AS (SELECT id, stream_id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE),
entered AS (
    INSERT INTO pgrecast.object (job_id, stream_id, kind, name)
    SELECT mine.id, CASE WHEN $3 NOT IN ('table', 'view', 'guard') THEN mine.stream_id END, $3, $4 FROM mine
    WHERE NOT EXISTS (SELECT FROM pgrecast.object AS o WHERE o.job_id = mine.id AND o.kind = $3 AND o.name = $4))
SELECT FROM mine
