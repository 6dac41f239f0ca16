-- Become the instance of a job. An older one that lives on somewhere finds its writes refused.
WITH taken AS (
    UPDATE pgrecast.job
    SET instance = instance + 1, host = $2, pid = $3, error = NULL, released = false, cutover_requested = false,
        rollback_requested = false, reverse_maps = NULL, finish_requested = NULL, abort_requested = false, answer = NULL, answer_kind = NULL, answer_hint = NULL
    WHERE id = $1 RETURNING id, instance),
fenced AS (
    UPDATE pgrecast.position AS p SET instance = taken.instance FROM taken WHERE p.job_id = taken.id)
SELECT instance FROM taken
