-- One hash over all that DDL can change about a table and what hangs on it: not sizes, statistics or file numbers,
-- and not the program's own publications. Behind a dot a second one, which leaves out indexes that are no constraints
-- and columns that were dropped.
-- Read under the lock of a swap, twice. So comments are read from their catalog: the functions for them are in SQL, which is
-- parsed and planned anew in every execution. And foreign keys are found by what they depend on: no index leads from the
-- table that they refer to.
-- $1 oid of the table
WITH RECURSIVE
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
tied (oid) AS (
    SELECT c.oid FROM me JOIN pg_catalog.pg_constraint c ON c.conrelid = me.oid
    UNION
    SELECT d.objid
    FROM me
    JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = me.oid
           AND d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
),
-- what hangs on the table, and what hangs on that: views are known by their rules
hanging (classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, me.oid FROM me
    UNION
    SELECT CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END,
           COALESCE(w.ev_class, d.objid)
    FROM hanging h
    CROSS JOIN LATERAL (
        SELECT h.classid AS classid, h.objid AS objid
        UNION ALL
        SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid
        FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_type row_type ON row_type.oid = c.reltype
        JOIN pg_catalog.pg_type t ON t.oid IN (row_type.oid, row_type.typarray)
        WHERE h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = h.objid) part
    JOIN pg_catalog.pg_depend d
        ON d.refclassid = part.classid AND d.refobjid = part.objid AND d.deptype IN ('n', 'a')
           AND d.classid NOT IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass,
                                 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass)
    LEFT JOIN pg_catalog.pg_rewrite w
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid AND w.rulename = '_RETURN'
    WHERE h.classid IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_attrdef own
                      WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND own.oid = d.objid
                        AND own.adrelid = $1::pg_catalog.oid)
),
line (text) AS (
    SELECT pg_catalog.concat_ws('|', CASE WHEN c.relkind IN ('i', 'I') THEN 'index' ELSE 'relation' END, n.nspname, c.relname, c.relkind, c.relpersistence, c.relowner,
                                c.reltablespace, c.relam, c.reloptions, toast.reloptions, c.relreplident,
                                c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.reloftype,
                                CASE WHEN c.relkind IN ('i', 'I') THEN NULL
                                ELSE coalesce(c.relacl, pg_catalog.acldefault((CASE c.relkind WHEN 'S' THEN 's'
                                                                               ELSE 'r' END)::pg_catalog."char", c.relowner)) END,
                                (SELECT t.description FROM pg_catalog.pg_description t
                                 WHERE t.objoid = c.oid AND t.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND t.objsubid = 0))
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
                                (SELECT t.description FROM pg_catalog.pg_description t
                                 WHERE t.objoid = a.attrelid AND t.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                   AND t.objsubid = a.attnum),
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
                                (SELECT t.description FROM pg_catalog.pg_description t
                                 WHERE t.objoid = c.oid AND t.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND t.objsubid = 0))
    FROM me
    CROSS JOIN tied
    JOIN pg_catalog.pg_constraint c
        ON c.oid = tied.oid AND (c.conrelid = me.oid OR (c.confrelid = me.oid AND c.contype = 'f'))
    JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
    WHERE c.contype <> 'f' OR c.conparentid = 0 AND (r.relkind = 'r' AND NOT r.relispartition)
    UNION ALL
    -- one of a partitioned table may be on its partitions only for that time
    SELECT DISTINCT pg_catalog.concat_ws('|', 'partitioned', COALESCE(pg_catalog.pg_partition_root(c.conrelid), c.conrelid)::pg_catalog.oid,
                                         pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(c.oid), ' NOT VALID$', ''))
    FROM me
    CROSS JOIN tied
    JOIN pg_catalog.pg_constraint c
        ON c.oid = tied.oid AND c.confrelid = me.oid AND c.contype = 'f' AND c.conparentid = 0
    JOIN pg_catalog.pg_class r ON r.oid = c.conrelid AND (r.relkind = 'p' OR r.relispartition)
    UNION ALL
    SELECT pg_catalog.concat_ws('|', 'statistics', s.stxnamespace, s.stxname, s.stxowner,
                                pg_catalog.pg_get_statisticsobjdef(s.oid),
                                (SELECT t.description FROM pg_catalog.pg_description t
                                 WHERE t.objoid = s.oid AND t.classoid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND t.objsubid = 0))
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
    -- of what hangs on the table, and on views and functions that do, the rows' own versions
    SELECT pg_catalog.concat_ws('|', 'hangs', h.classid, h.objid, v.text, p.xmin, t.xmin, y.xmin, r.xmin, f.xmin, m.xmin,
                                (SELECT pg_catalog.string_agg(c.objsubid || c.description, ' ' ORDER BY c.objsubid)
                                 FROM pg_catalog.pg_description c
                                 WHERE c.classoid = h.classid AND c.objoid = h.objid))
    FROM hanging h
    LEFT JOIN LATERAL (
        SELECT pg_catalog.concat_ws('|', c.relnamespace, c.relname, c.relowner, c.relacl, c.reloptions,
                   (SELECT pg_catalog.string_agg(w.xmin::pg_catalog.text, ' ' ORDER BY w.oid)
                    FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid),
                   (SELECT pg_catalog.string_agg(g.xmin::pg_catalog.text, ' ' ORDER BY g.oid)
                    FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid),
                   (SELECT pg_catalog.string_agg(a.xmin::pg_catalog.text, ' ' ORDER BY a.attnum)
                    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
                   (SELECT pg_catalog.string_agg(d.xmin::pg_catalog.text, ' ' ORDER BY d.oid)
                    FROM pg_catalog.pg_attrdef d WHERE d.adrelid = c.oid))
        FROM pg_catalog.pg_class c
        WHERE h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = h.objid AND c.relkind IN ('v', 'm')) v (text)
        ON true
    LEFT JOIN pg_catalog.pg_proc p ON h.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = h.objid
    LEFT JOIN pg_catalog.pg_trigger t ON h.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = h.objid
    LEFT JOIN pg_catalog.pg_policy y ON h.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND y.oid = h.objid
    LEFT JOIN pg_catalog.pg_rewrite r ON h.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = h.objid
    LEFT JOIN pg_catalog.pg_attrdef f ON h.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = h.objid
    LEFT JOIN pg_catalog.pg_publication_rel m
        ON h.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND m.oid = h.objid
    WHERE h.objid <> $1::pg_catalog.oid AND NOT COALESCE(t.tgisinternal, false)
      AND h.classid NOT IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_publication o
                      WHERE o.oid = m.prpubid AND pg_catalog.starts_with(o.pubname, 'pgrecast_'))
)
SELECT pg_catalog.md5(COALESCE(pg_catalog.string_agg(line.text, E'\n' ORDER BY line.text COLLATE "C"), '')) || '.'
       || pg_catalog.md5(COALESCE(pg_catalog.string_agg(line.text, E'\n' ORDER BY line.text COLLATE "C")
                                  FILTER (WHERE NOT pg_catalog.starts_with(line.text, 'index|')
                                          AND NOT pg_catalog.starts_with(line.text, 'dropped|')), ''))
FROM line
