-- What keeps PostgreSQL from changing the type of a column, or from dropping it without CASCADE. The clone of the table has none of
-- these objects, except generated columns, which are plain ones there while a statement runs.
-- $1 the table; $2 its clone, whose attnum is the position among the columns of the table; $3 the column's name on the clone;
-- $4 true: the type is changed
WITH source AS (
    SELECT a.attnum, pg_catalog.row_number() OVER (ORDER BY a.attnum) AS position
    FROM pg_catalog.pg_attribute AS a
    WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
), col AS (
    SELECT s.attnum
    FROM pg_catalog.pg_attribute AS a
    JOIN source AS s ON s.position = a.attnum
    WHERE a.attrelid = $2::pg_catalog.oid AND a.attname = $3 AND NOT a.attisdropped
), users AS (
    SELECT d.classid, d.objid, d.objsubid
    FROM pg_catalog.pg_depend AS d
    JOIN col ON d.refobjsubid = col.attnum
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1::pg_catalog.oid
)
SELECT pg_catalog.string_agg(DISTINCT u.name, ', ' ORDER BY u.name) AS users
FROM (
    SELECT pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class, 0) AS name
    FROM users AS u
    JOIN pg_catalog.pg_rewrite AS r ON r.oid = u.objid
    WHERE u.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    UNION ALL
    SELECT pg_catalog.pg_describe_object(u.classid, u.objid, 0)
    FROM users AS u
    WHERE u.classid IN ('pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                        'pg_catalog.pg_publication_rel'::pg_catalog.regclass)
    UNION ALL
    SELECT pg_catalog.pg_describe_object(u.classid, u.objid, 0)
    FROM users AS u
    JOIN pg_catalog.pg_trigger AS t ON t.oid = u.objid
    WHERE u.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND NOT t.tgisinternal
    UNION ALL
    SELECT 'generated column ' || pg_catalog.quote_ident(a.attname)
    FROM users AS u
    LEFT JOIN pg_catalog.pg_attrdef AS e ON u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = u.objid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1::pg_catalog.oid
        AND a.attnum = COALESCE(e.adnum, CASE WHEN u.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                                AND u.objid = $1::pg_catalog.oid THEN u.objsubid END)
    CROSS JOIN col
    JOIN source AS s ON s.attnum = a.attnum
    WHERE $4::pg_catalog.bool AND a.attgenerated <> '' AND a.attnum <> col.attnum
      -- dropped in the same statement: clauses that drop come first
      AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS c
                  WHERE c.attrelid = $2::pg_catalog.oid AND c.attnum = s.position AND NOT c.attisdropped)
) AS u
