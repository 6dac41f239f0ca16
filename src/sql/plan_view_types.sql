-- The types of the columns of a view that differ from those of another view.
-- $1 oid of that other view; $2, $3 schema and name of the view, as they are written in SQL
SELECT pg_catalog.format_type(made.atttypid, NULL) AS type
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_attribute made
    ON made.attrelid = pg_catalog.to_regclass($2 || '.' || $3) AND made.attnum = a.attnum AND made.atttypid <> a.atttypid
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
