-- The definition of each table: everything that DDL can change about it and about what depends on it, without sizes,
-- statistics, file numbers and dropped columns, as {object: {property: value}}. And one hash over all of it; after a dot a
-- second hash, without the indexes. The publications that the job itself has made are left out. The guard of the inactive
-- table is not, so that its loss is noticed.
-- Two definitions are equal if and only if nothing was changed, or everything was changed back: an object that can be
-- created again is identified by its text, not by the version of its row. Whether a definition has to be read at all is
-- decided by catalog_versions.sql.
-- Several tables are read in one statement, because to start this one costs more than to read a table.
-- $1 oids of the tables; $2 what is left out: an array of "kind oid", from the ledger
SELECT one.oid, of_one.fingerprint, of_one.definition
FROM pg_catalog.unnest($1::pg_catalog.oid[]) one (oid)
CROSS JOIN LATERAL (
WITH RECURSIVE
me AS (
    SELECT c.* FROM pg_catalog.pg_class c WHERE c.oid = one.oid
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
-- what depends on the table, and what depends on that: a view is found by its rules
depending (classid, objid) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, me.oid FROM me
    UNION
    SELECT CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END,
           COALESCE(w.ev_class, d.objid)
    FROM depending h
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
                        AND own.adrelid = one.oid)
),
line (object, property, value) AS (
    SELECT CASE WHEN c.oid = me.oid THEN 'table'
           WHEN c.relkind = 'S' THEN 'sequence ' || pg_catalog.quote_ident(c.relname)
           ELSE 'index ' || pg_catalog.quote_ident(c.relname) END,
           p.name, p.value
    FROM relation r
    CROSS JOIN me
    JOIN pg_catalog.pg_class c ON c.oid = r.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid
    CROSS JOIN LATERAL (
        VALUES ('kind', pg_catalog.concat_ws(' ', c.relkind, c.relispartition, c.reloftype)),
               ('name', CASE WHEN c.oid = me.oid THEN c.relname::pg_catalog.text END),
               ('schema', n.nspname::pg_catalog.text),
               ('persistence', c.relpersistence::pg_catalog.text),
               ('owner', pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text),
               ('tablespace', c.reltablespace::pg_catalog.text),
               ('access method', c.relam::pg_catalog.text),
               ('storage parameters', CASE WHEN c.reloptions IS NOT NULL OR toast.reloptions IS NOT NULL
                    THEN pg_catalog.concat_ws(' toast ', coalesce(c.reloptions, '{}')::pg_catalog.text, toast.reloptions::pg_catalog.text) ELSE '' END),
               ('replica identity', c.relreplident::pg_catalog.text),
               ('row security', pg_catalog.concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity)),
               ('privileges', CASE WHEN c.relkind NOT IN ('i', 'I')
                    THEN coalesce(c.relacl, pg_catalog.acldefault((CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::pg_catalog."char",
                                                                  c.relowner))::pg_catalog.text END),
               ('comment', (SELECT t.description FROM pg_catalog.pg_description t
                            WHERE t.objoid = c.oid AND t.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND t.objsubid = 0)),
               ('security label', (SELECT pg_catalog.string_agg(l.provider || l.label || l.objsubid, ' ' ORDER BY l.provider, l.objsubid)
                                   FROM pg_catalog.pg_seclabel l
                                   WHERE l.objoid = c.oid AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass))
    ) p (name, value)
    UNION ALL
    SELECT 'column ' || pg_catalog.quote_ident(a.attname), p.name, p.value
    FROM me
    JOIN pg_catalog.pg_attribute a ON a.attrelid = me.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef ad ON ad.adrelid = a.attrelid AND ad.adnum = a.attnum
    CROSS JOIN LATERAL (
        VALUES ('type', pg_catalog.concat_ws(' ', a.attnum, a.atttypid, a.atttypmod, a.attcollation)),
               ('not null', a.attnotnull::pg_catalog.text),
               ('identity', a.attidentity::pg_catalog.text),
               ('default', pg_catalog.concat_ws(' ', a.attgenerated, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid))),
               ('storage', pg_catalog.concat_ws(' ', a.attstorage, a.attcompression)),
               ('statistics target', coalesce(a.attstattarget, -1)::pg_catalog.text),
               ('privileges', a.attacl::pg_catalog.text),
               ('options', (ARRAY(SELECT o FROM pg_catalog.unnest(a.attoptions) o
                                  WHERE NOT pg_catalog.starts_with(o, 'pg_attver=')))::pg_catalog.text),
               ('comment', (SELECT t.description FROM pg_catalog.pg_description t
                            WHERE t.objoid = a.attrelid AND t.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
                              AND t.objsubid = a.attnum))
    ) p (name, value)
    UNION ALL
    SELECT 'index ' || pg_catalog.quote_ident(i.relname), p.name, p.value
    FROM me
    JOIN pg_catalog.pg_index x ON x.indrelid = me.oid
    JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    CROSS JOIN LATERAL (
        VALUES ('definition', pg_catalog.concat_ws(' ', pg_catalog.pg_get_indexdef(x.indexrelid), x.indisprimary, x.indisvalid,
                                                   x.indimmediate)),
               ('replica identity of the table', x.indisreplident::pg_catalog.text),
               ('clustering', x.indisclustered::pg_catalog.text),
               ('statistics target', (SELECT pg_catalog.string_agg(a.attnum || ':' || a.attstattarget, ',' ORDER BY a.attnum)
                                      FROM pg_catalog.pg_attribute a
                                      WHERE a.attrelid = x.indexrelid AND a.attstattarget >= 0))
    ) p (name, value)
    UNION ALL
    SELECT 'sequence ' || pg_catalog.quote_ident(c.relname), 'definition',
           pg_catalog.concat_ws(' ', s.seqtypid, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle, d.refobjsubid,
                                d.deptype)
    FROM me
    JOIN pg_catalog.pg_depend d
        ON d.refobjid = me.oid AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
           AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
    JOIN pg_catalog.pg_class c ON c.oid = d.objid
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
    UNION ALL
    SELECT CASE WHEN c.conrelid = me.oid THEN 'constraint ' || pg_catalog.quote_ident(c.conname)
           ELSE pg_catalog.format('foreign key %I of table %s', c.conname, c.conrelid::pg_catalog.regclass) END,
           p.name, p.value
    FROM me
    CROSS JOIN tied
    JOIN pg_catalog.pg_constraint c
        ON c.oid = tied.oid AND (c.conrelid = me.oid OR (c.confrelid = me.oid AND c.contype = 'f'))
    JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
    CROSS JOIN LATERAL (
        VALUES ('definition', CASE WHEN c.contype = 'f' -- foreign keys are validated some time after a swap
                    THEN pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(c.oid), ' NOT VALID$', '')
                    ELSE pg_catalog.pg_get_constraintdef(c.oid) || c.convalidated END),
               ('comment', (SELECT t.description FROM pg_catalog.pg_description t
                            WHERE t.objoid = c.oid AND t.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
                              AND t.objsubid = 0))
    ) p (name, value)
    WHERE c.contype <> 'f' OR c.conparentid = 0 AND (r.relkind = 'r' AND NOT r.relispartition)
    UNION ALL
    -- a key of a partitioned table may exist only on its partitions until then
    SELECT 'foreign keys of partitioned table ' || k.top::pg_catalog.regclass, 'definitions',
           pg_catalog.string_agg(DISTINCT k.definition, ' ' ORDER BY k.definition)
    FROM (SELECT COALESCE(pg_catalog.pg_partition_root(c.conrelid), c.conrelid) AS top,
                 pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(c.oid), ' NOT VALID$', '') AS definition
          FROM me
          CROSS JOIN tied
          JOIN pg_catalog.pg_constraint c
              ON c.oid = tied.oid AND c.confrelid = me.oid AND c.contype = 'f' AND c.conparentid = 0
          JOIN pg_catalog.pg_class r ON r.oid = c.conrelid AND (r.relkind = 'p' OR r.relispartition)) k
    GROUP BY k.top
    UNION ALL
    SELECT 'statistics ' || CASE WHEN s.stxnamespace = me.relnamespace THEN '' ELSE s.stxnamespace::pg_catalog.regnamespace || '.' END
           || pg_catalog.quote_ident(s.stxname), p.name, p.value
    FROM me
    JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = me.oid
    CROSS JOIN LATERAL (
        VALUES ('definition', pg_catalog.concat_ws(' ', s.stxnamespace, pg_catalog.pg_get_statisticsobjdef(s.oid))),
               ('owner', s.stxowner::pg_catalog.text),
               ('target', coalesce(s.stxstattarget, -1)::pg_catalog.text),
               ('comment', (SELECT t.description FROM pg_catalog.pg_description t
                            WHERE t.objoid = s.oid AND t.classoid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass
                              AND t.objsubid = 0))
    ) p (name, value)
    UNION ALL
    SELECT 'publication ' || pg_catalog.quote_ident(p.pubname), m.name, m.value
    FROM me
    CROSS JOIN pg_catalog.pg_publication p
    CROSS JOIN LATERAL (
        SELECT 'tables', (pg_catalog.to_jsonb(r) - '{oid,prrelid}'::pg_catalog.text[])::pg_catalog.text
        FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = me.oid
        UNION ALL
        SELECT 'all tables', 'true' WHERE p.puballtables
        UNION ALL
        -- 15 and later
        SELECT 'tables in schema', 'true'
        FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_depend of_schema ON of_schema.classid = d.classid AND of_schema.objid = d.objid
             AND of_schema.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND of_schema.refobjid = me.relnamespace
        WHERE d.refclassid = 'pg_catalog.pg_publication'::pg_catalog.regclass AND d.refobjid = p.oid
          AND d.classid = pg_catalog.to_regclass('pg_catalog.pg_publication_namespace')
    ) m (name, value)
    WHERE 'publication ' || p.oid <> ALL ($2::pg_catalog.text[])
    UNION ALL
    SELECT 'subscription ' || pg_catalog.quote_ident(s.subname), 'table', 'true'
    FROM me
    JOIN pg_catalog.pg_subscription_rel r ON r.srrelid = me.oid
    JOIN pg_catalog.pg_subscription s ON s.oid = r.srsubid
    UNION ALL
    SELECT 'inheritance', i.inhrelid::pg_catalog.regclass || ' of ' || i.inhparent::pg_catalog.regclass, i.inhseqno::pg_catalog.text
    FROM me
    -- partitions that are added or removed change no definition; guard_sealed.sql notices them, because of their rows
    JOIN pg_catalog.pg_inherits i ON me.oid = i.inhrelid OR me.oid = i.inhparent AND me.relkind <> 'p'
    UNION ALL
    -- what depends on the table, and on views and functions that depend on it
    SELECT pg_catalog.pg_describe_object(h.classid, h.objid, 0), p.name, p.value
    FROM depending h
    LEFT JOIN pg_catalog.pg_class v ON h.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND v.oid = h.objid
    LEFT JOIN pg_catalog.pg_proc f ON h.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.oid = h.objid
    LEFT JOIN pg_catalog.pg_trigger t ON h.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = h.objid
    LEFT JOIN pg_catalog.pg_policy y ON h.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND y.oid = h.objid
    LEFT JOIN pg_catalog.pg_rewrite w ON h.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = h.objid
    LEFT JOIN pg_catalog.pg_attrdef e ON h.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND e.oid = h.objid
    CROSS JOIN LATERAL (
        SELECT 'definition',
               CASE WHEN v.relkind IN ('v', 'm') THEN
                   pg_catalog.pg_get_viewdef(v.oid)
                   || pg_catalog.concat_ws(' ', v.relnamespace, v.relname, v.reloptions::pg_catalog.text,
                       (SELECT pg_catalog.string_agg(pg_catalog.pg_get_ruledef(x.oid) || x.ev_enabled::pg_catalog.text, ' ' ORDER BY x.rulename)
                        FROM pg_catalog.pg_rewrite x WHERE x.ev_class = v.oid AND x.rulename <> '_RETURN'),
                       (SELECT pg_catalog.string_agg(pg_catalog.pg_get_triggerdef(x.oid) || x.tgenabled::pg_catalog.text, ' ' ORDER BY x.tgname)
                        FROM pg_catalog.pg_trigger x WHERE x.tgrelid = v.oid AND NOT x.tgisinternal),
                       (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', a.attname, a.atttypid, a.atttypmod, a.attcollation,
                                                                          a.attacl::pg_catalog.text,
                                                                          pg_catalog.pg_get_expr(x.adbin, x.adrelid)),
                                                     ' ' ORDER BY a.attnum)
                        FROM pg_catalog.pg_attribute a
                        LEFT JOIN pg_catalog.pg_attrdef x ON x.adrelid = a.attrelid AND x.adnum = a.attnum
                        WHERE a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped))
               WHEN f.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(f.oid)
               WHEN f.oid IS NOT NULL THEN f.xmin::pg_catalog.text
               WHEN t.oid IS NOT NULL THEN pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::pg_catalog.text
               WHEN y.oid IS NOT NULL THEN
                   pg_catalog.concat_ws(' ', y.polcmd, y.polpermissive, y.polroles::pg_catalog.text,
                                        pg_catalog.pg_get_expr(y.polqual, y.polrelid), 'check',
                                        pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid))
               WHEN w.oid IS NOT NULL THEN pg_catalog.pg_get_ruledef(w.oid) || ' ' || w.ev_enabled::pg_catalog.text
               WHEN e.oid IS NOT NULL THEN pg_catalog.pg_get_expr(e.adbin, e.adrelid)
               ELSE h.objid::pg_catalog.text END
        UNION ALL
        -- of a materialized view
        SELECT 'indexes', (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.pg_get_indexdef(x.indexrelid), x.indisclustered,
                                                                             x.indisvalid, i.reltablespace),
                                                        '; ' ORDER BY i.relname)
                           FROM pg_catalog.pg_index x
                           JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
                           WHERE x.indrelid = v.oid)
        WHERE v.relkind = 'm'
        UNION ALL
        SELECT 'statistics', (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', pg_catalog.pg_get_statisticsobjdef(s.oid),
                                                                                coalesce(s.stxstattarget, -1)),
                                                           '; ' ORDER BY s.stxnamespace, s.stxname)
                              FROM pg_catalog.pg_statistic_ext s
                              WHERE s.stxrelid = v.oid)
        WHERE v.relkind = 'm'
        UNION ALL
        SELECT 'storage', pg_catalog.concat_ws(' ', v.reltablespace,
                   (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', coalesce(a.attstattarget, -1), a.attoptions::pg_catalog.text,
                                                                      a.attstorage, a.attcompression), '; ' ORDER BY a.attnum)
                    FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped))
        WHERE v.relkind = 'm'
        UNION ALL
        SELECT 'owner', pg_catalog.pg_get_userbyid(COALESCE(v.relowner, f.proowner))::pg_catalog.text
        WHERE v.oid IS NOT NULL OR f.oid IS NOT NULL
        UNION ALL
        SELECT 'privileges', COALESCE(v.relacl, f.proacl, pg_catalog.acldefault((CASE WHEN v.oid IS NULL THEN 'f' ELSE 'r' END)::pg_catalog."char",
                                                                               COALESCE(v.relowner, f.proowner)))::pg_catalog.text
        WHERE v.oid IS NOT NULL OR f.oid IS NOT NULL
        UNION ALL
        SELECT 'comment', (SELECT pg_catalog.string_agg(c.objsubid || c.description, ' ' ORDER BY c.objsubid)
                           FROM pg_catalog.pg_description c
                           WHERE c.classoid = h.classid AND c.objoid = h.objid)
    ) p (name, value)
    WHERE h.objid <> one.oid AND NOT COALESCE(t.tgisinternal, false)
      AND h.classid NOT IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass,
                            'pg_catalog.pg_publication_rel'::pg_catalog.regclass)
),
object (name, properties) AS (
    SELECT l.object, pg_catalog.jsonb_object_agg(l.property, l.value) FROM line l GROUP BY l.object
)
SELECT pg_catalog.md5(whole.definition::pg_catalog.text) || '.' || pg_catalog.md5(whole.but_indexes::pg_catalog.text) AS fingerprint,
       whole.definition::pg_catalog.text AS definition
FROM (SELECT COALESCE(pg_catalog.jsonb_object_agg(o.name, o.properties), '{}') AS definition,
             COALESCE(pg_catalog.jsonb_object_agg(o.name, o.properties)
                          FILTER (WHERE NOT pg_catalog.starts_with(o.name, 'index ')), '{}') AS but_indexes
      FROM object o) whole
) of_one
