-- The clone's columns between two of the user's statements.
-- $1 oid of the clone
SELECT a.attnum,
       a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       pg_catalog.format_type(a.atttypid, -1) AS bare_type,
       a.atttypid || ' ' || a.atttypmod || ' ' || a.attcollation AS type_id,
       -- whether a cast cuts the value short where ALTER TABLE refuses it
       a.atttypmod >= 0 AND a.atttypid IN (1042, 1043, 1560, 1562)
           OR t.typtype = 'd' AND t.typcategory IN ('S', 'V') AS cuts, -- a domain may be over one of these
       a.attgenerated,
       a.attidentity,
       (a.attmissingval::pg_catalog.text::pg_catalog.text[])[1] AS constant,
       COALESCE(pg_catalog.pg_get_expr(ad.adbin, ad.adrelid),
                pg_catalog.pg_get_expr(t.typdefaultbin, 0),
                pg_catalog.quote_literal(t.typdefault)) AS default_expr,
       EXISTS (
           SELECT FROM pg_catalog.regexp_matches(
                           COALESCE(ad.adbin, t.typdefaultbin)::pg_catalog.text,
                           ':(?:funcid|opfuncid) (\d+)', 'g') f (id)
           JOIN pg_catalog.pg_proc p ON p.oid = f.id[1]::pg_catalog.oid
           WHERE p.provolatile = 'v')
       OR COALESCE(ad.adbin::pg_catalog.text LIKE '%{NEXTVALUEEXPR%', false) AS default_volatile
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;
