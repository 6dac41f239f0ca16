-- A view that was created to read the USING expressions of one ALTER TABLE: its text, and everything in it that makes the
-- result depend on more than the row. Not allowed are volatile functions, the time, whole rows, system columns, and
-- anything that is not an expression over one row.
-- $1 schema, $2 name, $3 oid of the clone
WITH view AS (
    SELECT c.oid, r.ev_action::pg_catalog.text AS tree
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
    WHERE n.nspname = $1 AND c.relname = $2
),
function AS (
    SELECT DISTINCT p.oid, p.oid::pg_catalog.regprocedure::pg_catalog.text AS name, p.proname, p.provolatile,
           p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AS built_in
    FROM view
    CROSS JOIN LATERAL pg_catalog.regexp_matches(view.tree, ':(?:funcid|opfuncid) (\d+)', 'g') f (id)
    JOIN pg_catalog.pg_proc p ON p.oid = f.id[1]::pg_catalog.oid
)
SELECT pg_catalog.pg_get_viewdef(view.oid, false) AS definition,
       (SELECT pg_catalog.string_agg(f.name, ', ' ORDER BY f.name) FROM function f WHERE f.provolatile = 'v')
           AS volatile_functions,
       (SELECT pg_catalog.string_agg(f.name, ', ' ORDER BY f.name) FROM function f
        WHERE f.built_in
          AND (f.proname IN ('now', 'statement_timestamp', 'transaction_timestamp')
               OR f.name IN ('age(timestamp with time zone)', 'age(timestamp without time zone)', 'age(xid)')))
           AS time_functions,
       view.tree ~ '\{(SQLVALUEFUNCTION|CURRENTOFEXPR)' AS reads_session,
       view.tree ~ ':varattno 0 ' AS reads_whole_row,
       view.tree ~ ':varattno -\d' AS reads_system_column,
       (SELECT pg_catalog.string_agg(f.name, ', ' ORDER BY f.name) FROM function f
        WHERE f.provolatile = 's' AND NOT f.built_in) AS stable_functions,
       $3::pg_catalog.oid::pg_catalog.regclass::pg_catalog.text AS relation,
       view.tree ~ '\{(SUBLINK|AGGREF|WINDOWFUNC)' OR view.tree ~ ':funcretset true' AS is_more
FROM view;
