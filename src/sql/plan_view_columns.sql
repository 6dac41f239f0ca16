-- The columns that a view gives, in the form of catalog_dependents.sql.
-- $1 schema, $2 name, both as they are written in SQL
SELECT pg_catalog.string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
                             || CASE WHEN a.attcollation <> 0 THEN ' ' || a.attcollation ELSE '' END, ', '
                             ORDER BY a.attnum) AS columns
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = pg_catalog.to_regclass($1 || '.' || $2) AND a.attnum > 0 AND NOT a.attisdropped;
