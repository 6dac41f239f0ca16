-- The privileges on table $1 and on its columns, from its definition $3 (catalog_fingerprint.sql); $2 is its former one. $4: names of the columns
-- that are the same in both tables; others are left out. possible: swaps can move what was changed. They cannot if the owner's own
-- privileges were changed, if somebody else than the owner grants or has granted privileges on the table, or if such a column was changed.
WITH me AS (
    SELECT c.oid, c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = $1::pg_catalog.oid
),
holder (attname, object) AS (
    SELECT NULL::pg_catalog.text, 'table' FROM me
    UNION ALL
    SELECT a.attname::pg_catalog.text, 'column ' || pg_catalog.quote_ident(a.attname)
    FROM me
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = me.oid AND a.attnum > 0 AND NOT a.attisdropped
),
item AS (
    SELECT h.attname, x.grantor, x.grantee, x.privilege_type, x.is_grantable,
           pg_catalog.bool_or(d.now) AS now, pg_catalog.bool_or(NOT d.now) AS before
    FROM holder AS h
    CROSS JOIN (VALUES ($2::pg_catalog.jsonb, false), ($3::pg_catalog.jsonb, true)) AS d (definition, now)
    CROSS JOIN LATERAL pg_catalog.aclexplode((d.definition -> h.object ->> 'privileges')::pg_catalog.aclitem[]) AS x
    GROUP BY 1, 2, 3, 4, 5
),
verdict AS (
    SELECT NOT EXISTS (SELECT FROM item AS i WHERE i.grantor <> me.relowner)
           AND NOT EXISTS (SELECT FROM item AS i
                           WHERE i.now <> i.before
                                 AND (i.grantee = me.relowner OR i.attname <> ALL ($4::pg_catalog.text[]))) AS possible
    FROM me
),
given AS (
    SELECT i.attname, i.grantee = me.relowner AS of_owner,
           CASE i.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(i.grantee)) END AS grantee,
           pg_catalog.string_agg(i.privilege_type, ', ' ORDER BY i.privilege_type) AS privileges,
           i.is_grantable
    FROM item AS i
    CROSS JOIN me
    WHERE i.now AND (i.attname IS NULL OR i.attname = ANY ($4::pg_catalog.text[]))
    GROUP BY 1, 2, 3, 5
)
SELECT v.possible, g.attname, g.grantee, g.privileges, g.is_grantable
FROM verdict AS v
LEFT JOIN given AS g ON true
ORDER BY g.attname NULLS FIRST, NOT g.of_owner, g.grantee, g.is_grantable
