-- Stored generated columns of a table that read one of its columns.
-- $1 oid of the table, $2 name of the column
SELECT DISTINCT g.attname, g.attnum
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_depend d
    ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
LEFT JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = d.objid
JOIN pg_catalog.pg_attribute g
    ON g.attrelid = a.attrelid AND g.attgenerated = 's' AND g.attnum <> a.attnum
       AND (f.adrelid = a.attrelid AND f.adnum = g.attnum
            OR d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = a.attrelid AND d.objsubid = g.attnum)
WHERE a.attrelid = $1::pg_catalog.oid AND a.attname = $2
ORDER BY g.attnum;
