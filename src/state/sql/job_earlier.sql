-- The job that was given the same change before, or that has the wanted name: one that has not ended, or else the latest.
-- $1: its name; NULL: any name, then only the same change counts. $2: the statements, or NULL for a rebuild of table $3, as
-- typed. finished: the new tables are there, and nothing has replaced them since.
SELECT j.name, j.phase, j.ended_at IS NOT NULL AS ended, c.same,
       j.phase = 'finished' AND j.swaps % 2 = 1 AND NOT EXISTS (
           SELECT FROM pgrecast.job_table AS t
           LEFT JOIN pg_catalog.pg_class AS r ON r.oid = t.shadow_oid AND r.relname = t.table_name
           WHERE t.job_id = j.id AND r.oid IS NULL) AS finished
FROM pgrecast.job AS j
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN $2::pg_catalog.text IS NULL
        THEN j.sql IS NULL AND $3::pg_catalog.text IN (
            j.table_name, pg_catalog.quote_ident(j.table_name), j.schema_name || '.' || j.table_name,
            pg_catalog.quote_ident(j.schema_name) || '.' || pg_catalog.quote_ident(j.table_name))
        ELSE coalesce(pg_catalog.btrim(j.sql, E' \t\r\n;') = pg_catalog.btrim($2, E' \t\r\n;'), false)
    END AS same) AS c
WHERE CASE WHEN $1::pg_catalog.text IS NULL THEN c.same ELSE j.name = $1 END
ORDER BY j.ended_at IS NOT NULL, j.id DESC
LIMIT 1
