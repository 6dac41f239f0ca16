-- Become the instance of a job. An older one that lives on somewhere finds its writes refused. $2: by the process that
-- was the last instance, which is still to answer what it was asked for.
WITH taken AS (
    UPDATE pgrecast.job
    SET instance = instance + 1, error = NULL, released = released AND $2::pg_catalog.bool,
        cutover_requested = cutover_requested AND $2::pg_catalog.bool,
        rollback_requested = rollback_requested AND $2::pg_catalog.bool,
        reverse_maps = CASE WHEN $2::pg_catalog.bool THEN reverse_maps END,
        abort_requested = abort_requested AND $2::pg_catalog.bool,
        finish_requested = CASE WHEN $2::pg_catalog.bool THEN finish_requested END,
        answer = NULL, answer_kind = NULL, answer_hint = NULL
    WHERE id = $1 RETURNING id, instance),
fenced AS (
    UPDATE pgrecast.position AS p SET instance = taken.instance FROM taken WHERE p.job_id = taken.id)
SELECT instance FROM taken
