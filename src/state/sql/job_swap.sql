-- Count one more swap of job $1, in its own transaction: the active and the inactive tables have changed roles. $2: the
-- instance, $3 phase, $4 length of the rollback window, $5 the requests that the swap carries out.
WITH mine AS (
    UPDATE pgrecast.job
    SET swaps = swaps + 1, phase = $3, phase_since = pg_catalog.clock_timestamp(), swapped_at = pg_catalog.clock_timestamp(),
        swap_xid = pg_catalog.pg_current_xact_id(), swap_lsn = pg_catalog.pg_current_wal_insert_lsn(),
        ends_at = pg_catalog.clock_timestamp() + $4::pg_catalog.interval, error = NULL
    WHERE id = $1 AND instance = $2 RETURNING id, instance, phase, swaps, swap_lsn),
passed AS (
    UPDATE pgrecast.position AS p SET applied_lsn = mine.swap_lsn FROM mine WHERE p.job_id = mine.id),
requests AS (
    UPDATE pgrecast.request AS r SET outcome = 'done' FROM mine
    WHERE r.job_id = mine.id AND r.id = ANY ($5::pg_catalog.int8[])),
event AS (
    INSERT INTO pgrecast.event (job_id, instance, kind, phase, data)
    SELECT id, instance, 'swap', phase, pg_catalog.jsonb_build_object('swaps', swaps) FROM mine)
SELECT mine.id FROM mine
