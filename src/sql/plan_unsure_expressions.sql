-- Whether a CHECK, a stored generated column or an index of the table has an expression that may give something else than it gave
-- when a row was written: by a function that finds names by the search_path (its body is a text, and it has no setting of its
-- own), or by one that is not immutable, or by the time.
-- $1 oid of the table
WITH tree (text) AS (
    SELECT f.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef f
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = 's'
    WHERE f.adrelid = $1::pg_catalog.oid
    UNION ALL
    SELECT k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint k
    WHERE k.conrelid = $1::pg_catalog.oid AND k.contype = 'c' AND k.convalidated
    UNION ALL
    SELECT part.tree::pg_catalog.text
    FROM pg_catalog.pg_index x
    CROSS JOIN LATERAL (VALUES (x.indexprs), (x.indpred)) part (tree)
    WHERE x.indrelid = $1::pg_catalog.oid AND part.tree IS NOT NULL
)
SELECT EXISTS (SELECT FROM tree t WHERE pg_catalog.strpos(t.text, '{SQLVALUEFUNCTION ') > 0)
    OR EXISTS (
        SELECT
        FROM tree t
        CROSS JOIN LATERAL pg_catalog.regexp_matches(t.text, ':(?:funcid|opfuncid) (\d+)', 'g') m (found)
        JOIN pg_catalog.pg_proc p ON p.oid = m.found[1]::pg_catalog.oid
        JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE p.provolatile <> 'i'
           OR (l.lanname NOT IN ('internal', 'c') AND p.prosqlbody IS NULL AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
               AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) c (setting)
                               WHERE pg_catalog.starts_with(c.setting, 'search_path=')))) AS unsure;
