-- Functions that find names by the search_path while they run: those with a text as their body and without a setting of
-- their own. is_sql: the server can check the body without running it.
-- $1 functions, as regprocedure writes them; $2 operators, as regoperator writes them: their functions are looked at
SELECT DISTINCT p.oid, p.oid::pg_catalog.regprocedure::pg_catalog.text AS function, l.lanname = 'sql' AS is_sql
FROM (SELECT f.name::pg_catalog.regprocedure::pg_catalog.oid AS oid FROM pg_catalog.unnest($1::pg_catalog.text[]) f (name)
      UNION ALL
      SELECT o.oprcode::pg_catalog.oid
      FROM pg_catalog.unnest($2::pg_catalog.text[]) n (name)
      JOIN pg_catalog.pg_operator o ON o.oid = n.name::pg_catalog.regoperator) u
JOIN pg_catalog.pg_proc p ON p.oid = u.oid
JOIN pg_catalog.pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('internal', 'c')
WHERE p.prosqlbody IS NULL
  AND NOT EXISTS (SELECT FROM pg_catalog.unnest(p.proconfig) c (setting) WHERE pg_catalog.starts_with(c.setting, 'search_path='))
  AND p.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace
ORDER BY 2
