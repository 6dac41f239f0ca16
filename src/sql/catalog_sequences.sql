-- Sequences that belong to columns of a table: those of identity columns (deptype i), and those that are OWNED BY a column
-- (deptype a).
-- $1 oid of the table
SELECT d.refobjsubid,
       c.oid,
       n.nspname,
       c.relname,
       d.deptype = 'i' AS identity,
       pg_catalog.format_type(s.seqtypid, NULL) AS type,
       pg_catalog.format('START WITH %s INCREMENT BY %s MINVALUE %s MAXVALUE %s CACHE %s %s', s.seqstart,
                         s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
                         CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END) AS options,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       c.relacl::pg_catalog.text AS acl,
       c.relpersistence = 'u' AS unlogged,
       EXISTS (
           SELECT FROM pg_catalog.pg_depend u
           LEFT JOIN pg_catalog.pg_attrdef ad
               ON u.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND ad.oid = u.objid
           WHERE u.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND u.refobjid = c.oid
             AND (ad.adrelid, ad.adnum) IS DISTINCT FROM (d.refobjid, d.refobjsubid::pg_catalog.int2))
           AS used_elsewhere,
       pg_catalog.quote_ident(c.relname) AS quoted_name
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refobjid = $1::pg_catalog.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
ORDER BY d.refobjsubid, d.deptype DESC, c.oid;
