-- Enter why job $1 swaps nothing for now. $2: the instance, $3 message, $4 what was changed, $5 whether no swap will be
-- possible any more. All null or false: swaps are possible again.
WITH mine AS (
    UPDATE pgrecast.job SET held = $3, held_changes = $4, held_for_good = $5 WHERE id = $1 AND instance = $2
    RETURNING id, instance, phase)
INSERT INTO pgrecast.event (job_id, instance, kind, phase, message, data)
SELECT id, instance, CASE WHEN $3 IS NULL THEN 'released' ELSE 'held' END, phase, $3,
       pg_catalog.jsonb_build_object('changes', $4::pg_catalog.jsonb, 'for_good', $5::pg_catalog.bool)
FROM mine
