-- The objects that a job of format 3 (id $1), which has not swapped, has made. A table is listed only if it has the oid that
-- the job noted.
SELECT o.seq, o.kind, o.name, CASE o.kind WHEN 'publication' THEN p.oid WHEN 'table' THEN t.shadow_oid END AS oid
FROM pgrecast.object AS o
LEFT JOIN pg_catalog.pg_publication AS p ON o.kind = 'publication' AND p.pubname = o.name
LEFT JOIN pgrecast.job_table AS t ON o.kind = 'table' AND t.job_id = o.job_id AND t.shadow_oid = pg_catalog.to_regclass(o.name)
WHERE o.job_id = $1
ORDER BY o.seq DESC
