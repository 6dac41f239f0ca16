-- What is evaluated where a value is given to a column of type $2: the expression of view $1, and the checks of a
-- domain, of the domains under it, and of the elements of an array.
WITH RECURSIVE type (oid) AS (
    SELECT pg_catalog.to_regtype($2::pg_catalog.text)::pg_catalog.oid
    UNION
    SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END
    FROM type
    JOIN pg_catalog.pg_type AS t ON t.oid = type.oid AND (t.typtype = 'd' OR t.typelem <> 0)
)
SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS classid, $1::pg_catalog.regclass::pg_catalog.oid AS oid
UNION ALL
SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid
FROM type
JOIN pg_catalog.pg_constraint AS c ON c.contypid = type.oid
