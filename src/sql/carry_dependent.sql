-- Triggers and views that others have added to table $1: whether the swaps can move them from the one table to the other. $2: the other
-- table; $3: the objects of the definition (catalog_fingerprint.sql); $4: names of the columns that are the same in both tables.
-- possible: the object means the same over both tables, and the session's role may make it again. A trigger names no columns and has no
-- condition. A view reads columns of the table that have the same types in both, other tables, and nothing else that is not built in, as far as
-- pg_depend knows. definition, comment: of a trigger, as in the definition of the table. self: of a view.
SELECT u.object, 'trigger' AS kind, 'pg_catalog.pg_trigger'::pg_catalog.regclass::pg_catalog.oid AS classid, t.oid, NULL AS self,
       pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::pg_catalog.text AS definition,
       (SELECT pg_catalog.string_agg(c.objsubid || c.description, ' ' ORDER BY c.objsubid)
        FROM pg_catalog.pg_description AS c
        WHERE c.classoid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND c.objoid = t.oid) AS comment,
       t.tgqual IS NULL AND t.tgattr::pg_catalog.text = '' AND t.tgconstraint = 0 AND t.tgconstrrelid = 0 AND t.tgparentid = 0
       AND pg_catalog.has_function_privilege(t.tgfoid, 'EXECUTE')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c
                       WHERE c.oid IN ($1::pg_catalog.oid, $2::pg_catalog.oid) AND c.relkind <> 'r')
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                       WHERE d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.objid = t.oid AND d.deptype NOT IN ('n', 'a'))
           AS possible
FROM pg_catalog.unnest($3::pg_catalog.text[]) AS u (object)
JOIN pg_catalog.pg_trigger AS t
    ON t.tgrelid = $1::pg_catalog.oid AND NOT t.tgisinternal
       AND pg_catalog.pg_describe_object('pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, 0) = u.object
UNION ALL
SELECT u.object, 'view', 'pg_catalog.pg_class'::pg_catalog.regclass, v.oid, pg_catalog.format('%I.%I', n.nspname, v.relname), NULL, NULL,
       pg_catalog.pg_has_role(v.relowner, 'USAGE') AND pg_catalog.has_schema_privilege(v.relnamespace, 'CREATE')
       -- an extension, or something over it
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                       WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = v.oid AND d.deptype IN ('e', 'x'))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                       WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = v.oid AND d.deptype <> 'i'
                             AND NOT (d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid))
       AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_depend AS d
           LEFT JOIN pg_catalog.pg_class AS c ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.refobjid
           LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = $1::pg_catalog.oid AND d.refobjid = a.attrelid AND a.attnum = d.refobjsubid
           LEFT JOIN pg_catalog.pg_attribute AS same
               ON same.attrelid = $2::pg_catalog.oid AND same.attname = a.attname AND NOT same.attisdropped
           WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid AND d.refobjid <> v.oid
             AND CASE WHEN c.oid IS NULL OR c.relkind NOT IN ('r', 'p') OR c.oid = $2::pg_catalog.oid THEN true
                 WHEN c.oid <> $1::pg_catalog.oid OR d.refobjsubid = 0 THEN false
                 ELSE same.attname IS NULL OR a.attname::pg_catalog.text <> ALL ($4::pg_catalog.text[])
                      OR a.atttypid <> same.atttypid OR a.atttypmod <> same.atttypmod OR a.attcollation <> same.attcollation END)
FROM pg_catalog.unnest($3::pg_catalog.text[]) AS u (object)
JOIN pg_catalog.pg_class AS v
    ON v.relkind = 'v' AND pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, v.oid, 0) = u.object
JOIN pg_catalog.pg_namespace AS n ON n.oid = v.relnamespace
JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = v.oid AND r.rulename = '_RETURN'
