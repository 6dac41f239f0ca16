-- One hash over all that DDL can change about a table and what hangs on it: not sizes, statistics or file numbers,
-- and not the program's own publications. Behind a dot a second one, which leaves out indexes that are no constraints
-- and columns that were dropped.
-- $1 oid of the table
WITH
me AS (
    SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid
),
relation (oid) AS (
    SELECT me.oid FROM me
    UNION ALL
    SELECT x.indexrelid FROM pg_catalog.pg_index x, me WHERE x.indrelid = me.oid
    UNION ALL
    SELECT d.objid
    FROM pg_catalog.pg_depend d
    JOIN me ON d.refobjid = me.oid
    JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
),
line (text) AS (
    SELECT pg_catalog.concat_ws('|', CASE WHEN c.relkind IN ('i', 'I') THEN 'index' ELSE 'relation' END, n.nspname, c.relname, c.relkind, c.relpersistence, c.relowner,
                                c.reltablespace, c.relam, c.reloptions, toast.reloptions, c.relreplident,
                                c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.reloftype,
                                CASE WHEN c.relkind IN ('i', 'I') THEN NULL
                                ELSE coalesce(c.relacl, pg_catalog.acldefault((CASE c.relkind WHEN 'S' THEN 's'
                                                                               ELSE 'r' END)::pg_catalog."char", c.relowner)) END,
                                pg_catalog.obj_description(c.oid, 'pg_class'))
    FROM relation r
    JOIN pg_catalog.pg_class c ON c.oid = r.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid
    UNION ALL
    SELECT pg_catalog.concat_ws('|', CASE WHEN a.attisdropped THEN 'dropped' ELSE 'column' END, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull,
                                a.attidentity, a.attgenerated, a.attstorage, a.attcompression,
                                COALESCE(a.attstattarget, -1), a.attcollation, a.attisdropped, a.attacl,
                                ARRAY(SELECT o FROM pg_catalog.unnest(a.attoptions) o
                                      WHERE NOT pg_catalog.starts_with(o, 'pg_attver=')),
                                pg_catalog.col_description(a.attrelid, a.attnum),
                                pg_catalog.pg_get_expr(ad.adbin, ad.adrelid))
    FROM me
    JOIN pg_catalog.pg_attribute a ON a.attrelid = me.oid AND a.attnum > 0
    LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'index', i.relname, pg_catalog.pg_get_indexdef(x.indexrelid), x.indisprimary,
                                x.indisvalid, x.indisreplident, x.indisclustered, x.indimmediate,
                                (SELECT pg_catalog.string_agg(a.attnum || ':' || a.attstattarget, ',' ORDER BY a.attnum)
                                 FROM pg_catalog.pg_attribute a
                                 WHERE a.attrelid = x.indexrelid AND a.attstattarget >= 0))
    FROM me
    JOIN pg_catalog.pg_index x ON x.indrelid = me.oid
    JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'sequence', c.relname, s.seqtypid, s.seqstart, s.seqincrement, s.seqmax, s.seqmin,
                                s.seqcache, s.seqcycle, d.refobjsubid, d.deptype)
    FROM me
    JOIN pg_catalog.pg_depend d
        ON d.refobjid = me.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
    JOIN pg_catalog.pg_class c ON c.oid = d.objid
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'constraint', c.conrelid = me.oid, c.conname, c.contype,
                                CASE WHEN c.contype = 'f' -- these are validated some time after a swap
                                    THEN pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(c.oid), ' NOT VALID$', '')
                                    ELSE pg_catalog.pg_get_constraintdef(c.oid) || c.convalidated END,
                                pg_catalog.obj_description(c.oid, 'pg_constraint'))
    FROM me
    JOIN pg_catalog.pg_constraint c ON c.conrelid = me.oid OR (c.confrelid = me.oid AND c.contype = 'f')
    WHERE c.contype <> 'f' OR c.conparentid = 0
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'trigger', t.tgname, t.tgenabled, pg_catalog.pg_get_triggerdef(t.oid))
    FROM me
    JOIN pg_catalog.pg_trigger t ON t.tgrelid = me.oid AND NOT t.tgisinternal
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'policy', p.polname, p.polcmd, p.polpermissive, p.polroles,
                                pg_catalog.pg_get_expr(p.polqual, p.polrelid),
                                pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
    FROM me
    JOIN pg_catalog.pg_policy p ON p.polrelid = me.oid
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'statistics', s.stxnamespace, s.stxname, s.stxowner,
                                pg_catalog.pg_get_statisticsobjdef(s.oid),
                                pg_catalog.obj_description(s.oid, 'pg_statistic_ext'))
    FROM me
    JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = me.oid
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'publication', p.pubname)
    FROM me
    CROSS JOIN pg_catalog.pg_publication p
    WHERE NOT pg_catalog.starts_with(p.pubname, 'pgrecast_')
      AND (p.puballtables
           OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = me.oid))
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'inherits', i.inhrelid, i.inhparent, i.inhseqno)
    FROM me
    JOIN pg_catalog.pg_inherits i ON me.oid IN (i.inhrelid, i.inhparent)
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'rule', r.ev_class, r.rulename, r.ev_enabled, r.is_instead,
                                pg_catalog.pg_get_ruledef(r.oid),
                                (SELECT v.reloptions FROM pg_catalog.pg_class v WHERE v.oid = r.ev_class AND v.relkind = 'v'))
    FROM me
    JOIN pg_catalog.pg_rewrite r
        ON r.ev_class = me.oid
           OR r.oid IN (SELECT d.objid
                        FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
                          AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = me.oid)
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'depends', d.classid, d.objid, d.deptype)
    FROM me
    JOIN pg_catalog.pg_depend d
        ON (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = me.oid
            OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid = me.reltype)
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
)
SELECT pg_catalog.md5(COALESCE(pg_catalog.string_agg(line.text, E'\n' ORDER BY line.text COLLATE "C"), '')) || '.'
       || pg_catalog.md5(COALESCE(pg_catalog.string_agg(line.text, E'\n' ORDER BY line.text COLLATE "C")
                                  FILTER (WHERE NOT pg_catalog.starts_with(line.text, 'index|')
                                          AND NOT pg_catalog.starts_with(line.text, 'dropped|')), ''))
FROM line;
