-- What depends on a table and is not part of it, except foreign keys: each object with what it is, why it is not carried
-- over (NULL: it is), and what it depends on, which may be another of these objects (a view over a view). The search in
-- pg_depend starts from everything that belongs to the table, so that an object of a class that is not known here is found
-- too, and is refused under its own name.
-- $1 oid of the table
WITH RECURSIVE
me AS (
    SELECT c.oid, c.reltype, c.reltoastrelid, c.relnamespace, c.relname, c.reloftype, c.relispartition, c.relowner,
           c.relforcerowsecurity
    FROM pg_catalog.pg_class c
    WHERE c.oid = $1::pg_catalog.oid
),
ours (classid, objid, serial) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, me.oid, false FROM me
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, me.reltoastrelid, false FROM me WHERE me.reltoastrelid <> 0
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, x.indexrelid, false
    FROM pg_catalog.pg_index x, me WHERE x.indrelid IN (me.oid, me.reltoastrelid)
    UNION ALL
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, false
    FROM pg_catalog.pg_type t, me WHERE me.reltype <> 0 AND (t.oid = me.reltype OR t.typelem = me.reltype)
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid, false
    FROM pg_catalog.pg_constraint c, me WHERE c.conrelid = me.oid AND c.contype IN ('c', 'p', 'u', 'x', 'n')
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, a.oid, false
    FROM pg_catalog.pg_attrdef a, me WHERE a.adrelid = me.oid
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid, false
    FROM pg_catalog.pg_statistic_ext s, me WHERE s.stxrelid = me.oid
    UNION ALL
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, d.objid, d.deptype = 'a'
    FROM pg_catalog.pg_depend d
    JOIN me ON d.refobjid = me.oid
    JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
),
-- One row for each object and each object that it depends on; the table stands for everything that belongs to it.
depending (classid, objid, base_classid, base_objid, serial) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, me.oid, 0::pg_catalog.oid, 0::pg_catalog.oid, false
    FROM me
    UNION
    SELECT owner.classid, owner.objid, h.classid, h.objid, part.serial
    FROM depending h
    CROSS JOIN me
    CROSS JOIN LATERAL (
        SELECT o.classid, o.objid, o.serial FROM ours o WHERE h.objid = me.oid
        UNION ALL
        SELECT h.classid, h.objid, false
        WHERE h.objid <> me.oid AND h.classid IN ('pg_catalog.pg_class'::pg_catalog.regclass,
                                                  'pg_catalog.pg_proc'::pg_catalog.regclass)
        UNION ALL
        SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, false
        FROM pg_catalog.pg_class v
        JOIN pg_catalog.pg_type t ON t.oid = v.reltype OR t.typelem = v.reltype
        WHERE h.objid <> me.oid AND h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND v.oid = h.objid
          AND v.relkind IN ('v', 'm')
    ) part
    JOIN pg_catalog.pg_depend d ON d.refclassid = part.classid AND d.refobjid = part.objid AND d.deptype NOT IN ('e', 'x')
    -- the rule, row type, default or index of a view counts as the view, and so does its TOAST table
    CROSS JOIN LATERAL (
        SELECT CASE WHEN of_view.oid IS NULL THEN d.classid
               ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END AS classid,
               COALESCE(of_view.oid, d.objid) AS objid
        FROM (SELECT) one
        LEFT JOIN LATERAL (
            SELECT v.oid
            FROM pg_catalog.pg_class v
            WHERE v.relkind IN ('v', 'm')
              AND v.oid = CASE d.classid
                  WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN
                      (SELECT r.ev_class FROM pg_catalog.pg_rewrite r WHERE r.oid = d.objid AND r.rulename = '_RETURN')
                  WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN
                      (SELECT a.adrelid FROM pg_catalog.pg_attrdef a WHERE a.oid = d.objid)
                  WHEN 'pg_catalog.pg_type'::pg_catalog.regclass THEN
                      (SELECT CASE WHEN t.typelem <> 0 THEN e.typrelid ELSE t.typrelid END
                       FROM pg_catalog.pg_type t
                       LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
                       WHERE t.oid = d.objid)
                  WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN
                      COALESCE((SELECT x.indrelid FROM pg_catalog.pg_index x WHERE x.indexrelid = d.objid),
                               (SELECT m.oid FROM pg_catalog.pg_class m WHERE m.reltoastrelid = d.objid))
                  WHEN 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass THEN
                      (SELECT s.stxrelid FROM pg_catalog.pg_statistic_ext s WHERE s.oid = d.objid)
                  END
        ) of_view ON true
    ) owner
    WHERE (owner.classid, owner.objid) <> (h.classid, h.objid)
      AND NOT EXISTS (SELECT FROM ours o WHERE o.classid = owner.classid AND o.objid = owner.objid)
),
dependent (classid, objid, bases, direct, serial) AS (
    SELECT h.classid, h.objid,
           pg_catalog.string_agg(DISTINCT h.base_classid::pg_catalog.text || ' ' || h.base_objid, ' ')
               FILTER (WHERE h.base_objid <> me.oid),
           pg_catalog.bool_or(h.base_objid = me.oid AND NOT h.serial),
           pg_catalog.bool_and(h.serial)
    FROM depending h
    CROSS JOIN me
    WHERE h.objid <> me.oid
    GROUP BY h.classid, h.objid
),
kind AS (
    SELECT h.*,
           CASE
               WHEN rel.relkind = 'v' THEN 'view'
               WHEN rel.relkind = 'm' THEN 'materialized view'
               WHEN rule.oid IS NOT NULL THEN 'rule'
               WHEN trigger.oid IS NOT NULL THEN 'trigger'
               WHEN policy.oid IS NOT NULL THEN 'policy'
               WHEN pub.oid IS NOT NULL THEN 'publication'
               WHEN child.inhrelid IS NOT NULL THEN 'inheritance child'
               WHEN proc.oid IS NOT NULL THEN 'function'
               WHEN def.attgenerated = '' THEN 'column default'
               ELSE 'object'
           END AS kind,
           COALESCE(holder.relowner, pub.pubowner, proc.proowner) AS owner,
           COALESCE(holder.relname, pub.pubname, proc.proname) AS holder,
           COALESCE(rel.relnamespace, proc.pronamespace) AS namespace,
           COALESCE(rel.relname, proc.proname) AS name,
           proc.prokind,
           proc.prosqlbody IS NOT NULL AS parsed_body,
           COALESCE(rel.relkind = 'm' AND rel.relispopulated, false) AS filled,
           rel.relkind IN ('v', 'm') AND EXISTS (
               SELECT FROM pg_catalog.pg_rewrite w
               WHERE w.ev_class = rel.oid AND w.rulename = '_RETURN' AND w.ev_action::pg_catalog.text LIKE '%:varattno 0 %')
               AS whole_row,
           -- without a lock, which pg_relation_size() would take
           CASE WHEN rel.relkind = 'm' AND rel.reltuples >= 0 THEN
               pg_catalog.pg_size_pretty(rel.relpages * pg_catalog.current_setting('block_size')::pg_catalog.int8) END AS size,
           proc.oid IS NOT NULL AND NOT EXISTS (
               SELECT FROM depending base
               JOIN pg_catalog.pg_class c ON c.oid = base.base_objid
               JOIN pg_catalog.pg_type t ON t.oid = c.reltype OR t.typelem = c.reltype
               WHERE base.classid = h.classid AND base.objid = h.objid AND c.reltype <> 0
                 AND base.base_classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 AND t.oid = ANY (COALESCE(proc.proallargtypes, proc.proargtypes::pg_catalog.oid[]) || proc.prorettype))
               AS body_only,
           (SELECT e.extname
            FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
            WHERE d.classid = h.classid AND d.objid = h.objid
              AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype IN ('e', 'x')
            LIMIT 1) AS extension,
           (SELECT pg_catalog.string_agg(a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
                                         || CASE WHEN a.attcollation <> 0 THEN ' ' || a.attcollation ELSE '' END, ', '
                                         ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
    FROM dependent h
    LEFT JOIN pg_catalog.pg_class rel
        ON h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND rel.oid = h.objid
    LEFT JOIN pg_catalog.pg_rewrite rule
        ON h.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND rule.oid = h.objid
    LEFT JOIN pg_catalog.pg_trigger trigger
        ON h.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND trigger.oid = h.objid
    LEFT JOIN pg_catalog.pg_policy policy
        ON h.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND policy.oid = h.objid
    LEFT JOIN (SELECT f.oid, f.adrelid, a.attgenerated
               FROM pg_catalog.pg_attrdef f
               JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum) def
        ON h.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND def.oid = h.objid
    LEFT JOIN pg_catalog.pg_class holder
        ON holder.oid = COALESCE(rel.oid, rule.ev_class, trigger.tgrelid, policy.polrelid, def.adrelid)
    LEFT JOIN pg_catalog.pg_publication_rel member
        ON h.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND member.oid = h.objid
    LEFT JOIN pg_catalog.pg_publication pub ON pub.oid = member.prpubid
    LEFT JOIN pg_catalog.pg_inherits child
        ON h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND child.inhrelid = h.objid
           AND child.inhparent = $1::pg_catalog.oid
    LEFT JOIN pg_catalog.pg_proc proc
        ON h.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND proc.oid = h.objid
    LEFT JOIN pg_catalog.pg_constraint con
        ON h.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND con.oid = h.objid
    WHERE NOT COALESCE(trigger.tgisinternal, false)
      AND COALESCE(con.contype, ' ') NOT IN ('f', 't') -- foreign keys: read separately; constraint triggers: as triggers
),
found (classid, objid, kind, description, reason, schema, name, bases, direct, replaceable, columns, parsed_body, filled,
       whole_row, size, owner, not_early) AS (
    SELECT k.classid, k.objid, k.kind,
           pg_catalog.pg_describe_object(k.classid, k.objid, 0),
           CASE
               WHEN k.serial THEN NULL
               WHEN k.kind = 'inheritance child' THEN 'tables with children are not supported yet'
               WHEN k.kind = 'object' OR k.prokind = 'a' THEN
                   'it depends on the table or its row type and would stay with the old table'
               WHEN k.kind IN ('view', 'materialized view') AND k.name ~ '_pgrecast_(new|old)[0-9]*$' THEN
                   'another job has made or kept it: finish that job first, or rename the view if there is none'
               WHEN k.extension IS NOT NULL THEN 'it belongs to extension ' || pg_catalog.quote_ident(k.extension)
               WHEN NOT pg_catalog.pg_has_role(k.owner, 'USAGE') THEN
                   pg_catalog.format('%I belongs to role %I, which the session''s role is not a member of', k.holder,
                                     pg_catalog.pg_get_userbyid(k.owner))
               -- CREATE OR REPLACE needs this privilege too; nobody has it in the temporary schema of another session
               WHEN k.kind IN ('view', 'materialized view', 'function') AND NOT pg_catalog.has_schema_privilege(k.namespace, 'CREATE') THEN
                   pg_catalog.format('the session''s role may not create in schema %I', n.nspname)
           END,
           pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(k.name), k.bases, k.direct,
           k.kind = 'view' OR k.body_only,
           k.columns,
           k.parsed_body,
           k.filled,
           COALESCE(k.whole_row, false),
           k.size,
           pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(k.owner)),
           -- of a view: before the swap nobody else may read the new table, and it has no policies
           CASE
               WHEN NOT pg_catalog.pg_has_role(k.owner, me.relowner, 'USAGE') THEN
                   pg_catalog.format('%I belongs to role %I, which may not read the new table before the swap', k.holder,
                                     pg_catalog.pg_get_userbyid(k.owner))
               WHEN me.relforcerowsecurity THEN
                   'row security is forced on the table, and the new table gets its policies in the swap only'
           END
    FROM kind k
    CROSS JOIN me
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = k.namespace
    UNION ALL
    SELECT 0, 0, i.kind, i.description, i.reason, NULL, NULL, NULL, true, false, NULL, false, false, false, NULL, NULL, NULL
    FROM (
        SELECT 'publication', 'publication ' || p.pubname || ' (for all tables)',
               'the shadow table would be published too'
        FROM pg_catalog.pg_publication p
        WHERE p.puballtables
        UNION ALL
        SELECT 'subscription', 'subscription ' || s.subname,
               'a table that is fed by replication is not supported yet'
        FROM pg_catalog.pg_subscription_rel r
        JOIN me ON r.srrelid = me.oid
        JOIN pg_catalog.pg_subscription s ON s.oid = r.srsubid
        UNION ALL
        SELECT 'inheritance parent', i.inhparent::pg_catalog.regclass::pg_catalog.text,
               'tables with parents are not supported yet'
        FROM pg_catalog.pg_inherits i, me
        WHERE i.inhrelid = me.oid AND NOT me.relispartition
        UNION ALL
        SELECT 'partition', 'partition of ' || i.inhparent::pg_catalog.regclass::pg_catalog.text,
               'a single partition is not supported yet'
        FROM pg_catalog.pg_inherits i, me
        WHERE i.inhrelid = me.oid AND me.relispartition
        UNION ALL
        SELECT 'type', 'typed table of ' || pg_catalog.format_type(me.reloftype, NULL),
               'typed tables are not supported yet'
        FROM me WHERE me.reloftype <> 0
        UNION ALL
        SELECT 'extension', pg_catalog.pg_describe_object(d.classid, d.objid, 0) || ' of '
                            || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0),
               'membership in an extension is not carried over'
        FROM pg_catalog.pg_depend d
        JOIN ours ON d.classid = ours.classid AND d.objid = ours.objid
        WHERE d.deptype IN ('e', 'x')
        UNION ALL
        SELECT 'security label', 'security label (' || l.provider || ') on '
                                 || pg_catalog.pg_describe_object(l.classoid, l.objoid, l.objsubid),
               'security labels are not carried over yet'
        FROM pg_catalog.pg_seclabel l
        JOIN ours ON l.classoid = ours.classid AND l.objoid = ours.objid
        UNION ALL
        SELECT 'statistics',
               pg_catalog.pg_describe_object('pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid, 0),
               'the role may not create in its schema'
        FROM pg_catalog.pg_statistic_ext s
        JOIN me ON s.stxrelid = me.oid
        WHERE NOT pg_catalog.has_schema_privilege(s.stxnamespace, 'CREATE')
           OR NOT pg_catalog.has_schema_privilege(s.stxowner, s.stxnamespace, 'CREATE')
        UNION ALL
        SELECT 'event trigger', 'event trigger ' || e.evtname || ' (' || e.evtevent || ')', NULL
        FROM pg_catalog.pg_event_trigger e
        WHERE e.evtenabled <> 'D' AND e.evtevent <> 'login'
    ) i (kind, description, reason)
)
SELECT f.classid, f.objid, f.kind, f.description, f.reason, f.schema, f.name, f.bases, f.direct, f.replaceable, f.columns,
       f.parsed_body, f.filled, f.whole_row, f.size, f.owner, f.not_early
FROM found f
ORDER BY f.kind, f.description;
