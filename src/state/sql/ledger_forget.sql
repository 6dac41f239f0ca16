-- Remove entry $3, or all entries of kind $4: the job does not remove these objects any more. $1 job, $2 the instance.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE),
forgotten AS (
    DELETE FROM pgrecast.object AS o USING mine
    WHERE o.job_id = mine.id AND (o.id = $3::pg_catalog.int8 OR o.kind = $4::pg_catalog.text))
SELECT FROM mine
