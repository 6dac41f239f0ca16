-- For each inactive table of job $1 the proof that nobody has written it without passing its guard: the versions (xmin) of
-- its rows in the catalogs, so that a trigger that was disabled and enabled again is noticed. Its storage is not part of it:
-- a TRUNCATE has to pass the guard, the job itself truncates the table, and VACUUM FULL and CLUSTER change no row. The same
-- of its partitions. If the active table is partitioned, its partitions and their files follow after a line feed: what adds,
-- removes or truncates a partition is not in the stream.
-- kept: the value when the tables were last known to be right; null: it is not known. partitions: only those of the active
-- table differ. $2: the instance.
WITH RECURSIVE side AS (
    SELECT t.number, t.guard_seal AS kept,
           CASE WHEN j.swaps % 2 = 0 THEN t.shadow_oid ELSE t.source_oid END AS inactive,
           CASE WHEN j.swaps % 2 = 0 THEN t.source_oid ELSE t.shadow_oid END AS active
    FROM pgrecast.job AS j
    JOIN pgrecast.job_table AS t ON t.job_id = j.id
    WHERE j.id = $1 AND j.instance = $2
),
part (top, oid) AS (
    SELECT top.oid, top.oid FROM side CROSS JOIN LATERAL (VALUES (side.inactive), (side.active)) AS top (oid)
    UNION ALL
    SELECT p.top, i.inhrelid
    FROM part AS p
    JOIN pg_catalog.pg_class AS t ON t.oid = p.oid AND t.relkind = 'p'
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
),
found AS (
    SELECT s.number, s.kept, own.text AS own, COALESCE(E'\n' || others.text, '') AS others
    FROM side AS s
    CROSS JOIN LATERAL (
        SELECT pg_catalog.string_agg(pg_catalog.concat_ws(
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
             FROM pg_catalog.pg_subscription_rel AS s WHERE s.srrelid = c.oid)), '/' ORDER BY c.oid)
        FROM part AS p
        JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
        WHERE p.top = s.inactive) AS own (text)
    CROSS JOIN LATERAL (
        SELECT pg_catalog.string_agg(pg_catalog.concat_ws(':', c.oid, c.xmin, c.relfilenode, i.inhparent, i.xmin), ' ' ORDER BY c.oid)
        FROM part AS p
        JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
        JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = c.oid
        WHERE p.top = s.active AND c.relispartition) AS others (text)
    WHERE own.text IS NOT NULL
)
SELECT f.number, f.kept, f.own || f.others AS now,
       COALESCE(pg_catalog.split_part(f.kept, E'\n', 1) = f.own, false) AS partitions
FROM found AS f
ORDER BY f.number
