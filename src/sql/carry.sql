-- Statements that give table $2 what table $1 has now: comments and statistics targets; and which property
-- of which object of a definition (catalog_fingerprint.sql) each of them sets. $3: names of the columns that are the
-- same in both.
SELECT 'table' AS object, 'comment' AS property,
       pg_catalog.format('COMMENT ON TABLE %s IS %L', target.name, pg_catalog.obj_description(s.oid, 'pg_class')) AS sql
FROM pg_catalog.pg_class AS s
CROSS JOIN (SELECT $2::pg_catalog.oid::pg_catalog.regclass) AS target (name)
WHERE s.oid = $1::pg_catalog.oid
UNION ALL
SELECT 'column ' || pg_catalog.quote_ident(a.attname), p.name, p.sql
FROM pg_catalog.pg_attribute AS a
CROSS JOIN (SELECT $2::pg_catalog.oid::pg_catalog.regclass) AS target (name)
CROSS JOIN LATERAL (VALUES
    ('comment', pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', target.name, a.attname,
                                  pg_catalog.col_description(a.attrelid, a.attnum))),
    ('statistics target', pg_catalog.format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STATISTICS %s', target.name, a.attname,
                                            coalesce(a.attstattarget, -1)))) AS p (name, sql)
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attname::pg_catalog.text = ANY ($3::pg_catalog.text[])
