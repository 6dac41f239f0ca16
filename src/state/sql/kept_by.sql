-- The ended job that has kept the table with the oid $1; the last one if there are several.
SELECT j.name
FROM pgrecast.job AS j
JOIN pgrecast.job_table AS t ON t.job_id = j.id
WHERE j.ended_at IS NOT NULL AND $1::pg_catalog.oid IN (t.source_oid, t.shadow_oid)
ORDER BY j.id DESC
LIMIT 1
