-- Defaults and expressions of generated columns, which are rows of their own.
-- $1 oid of the table
SELECT f.oid, a.attname
FROM pg_catalog.pg_attrdef f
JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND NOT a.attisdropped
WHERE f.adrelid = $1::pg_catalog.oid
ORDER BY a.attnum;
