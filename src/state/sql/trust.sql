-- What in schema pgrecast a role other than $1 has made, may change, or could use to run its code. No row: nothing. $2: the
-- body of the one function.
WITH space AS (
    SELECT n.oid, n.nspowner, n.nspacl FROM pg_catalog.pg_namespace AS n WHERE n.nspname = 'pgrecast'
), relation AS (
    SELECT c.* FROM pg_catalog.pg_class AS c JOIN space ON c.relnamespace = space.oid
), guard AS (
    SELECT p.* FROM pg_catalog.pg_proc AS p JOIN space ON p.pronamespace = space.oid
    WHERE p.proname = 'guard' AND p.pronargs = 0 AND p.prosrc = $2 AND p.probin IS NULL AND NOT p.prosecdef
      AND p.proconfig = ARRAY['search_path=""'] AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
      AND p.prolang = (SELECT l.oid FROM pg_catalog.pg_language AS l WHERE l.lanname = 'plpgsql')
), owned AS ( -- what has an owner and privileges
    SELECT 'schema pgrecast' AS object, space.nspowner AS owner, space.nspacl AS acl, 'USAGE' AS harmless FROM space
    UNION ALL
    SELECT pg_catalog.format('%s pgrecast.%I', CASE r.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END, r.relname), r.relowner,
           r.relacl, 'SELECT'
    FROM relation AS r WHERE r.relkind NOT IN ('i', 'I')
    UNION ALL
    SELECT pg_catalog.format('column pgrecast.%I.%I', r.relname, a.attname), r.relowner, a.attacl, 'SELECT'
    FROM relation AS r JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT 'function pgrecast.guard()', guard.proowner, guard.proacl, 'EXECUTE' FROM guard
)
SELECT problem.object, problem.what, problem.owner
FROM (
    SELECT 1 AS rank, o.object, 'belongs to role ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.owner)) AS what,
           pg_catalog.pg_get_userbyid(o.owner)::pg_catalog.text AS owner
    FROM owned AS o
    WHERE pg_catalog.pg_get_userbyid(o.owner) <> $1
    UNION ALL
    SELECT 2, o.object,
           pg_catalog.format('gives %s to %s', a.privilege_type,
                             CASE a.grantee WHEN 0 THEN 'PUBLIC'
                                            ELSE 'role ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END),
           NULL
    FROM owned AS o CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) AS a
    WHERE a.grantee <> o.owner AND a.privilege_type <> o.harmless
    UNION ALL
    SELECT 3, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_depend AS d JOIN space ON d.refobjid = space.oid
    WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
      AND NOT (d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid IN (SELECT guard.oid FROM guard))
      AND d.classid NOT IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_default_acl'::pg_catalog.regclass,
                            coalesce(pg_catalog.to_regclass('pg_catalog.pg_publication_namespace'), 0::pg_catalog.oid))
    UNION ALL
    SELECT 3, pg_catalog.format('relation pgrecast.%I', r.relname), 'is not of pgrecast', NULL
    FROM relation AS r
    WHERE r.relkind NOT IN ('r', 'i', 'S') OR r.relrowsecurity
       OR EXISTS (SELECT FROM pg_catalog.pg_inherits AS h WHERE r.oid IN (h.inhparent, h.inhrelid))
    UNION ALL
    SELECT 3, pg_catalog.format('trigger %I on pgrecast.%I', t.tgname, r.relname), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_trigger AS t JOIN relation AS r ON r.oid = t.tgrelid
    WHERE NOT t.tgisinternal
    UNION ALL
    SELECT 3, pg_catalog.format('rule %I on pgrecast.%I', w.rulename, r.relname), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_rewrite AS w JOIN relation AS r ON r.oid = w.ev_class
    UNION ALL
    SELECT 3, pg_catalog.format('policy %I on pgrecast.%I', p.polname, r.relname), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid
    UNION ALL
    SELECT 3, pg_catalog.format('the default of pgrecast.%I.%I', r.relname, a.attname), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_attrdef AS d JOIN relation AS r ON r.oid = d.adrelid
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE a.attgenerated <> ''
       OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) NOT IN ('clock_timestamp()', '0', '1', 'false', '''0/0''::pg_lsn')
    UNION ALL
    SELECT 3, pg_catalog.format('constraint %I of %s', k.conname, k.conrelid::pg_catalog.regclass), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_constraint AS k
    WHERE (k.conrelid IN (SELECT r.oid FROM relation AS r) OR k.confrelid IN (SELECT r.oid FROM relation AS r))
      AND (k.contype NOT IN ('p', 'u', 'f', 'n')
           OR k.contype = 'f' AND (k.conrelid NOT IN (SELECT r.oid FROM relation AS r)
                                   OR k.confrelid NOT IN (SELECT r.oid FROM relation AS r)))
    UNION ALL
    SELECT 3, pg_catalog.format('index pgrecast.%I', r.relname), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_index AS x JOIN relation AS r ON r.oid = x.indexrelid
    WHERE x.indexprs IS NOT NULL
       OR x.indpred IS NOT NULL AND pg_catalog.pg_get_expr(x.indpred, x.indrelid) <> '(ended_at IS NULL)'
    UNION ALL
    SELECT 3, pg_catalog.format('column pgrecast.%I.%I', r.relname, a.attname), 'is not of pgrecast', NULL
    FROM pg_catalog.pg_attribute AS a JOIN relation AS r ON r.oid = a.attrelid
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind = 'r'
      AND (t.typnamespace <> 'pg_catalog'::pg_catalog.regnamespace OR t.typtype NOT IN ('b', 'p'))
) AS problem
ORDER BY problem.rank, problem.object, problem.what
