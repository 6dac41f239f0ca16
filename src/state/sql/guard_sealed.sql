-- For each inactive table of job $1 the proof that nobody has written it without passing its guard: the versions (xmin) of
-- its rows in the catalogs, so that a trigger that was disabled and enabled again is noticed. Its storage is not part of it:
-- a TRUNCATE has to pass the guard, the job itself truncates the table, and VACUUM FULL and CLUSTER change no row. kept: the
-- value when the table was last known to be right; null: it is not known to be right. $2: the instance.
SELECT t.number, t.guard_seal AS kept,
       pg_catalog.concat_ws(
           '|', c.oid, c.relpersistence,
           (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', g.oid, g.xmin, g.tgenabled, g.tgfoid), ' ' ORDER BY g.oid)
            FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = c.oid),
           (SELECT pg_catalog.concat_ws(':', p.oid, p.xmin)
            FROM pg_catalog.pg_proc AS p WHERE p.oid = pg_catalog.to_regproc('pgrecast.guard')),
           (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attnum, a.xmin), ' ' ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0),
           (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', i.inhrelid, i.inhparent, i.xmin), ' ' ORDER BY i.inhrelid, i.inhparent)
            FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid),
           (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', w.oid, w.xmin), ' ' ORDER BY w.oid)
            FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class = c.oid),
           (SELECT pg_catalog.string_agg(s.srsubid::pg_catalog.text, ' ' ORDER BY s.srsubid)
            FROM pg_catalog.pg_subscription_rel AS s WHERE s.srrelid = c.oid)) AS now
FROM pgrecast.job AS j
JOIN pgrecast.job_table AS t ON t.job_id = j.id
JOIN pg_catalog.pg_class AS c ON c.oid = CASE WHEN j.swaps % 2 = 0 THEN t.shadow_oid ELSE t.source_oid END
WHERE j.id = $1 AND j.instance = $2
ORDER BY t.number
