-- What differs between two definitions of the form {object: {property: value}}: $1 before, $2 now; $3: indexes count too.
-- For an object that only one of them has, no property is given. Tables that are identified by oid get their name.
WITH before AS (
    SELECT o.key AS object, p.key AS property, p.value
    FROM pg_catalog.jsonb_each($1::pg_catalog.jsonb) AS o CROSS JOIN LATERAL pg_catalog.jsonb_each_text(o.value) AS p
), now AS (
    SELECT o.key AS object, p.key AS property, p.value
    FROM pg_catalog.jsonb_each($2::pg_catalog.jsonb) AS o CROSS JOIN LATERAL pg_catalog.jsonb_each_text(o.value) AS p
), difference (object, property, what) AS (
    SELECT COALESCE(before.object, now.object), COALESCE(before.property, now.property),
           CASE WHEN before.property IS NULL THEN 'added' WHEN now.property IS NULL THEN 'dropped' ELSE 'changed' END
    FROM before
    FULL JOIN now ON now.object = before.object AND now.property = before.property
    WHERE before.property IS NULL OR now.property IS NULL OR before.value IS DISTINCT FROM now.value
)
SELECT DISTINCT d.object,
       CASE WHEN d.object NOT IN (SELECT object FROM before) OR d.object NOT IN (SELECT object FROM now) THEN NULL
       WHEN d.property ~ '^table [0-9]+$'
           THEN 'table ' || pg_catalog.substr(d.property, 7)::pg_catalog.oid::pg_catalog.regclass
       ELSE d.property END AS property,
       d.what
FROM difference AS d
WHERE $3::pg_catalog.bool OR NOT pg_catalog.starts_with(d.object, 'index ')
ORDER BY 1, 2
