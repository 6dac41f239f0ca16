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
),
-- everything that a type is built from: base types, elements, attributes, subtypes
part (type, at) AS (
    SELECT a.atttypid, a.atttypid
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT p.type, inner_type.oid
    FROM part p
    JOIN pg_catalog.pg_type t ON t.oid = p.at
    CROSS JOIN LATERAL (
        SELECT t.typbasetype
        UNION ALL
        SELECT t.typelem
        UNION ALL
        SELECT ca.atttypid
        FROM pg_catalog.pg_attribute ca
        WHERE t.typtype = 'c' AND ca.attrelid = t.typrelid AND ca.attnum > 0 AND NOT ca.attisdropped
        UNION ALL
        SELECT r.rngsubtype
        FROM pg_catalog.pg_range r
        WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) inner_type (oid)
    WHERE inner_type.oid <> 0
)
SELECT a.attnum,
       a.attname,
       a.atttypid,
       bt.oid AS base_type_oid,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       pg_catalog.format_type(bt.oid, CASE WHEN bt.oid = a.atttypid THEN a.atttypmod ELSE base.mod END) AS base_type,
       CASE WHEN a.attcollation <> t.typcollation THEN pg_catalog.format('%I.%I', cn.nspname, co.collname) END
           AS collation,
       -- a domain may have another collation than its base type
       CASE WHEN a.attcollation <> bt.typcollation THEN pg_catalog.format('%I.%I', cn.nspname, co.collname) END
           AS base_collation,
       COALESCE(NOT co.collisdeterministic, false) AS nondeterministic,
       EXISTS (
           SELECT FROM part p
           JOIN pg_catalog.pg_constraint pc ON pc.contypid = p.at AND NOT pc.convalidated
           WHERE p.type = a.atttypid) AS unvalidated,
       a.attnotnull,
       nn.conname AS not_null_name,
       COALESCE(nn.convalidated, true) AS not_null_valid,
       COALESCE(nn.connoinherit, false) AS not_null_no_inherit,
       pg_catalog.obj_description(nn.oid, 'pg_constraint') AS not_null_comment,
       pg_catalog.pg_get_expr(ad.adbin, ad.adrelid) AS default_expr,
       a.attgenerated,
       a.attidentity,
       (a.attmissingval::pg_catalog.text::pg_catalog.text[])[1] AS missing,
       a.attstorage,
       t.typstorage,
       a.attcompression,
       COALESCE(a.attstattarget, -1) AS statistics,
       (SELECT pg_catalog.string_agg(pg_catalog.format('%I=%L', o.option_name, o.option_value), ', ')
        FROM pg_catalog.pg_options_to_table(a.attoptions) o
        WHERE o.option_name <> 'pg_attver') AS options, -- a mark that the server writes itself (minor releases of 2026)
       pg_catalog.col_description(a.attrelid, a.attnum) AS comment,
       a.attacl::pg_catalog.text AS acl,
       bt.typtype,
       t.typlen = -1 AND t.typstorage <> 'p' AND a.attstorage <> 'p' AS toastable,
       (SELECT pg_catalog.string_agg(DISTINCT d.refobjsubid::pg_catalog.text, ' ')
        FROM pg_catalog.pg_depend d
        WHERE a.attgenerated <> '' AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
          AND d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
          AND ((d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = ad.oid)
               OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = a.attrelid
                   AND d.objsubid = a.attnum))) AS generated_from,
       et.typelem AS element_type_oid,
       COALESCE(et.typelem_type, '') AS element_typtype
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
