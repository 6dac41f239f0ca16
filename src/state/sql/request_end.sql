-- Requests $3 of job $1 are answered. $2: the instance, $4 outcome, $5 exit status, $6 message, $7 detail, $8 hint, $9
-- result.
WITH mine AS (SELECT id, instance, phase FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE),
ended AS (
    UPDATE pgrecast.request AS r
    SET outcome = $4, ended_at = pg_catalog.clock_timestamp(), exit_status = $5, message = $6, detail = $7, hint = $8, result = $9
    FROM mine WHERE r.job_id = mine.id AND r.id = ANY ($3::pg_catalog.int8[]) AND r.ended_at IS NULL
    RETURNING r.id, r.kind),
event AS (
    INSERT INTO pgrecast.event (job_id, instance, kind, phase, message, data)
    SELECT mine.id, mine.instance, 'request', mine.phase, $6,
           pg_catalog.jsonb_build_object('id', ended.id, 'kind', ended.kind, 'outcome', $4::pg_catalog.text)
    FROM mine CROSS JOIN ended)
SELECT FROM mine
