-- Remove the records of ended jobs of the name $1, with their events and with the streams that no other job has. $2: the number
-- of one of them, or null for all.
WITH gone AS (
    DELETE FROM pgrecast.job
    WHERE name = $1 AND ended_at IS NOT NULL AND ($2::pg_catalog.int8 IS NULL OR id = $2) RETURNING id, stream_id),
events AS (DELETE FROM pgrecast.event AS e USING gone WHERE e.job_id = gone.id),
streams AS (
    DELETE FROM pgrecast.stream AS s USING gone
    WHERE s.id = gone.stream_id
      AND NOT EXISTS (SELECT FROM pgrecast.job AS j
                      WHERE j.stream_id = s.id AND NOT EXISTS (SELECT FROM gone AS g WHERE g.id = j.id)))
SELECT pg_catalog.count(*) AS count FROM gone
