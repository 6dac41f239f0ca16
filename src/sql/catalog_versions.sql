-- The versions (xmin) of all rows in the catalogs that the definition of a table is read from, as one hash for each table.
-- While the hash is the same, nothing was changed, and the definition (catalog_fingerprint.sql) need not be read. It costs
-- little: one statement for all tables. A different hash does not prove that something was changed.
-- $1 oids of the tables
WITH RECURSIVE
root AS (
    SELECT c.oid, c.relnamespace, c.reloftype FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::pg_catalog.oid[])
),
part (root, classid, objid) AS (
    SELECT root.oid, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, root.oid FROM root
    UNION
    SELECT p.root, CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END,
           COALESCE(w.ev_class, d.objid)
    FROM part p
    JOIN pg_catalog.pg_depend d ON d.refclassid = p.classid AND d.refobjid = p.objid AND d.deptype IN ('n', 'a', 'i', 'P', 'S')
    LEFT JOIN pg_catalog.pg_rewrite w
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid AND w.rulename = '_RETURN'
    WHERE p.classid IN ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                        'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_constraint'::pg_catalog.regclass)
),
version (root, text) AS (
    SELECT p.root,
           pg_catalog.concat_ws(' ', p.classid, p.objid,
               CASE p.classid
               WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN
                   (SELECT pg_catalog.concat_ws(' ', c.xmin, x.xmin,
                               (SELECT pg_catalog.string_agg(a.xmin::pg_catalog.text, ' ' ORDER BY a.attnum)
                                FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
                               (SELECT pg_catalog.string_agg(w.xmin::pg_catalog.text, ' ' ORDER BY w.oid)
                                FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid))
                    FROM pg_catalog.pg_class c
                    LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
                    WHERE c.oid = p.objid)
               WHEN 'pg_catalog.pg_constraint'::pg_catalog.regclass THEN
                   (SELECT c.xmin::pg_catalog.text FROM pg_catalog.pg_constraint c WHERE c.oid = p.objid)
               WHEN 'pg_catalog.pg_trigger'::pg_catalog.regclass THEN
                   (SELECT t.xmin::pg_catalog.text FROM pg_catalog.pg_trigger t WHERE t.oid = p.objid)
               WHEN 'pg_catalog.pg_attrdef'::pg_catalog.regclass THEN
                   (SELECT f.xmin::pg_catalog.text FROM pg_catalog.pg_attrdef f WHERE f.oid = p.objid)
               WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN
                   (SELECT y.xmin::pg_catalog.text FROM pg_catalog.pg_policy y WHERE y.oid = p.objid)
               WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN
                   (SELECT w.xmin::pg_catalog.text FROM pg_catalog.pg_rewrite w WHERE w.oid = p.objid)
               WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN
                   (SELECT f.xmin::pg_catalog.text FROM pg_catalog.pg_proc f WHERE f.oid = p.objid)
               WHEN 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass THEN
                   (SELECT s.xmin::pg_catalog.text FROM pg_catalog.pg_statistic_ext s WHERE s.oid = p.objid)
               WHEN 'pg_catalog.pg_publication_rel'::pg_catalog.regclass THEN
                   (SELECT r.xmin::pg_catalog.text FROM pg_catalog.pg_publication_rel r WHERE r.oid = p.objid)
               END,
               (SELECT pg_catalog.string_agg(t.objsubid || '.' || t.xmin, ' ' ORDER BY t.objsubid)
                FROM pg_catalog.pg_description t WHERE t.classoid = p.classid AND t.objoid = p.objid))
    FROM part p
    UNION ALL
    SELECT root.oid, 'sequence ' || s.seqrelid || ' ' || s.xmin
    FROM root
    JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = root.oid
           AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype IN ('a', 'i')
    JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.objid
    UNION ALL
    SELECT root.oid, 'schema ' || n.xmin FROM root JOIN pg_catalog.pg_namespace n ON n.oid = root.relnamespace
    UNION ALL
    SELECT root.oid, 'subscription ' || r.srsubid
    FROM root JOIN pg_catalog.pg_subscription_rel r ON r.srrelid = root.oid
    UNION ALL
    SELECT root.oid, 'parent ' || i.inhparent || ' ' || i.xmin
    FROM root JOIN pg_catalog.pg_inherits i ON i.inhrelid = root.oid
    UNION ALL
    SELECT root.oid, 'label ' || l.provider || l.objsubid || ' ' || l.xmin
    FROM root
    JOIN pg_catalog.pg_seclabel l ON l.objoid = root.oid AND l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
),
-- publications FOR ALL TABLES, and of schemas (15 and later)
everywhere (text) AS (
    SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', p.oid, p.puballtables, d.objid), ' ' ORDER BY p.oid, d.objid)
    FROM pg_catalog.pg_publication p
    LEFT JOIN pg_catalog.pg_depend d
        ON d.refclassid = 'pg_catalog.pg_publication'::pg_catalog.regclass AND d.refobjid = p.oid
           AND d.classid = pg_catalog.to_regclass('pg_catalog.pg_publication_namespace')
)
SELECT v.root AS oid,
       pg_catalog.md5(pg_catalog.string_agg(v.text, E'\n' ORDER BY v.text COLLATE "C") || COALESCE(everywhere.text, '')) AS versions
FROM version v
CROSS JOIN everywhere
GROUP BY v.root, everywhere.text
ORDER BY v.root
