-- The columns of a table that are not dropped.
-- $1 oid of the table
WITH RECURSIVE base (type, at, mod) AS (
    SELECT t.oid, t.oid, -1
    FROM pg_catalog.pg_type t
    WHERE t.oid IN (SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::pg_catalog.oid)
    UNION ALL
    SELECT b.type, t.typbasetype, t.typtypmod
    FROM base b
    JOIN pg_catalog.pg_type t ON t.oid = b.at AND t.typtype = 'd'
)
SELECT a.attnum,
       a.attname,
       a.atttypid,
       bt.oid,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       pg_catalog.format_type(bt.oid, CASE WHEN bt.oid = a.atttypid THEN a.atttypmod ELSE base.mod END),
       CASE WHEN a.attcollation <> t.typcollation THEN pg_catalog.format('%I.%I', cn.nspname, co.collname) END,
       a.attnotnull,
       nn.conname,
       COALESCE(nn.convalidated, true),
       COALESCE(nn.connoinherit, false),
       pg_catalog.obj_description(nn.oid, 'pg_constraint'),
       pg_catalog.pg_get_expr(ad.adbin, ad.adrelid),
       a.attgenerated,
       a.attidentity,
       (a.attmissingval::pg_catalog.text::pg_catalog.text[])[1],
       a.attstorage,
       t.typstorage,
       a.attcompression,
       COALESCE(a.attstattarget, -1),
       (SELECT pg_catalog.string_agg(pg_catalog.format('%I=%L', o.option_name, o.option_value), ', ')
        FROM pg_catalog.pg_options_to_table(a.attoptions) o
        WHERE o.option_name <> 'pg_attver'), -- a stamp that the server keeps itself (minor releases of 2026)
       pg_catalog.col_description(a.attrelid, a.attnum),
       a.attacl::pg_catalog.text,
       bt.typtype,
       t.typlen = -1 AND t.typstorage <> 'p' AND a.attstorage <> 'p',
       (SELECT pg_catalog.string_agg(DISTINCT d.refobjsubid::pg_catalog.text, ' ')
        FROM pg_catalog.pg_depend d
        WHERE a.attgenerated <> '' AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          AND d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
          AND ((d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = ad.oid)
               OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = a.attrelid
                   AND d.objsubid = a.attnum))),
       et.typelem,
       COALESCE(et.typelem_type, '')
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN base ON base.type = a.atttypid
JOIN pg_catalog.pg_type bt ON bt.oid = base.at AND bt.typtype <> 'd'
LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum AND a.atthasdef
LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
LEFT JOIN pg_catalog.pg_constraint nn
    ON nn.conrelid = a.attrelid AND nn.contype = 'n' AND nn.conkey = ARRAY[a.attnum]
LEFT JOIN LATERAL (
    SELECT e.oid AS typelem, e.typtype AS typelem_type
    FROM pg_catalog.pg_type e
    WHERE bt.typcategory = 'A' AND e.oid = bt.typelem) et ON true
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;
