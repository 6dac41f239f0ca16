-- The object that was created in another schema in place of an object.
-- $1, $2 class and oid of that object; $3, $4 schemas and names of relations and functions that have another schema there,
-- as they are written in SQL; $5 those schemas, which need no quotes
WITH moved (said, schema) AS (
    SELECT u.schema || '.' || u.name, u.other
    FROM ROWS FROM (pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.text[]),
                    pg_catalog.unnest($5::pg_catalog.text[])) AS u (schema, name, other)
)
SELECT made.classid, made.objid
FROM pg_catalog.pg_identify_object_as_address($1::pg_catalog.oid, $2::pg_catalog.oid, 0) o (kind, names, arguments)
JOIN (SELECT DISTINCT m.said, m.schema FROM moved m) m
    ON m.said = pg_catalog.format('%I.%I', o.names[1], o.names[2])
CROSS JOIN LATERAL pg_catalog.pg_get_object_address(
    o.kind, ARRAY[m.schema] || o.names[2:],
    ARRAY(SELECT COALESCE((SELECT pg_catalog.format('%s.%s', t.schema,
                                                    pg_catalog.substr(a.text, pg_catalog.strpos(a.text, '.') + 1))
                           FROM moved t
                           WHERE a.text IN (t.said, t.said || '[]')
                           LIMIT 1), a.text)
          FROM pg_catalog.unnest(o.arguments) WITH ORDINALITY a (text, n)
          ORDER BY a.n)) made;
