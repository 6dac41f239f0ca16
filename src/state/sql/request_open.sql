-- The requests to a job ($1) that are not carried out yet, oldest first. The instance $2, which reads them, has taken them
-- by that.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2),
taken AS (
    UPDATE pgrecast.request AS r SET instance = $2, taken_at = pg_catalog.clock_timestamp()
    FROM mine WHERE r.job_id = mine.id AND r.ended_at IS NULL AND r.instance IS DISTINCT FROM $2::pg_catalog.int8)
SELECT r.id, r.kind, r.arguments FROM pgrecast.request AS r JOIN mine ON mine.id = r.job_id
WHERE r.ended_at IS NULL AND r.outcome IS NULL
ORDER BY r.id
LIMIT 100
