-- Functions that run when a table is made again, and when its rows are moved or compared, and that belong to roles without the rights of the
-- session's role. The owner of a function decides what it does, and it runs with the rights of the role that calls it. A
-- role that may use the session's role anyway (itself, its members, superusers) gains nothing by that.
-- $1 name of the table, qualified and quoted (no rows if there is no such table), $2 names of roles that are trusted
-- (text[]), $3 names of columns whose type the user's statement changes (text[]), $4 names of columns whose default is
-- evaluated (text[]), $5 rows are written, so triggers and rules run
WITH RECURSIVE
-- the table and its partitions
member (oid) AS (
    SELECT pg_catalog.to_regclass($1)::pg_catalog.oid
    UNION ALL
    SELECT i.inhrelid
    FROM member AS m
    JOIN pg_catalog.pg_class AS t ON t.oid = m.oid AND t.relkind = 'p'
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = m.oid
),
types (oid) AS (
    SELECT a.atttypid FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
    UNION
    SELECT inner_type.oid
    FROM types t
    JOIN pg_catalog.pg_type ty ON ty.oid = t.oid
    CROSS JOIN LATERAL (
        SELECT ty.typbasetype AS oid WHERE ty.typbasetype <> 0
        UNION ALL
        SELECT ty.typelem WHERE ty.typelem <> 0
        UNION ALL
        SELECT a.atttypid FROM pg_catalog.pg_attribute a
        WHERE ty.typrelid <> 0 AND a.attrelid = ty.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE ty.oid IN (r.rngtypid, r.rngmultitypid)
        UNION ALL
        SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = ty.oid
    ) AS inner_type
),
-- Objects that have an expression, and their description for people. as_alter: plain ALTER TABLE evaluates it for all rows
-- too, with the rights of the role that runs it.
parts (what, classid, objid, as_alter) AS (
    SELECT pg_catalog.format('constraint %I', c.conname), 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid,
           EXISTS (SELECT FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
                         AND a.attname::pg_catalog.text = ANY ($3::pg_catalog.text[]))
    FROM pg_catalog.pg_constraint c WHERE c.conrelid IN (SELECT m.oid FROM member AS m) AND c.contype = 'c'
    UNION ALL
    SELECT pg_catalog.format('constraint %I of domain %s', c.conname, c.contypid::pg_catalog.regtype),
           'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid, false
    FROM types t JOIN pg_catalog.pg_constraint c ON c.contypid = t.oid AND c.contype = 'c'
    UNION ALL
    SELECT pg_catalog.format(CASE WHEN a.attgenerated <> '' THEN 'generated column %I' ELSE 'the default of column %I' END,
                             a.attname),
           'pg_catalog.pg_attrdef'::pg_catalog.regclass, d.oid, false
    FROM pg_catalog.pg_attrdef d
    JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
    WHERE d.adrelid IN (SELECT m.oid FROM member AS m)
          AND (a.attgenerated <> '' OR a.attname::pg_catalog.text = ANY ($4::pg_catalog.text[]))
    UNION ALL
    SELECT pg_catalog.format('index %I', c.relname), 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, false
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid IN (SELECT m.oid FROM member AS m)
    UNION ALL
    -- of a partitioned table: the expressions and operator classes by which a row finds its partition
    SELECT 'the partition key', 'pg_catalog.pg_class'::pg_catalog.regclass, k.partrelid, false
    FROM pg_catalog.pg_partitioned_table k WHERE k.partrelid IN (SELECT m.oid FROM member AS m)
    UNION ALL
    SELECT pg_catalog.format('trigger %I', t.tgname), 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, false
    FROM pg_catalog.pg_trigger t
    WHERE $5::boolean AND t.tgrelid IN (SELECT m.oid FROM member AS m) AND NOT t.tgisinternal AND t.tgenabled <> 'D'
    UNION ALL
    SELECT pg_catalog.format('rule %I', r.rulename), 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, false
    FROM pg_catalog.pg_rewrite r
    WHERE $5::boolean AND r.ev_class IN (SELECT m.oid FROM member AS m) AND r.ev_enabled <> 'D'
    UNION ALL
    SELECT pg_catalog.format('a cast from %s', c.castsource::pg_catalog.regtype),
           'pg_catalog.pg_cast'::pg_catalog.regclass, c.oid, false
    FROM types t JOIN pg_catalog.pg_cast c ON c.castsource = t.oid AND c.castfunc <> 0
),
uses (what, refclassid, refobjid, as_alter) AS (
    SELECT p.what, d.refclassid, d.refobjid, p.as_alter
    FROM parts p JOIN pg_catalog.pg_depend d ON d.classid = p.classid AND d.objid = p.objid
),
operator_classes (what, family) AS (
    SELECT u.what, o.opcfamily FROM uses u JOIN pg_catalog.pg_opclass o ON o.oid = u.refobjid
    WHERE u.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass
),
functions (what, oid, as_alter) AS (
    SELECT u.what, u.refobjid, u.as_alter FROM uses u WHERE u.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    UNION ALL
    SELECT u.what, o.oprcode::pg_catalog.oid, u.as_alter
    FROM uses u JOIN pg_catalog.pg_operator o ON o.oid = u.refobjid
    WHERE u.refclassid = 'pg_catalog.pg_operator'::pg_catalog.regclass
    UNION ALL
    SELECT c.what, p.amproc::pg_catalog.oid, false
    FROM operator_classes c JOIN pg_catalog.pg_amproc p ON p.amprocfamily = c.family
    UNION ALL
    SELECT c.what, o.oprcode::pg_catalog.oid, false
    FROM operator_classes c
    JOIN pg_catalog.pg_amop m ON m.amopfamily = c.family
    JOIN pg_catalog.pg_operator o ON o.oid = m.amopopr
    -- a domain that an expression casts to, with its constraints
    UNION ALL
    SELECT u.what, d.refobjid, u.as_alter
    FROM uses u
    JOIN pg_catalog.pg_constraint c ON c.contypid = u.refobjid AND c.contype = 'c'
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = c.oid
                                AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    WHERE u.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass
    -- the functions of a type
    UNION ALL
    SELECT pg_catalog.format('type %s', ty.oid::pg_catalog.regtype), f.oid, false
    FROM types t
    JOIN pg_catalog.pg_type ty ON ty.oid = t.oid
    LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = ty.oid
    CROSS JOIN LATERAL (VALUES (ty.typinput::pg_catalog.oid), (ty.typoutput::pg_catalog.oid),
                               (ty.typsend::pg_catalog.oid), (ty.typreceive::pg_catalog.oid),
                               (ty.typmodin::pg_catalog.oid), (ty.typsubscript::pg_catalog.oid),
                               (r.rngsubdiff::pg_catalog.oid), (r.rngcanonical::pg_catalog.oid)) AS f (oid)
    -- Event triggers fire for the statements that make, change and drop the working tables. Plain ALTER TABLE fires
    -- those for its own tag. Those for drops may not fire there.
    UNION ALL
    SELECT pg_catalog.format('event trigger %I', e.evtname), e.evtfoid,
           e.evtevent <> 'sql_drop' AND (e.evttags IS NULL OR 'ALTER TABLE' = ANY (e.evttags))
    FROM pg_catalog.pg_event_trigger e
    JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid
    WHERE pg_catalog.to_regclass($1) IS NOT NULL AND e.evtenabled IN ('O', 'A') AND e.evtevent <> 'login'
          AND NOT p.prosecdef
)
SELECT f.oid AS function_oid,
       f.oid::pg_catalog.regprocedure AS function,
       pg_catalog.pg_get_userbyid(p.proowner) AS owner,
       session_user AS session_role,
       pg_catalog.string_agg(DISTINCT f.what, ', ' ORDER BY f.what) AS what,
       pg_catalog.bool_or(f.as_alter) AS as_alter
FROM functions f
JOIN pg_catalog.pg_proc p ON p.oid = f.oid
WHERE NOT pg_catalog.pg_has_role(p.proowner, session_user, 'USAGE')
      -- the guard of the inactive table; the owner of the schema was checked when the session was opened
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n
                      WHERE n.oid = p.pronamespace AND n.nspname = 'pgrecast' AND n.nspowner = p.proowner)
      AND pg_catalog.pg_get_userbyid(p.proowner)::pg_catalog.text <> ALL ($2::pg_catalog.text[])
GROUP BY f.oid, p.proowner
ORDER BY 5, 2;
