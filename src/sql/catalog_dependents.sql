-- What hangs on a table and is not part of it: kind, description, and why it is not carried over (NULL: for
-- information). The sweep over pg_depend starts from everything that makes up the table, so that a class of objects
-- nobody thought of is found too and refused under its own name.
-- $1 oid of the table
WITH RECURSIVE
me AS (
    SELECT c.oid, c.reltype, c.reltoastrelid, c.relnamespace, c.relname, c.reloftype, c.relispartition,
           c.relrowsecurity, c.relforcerowsecurity
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
hanging (classid, objid, serial) AS (
    SELECT d.classid, d.objid, pg_catalog.bool_and(ours.serial)
    FROM pg_catalog.pg_depend d
    JOIN ours ON d.refclassid = ours.classid AND d.refobjid = ours.objid
    WHERE d.deptype NOT IN ('e', 'x')
      AND NOT EXISTS (SELECT FROM ours o WHERE o.classid = d.classid AND o.objid = d.objid)
    GROUP BY d.classid, d.objid
),
found (kind, description, reason) AS (
    SELECT CASE
               WHEN rel.relkind = 'v' THEN 'view'
               WHEN rel.relkind = 'm' THEN 'materialized view'
               WHEN rule.oid IS NOT NULL THEN 'rule'
               WHEN trigger.oid IS NOT NULL THEN 'trigger'
               WHEN con.contype = 'f' THEN 'foreign key'
               WHEN policy.oid IS NOT NULL THEN 'policy'
               WHEN pub.oid IS NOT NULL THEN 'publication'
               WHEN child.inhrelid IS NOT NULL THEN 'inheritance child'
               WHEN proc.oid IS NOT NULL THEN 'function'
               ELSE 'object'
           END,
           CASE WHEN rel.relkind IN ('v', 'm')
               THEN pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, rel.oid, 0)
               ELSE pg_catalog.pg_describe_object(h.classid, h.objid, 0)
                    || CASE WHEN con.contype = 'f' AND con.confrelid = me.oid AND con.conrelid <> me.oid
                           THEN ' (points to the table)' ELSE '' END
           END,
           CASE WHEN h.serial THEN NULL
               WHEN rel.relkind IN ('v', 'm') THEN 'it would stay with the old table'
               WHEN rule.oid IS NOT NULL THEN 'rules are not carried over yet'
               WHEN trigger.oid IS NOT NULL THEN 'triggers are not carried over yet'
               WHEN con.contype = 'f' THEN 'foreign keys are not carried over yet'
               WHEN policy.oid IS NOT NULL THEN 'policies are not carried over yet'
               WHEN pub.oid IS NOT NULL THEN 'publications are not carried over yet'
               WHEN child.inhrelid IS NOT NULL THEN 'tables with children are not supported yet'
               ELSE 'it depends on the table or its row type and would stay with the old table'
           END
    FROM hanging h
    CROSS JOIN me
    LEFT JOIN pg_catalog.pg_rewrite rule
        ON h.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND rule.oid = h.objid
    LEFT JOIN pg_catalog.pg_class rel ON rel.oid = rule.ev_class AND rule.rulename = '_RETURN'
    LEFT JOIN pg_catalog.pg_trigger trigger
        ON h.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND trigger.oid = h.objid
    LEFT JOIN pg_catalog.pg_constraint con
        ON h.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND con.oid = h.objid
    LEFT JOIN pg_catalog.pg_policy policy
        ON h.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND policy.oid = h.objid
    LEFT JOIN pg_catalog.pg_publication_rel member
        ON h.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND member.oid = h.objid
    LEFT JOIN pg_catalog.pg_publication pub ON pub.oid = member.prpubid
    LEFT JOIN pg_catalog.pg_inherits child
        ON h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND child.inhrelid = h.objid
           AND child.inhparent = me.oid
    LEFT JOIN pg_catalog.pg_proc proc
        ON h.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND proc.oid = h.objid
    WHERE NOT COALESCE(trigger.tgisinternal, false)
      AND NOT COALESCE(pg_catalog.starts_with(pub.pubname, 'pgrecast_'), false)
    UNION ALL
    SELECT 'foreign key', pg_catalog.pg_describe_object('pg_catalog.pg_constraint'::pg_catalog.regclass, c.oid, 0),
           'foreign keys are not carried over yet'
    FROM pg_catalog.pg_constraint c, me
    WHERE c.contype = 'f' AND (c.conrelid = me.oid OR c.confrelid = me.oid)
      AND NOT EXISTS (SELECT FROM hanging h
                      WHERE h.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND h.objid = c.oid)
    UNION ALL
    SELECT 'publication', 'publication ' || p.pubname || ' (for all tables)',
           'the shadow table would be published too'
    FROM pg_catalog.pg_publication p
    WHERE p.puballtables AND NOT pg_catalog.starts_with(p.pubname, 'pgrecast_')
    UNION ALL
    SELECT 'subscription', 'subscription ' || s.subname, 'a table that is fed by replication is not supported yet'
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
    SELECT 'type', 'typed table of ' || pg_catalog.format_type(me.reloftype, NULL), 'typed tables are not supported yet'
    FROM me WHERE me.reloftype <> 0
    UNION ALL
    SELECT 'row security', 'row-level security of the table', 'row-level security is not carried over yet'
    FROM me WHERE me.relrowsecurity OR me.relforcerowsecurity
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
    SELECT 'statistics', pg_catalog.pg_describe_object('pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid, 0),
           'extended statistics in another schema than the table are not carried over yet'
    FROM pg_catalog.pg_statistic_ext s
    JOIN me ON s.stxrelid = me.oid AND s.stxnamespace <> me.relnamespace
    UNION ALL
    SELECT 'event trigger', 'event trigger ' || e.evtname || ' (' || e.evtevent || ')', NULL
    FROM pg_catalog.pg_event_trigger e
    WHERE e.evtenabled <> 'D' AND e.evtevent <> 'login'
)
SELECT DISTINCT f.kind, f.description, f.reason
FROM found f
ORDER BY f.kind, f.description;
