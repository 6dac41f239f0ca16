-- Materialized views that are in use, and those over the new tables. mark changes whenever one of the two is refreshed:
-- REFRESH writes the row in pg_class, also CONCURRENTLY. in_use is the part of the view in use.
-- $1, $2 their names as they are written in SQL, NULL for a plain view
SELECT u.at, COALESCE(c.relispopulated, false) AS populated, COALESCE(o.relispopulated, false) AS other_populated,
       pg_catalog.concat_ws(' ', c.oid, c.xmin, c.relfilenode) AS in_use,
       pg_catalog.concat_ws(' ', c.oid, c.xmin, c.relfilenode, 'and', o.oid, o.xmin, o.relfilenode) AS mark
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]))
    WITH ORDINALITY AS u (name, other, at)
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(u.name)
LEFT JOIN pg_catalog.pg_class AS o ON o.oid = pg_catalog.to_regclass(u.other)
ORDER BY u.at
