-- How the columns of table $1 (oid) lie in a row: length (-1: variable), and the boundary in bytes at which a value begins.
SELECT a.attnum, a.attlen,
       CASE a.attalign WHEN 'd' THEN 8 WHEN 'i' THEN 4 WHEN 's' THEN 2 ELSE 1 END AS alignment
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped;
