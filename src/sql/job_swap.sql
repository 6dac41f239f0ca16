-- One leg further, in the transaction of the swap: what serves and what is followed have changed roles.
WITH turned AS (
    UPDATE pgrecast.job
    SET leg = leg + 1, phase = $3, phase_since = pg_catalog.clock_timestamp(), swapped_at = pg_catalog.clock_timestamp(),
        swap_xid = pg_catalog.pg_current_xact_id(), swap_lsn = pg_catalog.pg_current_wal_insert_lsn(),
        ends_at = pg_catalog.clock_timestamp() + $4::pg_catalog.interval, error = NULL,
        cutover_requested = false, rollback_requested = false, abort_requested = false, finish_requested = NULL,
        reverse_maps = NULL, answer = NULL, answer_kind = NULL, answer_hint = NULL
    WHERE id = $1 AND instance = $2 RETURNING id, swap_lsn),
passed AS (
    UPDATE pgrecast.position AS p SET applied_lsn = turned.swap_lsn FROM turned WHERE p.job_id = turned.id)
SELECT turned.id FROM turned
