-- Expressions of a table that are bound to it, whatever its name: expressions that refer to it, or to an index of its own,
-- by a constant of type regclass, which is an oid in the tree (its sequences are left out, because they move along with
-- the columns); that use the row as a whole, which has the table's row type; and generated columns over tableoid.
-- Also functions that find names by the search_path: those with a text as their body and without a setting of their own.
-- If an index calls such a function with a type that is not in pg_catalog, an operator may silently be another one: index
-- path.
-- Gives the object, what was found (constant, row, tableoid, path, index path), and the relation of a constant or the
-- function; sql: the oid of that function if it is in SQL.
-- $1 oid of the table
WITH tree (classid, objid, text) AS (
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass::pg_catalog.oid, f.oid, f.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef f
    WHERE f.adrelid = $1::pg_catalog.oid
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = $1::pg_catalog.oid AND k.conbin IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, x.indexrelid, part.tree::pg_catalog.text
    FROM pg_catalog.pg_index x
    CROSS JOIN LATERAL (VALUES (x.indexprs), (x.indpred)) part (tree)
    WHERE x.indrelid = $1::pg_catalog.oid AND part.tree IS NOT NULL
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid, s.stxexprs::pg_catalog.text
    FROM pg_catalog.pg_statistic_ext s
    WHERE s.stxrelid = $1::pg_catalog.oid AND s.stxexprs IS NOT NULL
),
constant AS (
    SELECT t.classid, t.objid,
           -- the first four bytes of the value, lowest byte first, as a little-endian machine stores them; some are
           -- printed as signed numbers
           (SELECT pg_catalog.sum(pg_catalog.mod(b.byte::pg_catalog.int8 + 256, 256)
                                  * pg_catalog.power(256, b.n - 1)::pg_catalog.int8)
            FROM pg_catalog.regexp_split_to_table(m.found[1], ' ') WITH ORDINALITY b (byte, n))::pg_catalog.int8::pg_catalog.oid
               AS id
    FROM tree t
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        t.text, ':consttype 2205 [^{}]*:constvalue 4 \[ ((?:-?\d+ ){3}-?\d+) ', 'g') m (found)
)
SELECT pg_catalog.pg_describe_object(k.classid, k.objid, 0) AS object, 'constant' AS what,
       k.id::pg_catalog.regclass::pg_catalog.text AS relation, NULL::pg_catalog.oid AS sql
FROM constant k
WHERE k.id = $1::pg_catalog.oid
   OR k.id IN (SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = $1::pg_catalog.oid)
UNION ALL
SELECT pg_catalog.pg_describe_object(t.classid, t.objid, 0), 'row', NULL, NULL
FROM tree t
WHERE t.text ~ ':varattno 0 '
UNION ALL
SELECT pg_catalog.pg_describe_object(t.classid, t.objid, 0), 'tableoid', NULL, NULL
FROM tree t
JOIN pg_catalog.pg_attrdef f
    ON t.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = t.objid
JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
WHERE t.text ~ ':varattno -6 '
UNION ALL
SELECT DISTINCT pg_catalog.pg_describe_object(t.classid, t.objid, 0),
       CASE WHEN t.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.found[1] = 'funcid' AND EXISTS (
           SELECT FROM pg_catalog.unnest(p.proargtypes) a (type)
           JOIN pg_catalog.pg_type y ON y.oid = a.type
           JOIN pg_catalog.pg_type e ON e.oid = COALESCE(NULLIF(y.typelem, 0), NULLIF(y.typbasetype, 0), y.oid)
           WHERE e.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace AND e.typtype IN ('b', 'c'))
           THEN 'index path' ELSE 'path' END,
       p.oid::pg_catalog.regprocedure::pg_catalog.text, CASE WHEN l.lanname = 'sql' THEN p.oid END
FROM tree t
CROSS JOIN LATERAL pg_catalog.regexp_matches(t.text, ':(funcid|opfuncid) (\d+)', 'g') m (found)
JOIN pg_catalog.pg_proc p ON p.oid = m.found[2]::pg_catalog.oid
JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c')
WHERE p.prosqlbody IS NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) c (setting) WHERE pg_catalog.starts_with(c.setting, 'search_path='))
  AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
ORDER BY 1, 2, 3;
