-- Which stored expressions would mean something else if the columns of table $1 (oid) had another order: they use the row as a
-- whole (a variable, constant or ROW(...) of its row type, whose fields count by their place), or name the table's columns anew
-- by their place (FROM t AS x (a, b)). $2 (oid[]), $3 (oid[]): class and oid of the objects that depend on the table; its own
-- constraints and defaults are looked at too.
WITH me AS (
    SELECT c.oid, c.reltype, t.typarray FROM pg_catalog.pg_class c JOIN pg_catalog.pg_type t ON t.oid = c.reltype
    WHERE c.oid = $1::pg_catalog.oid
),
wanted (classid, objid) AS (
    SELECT * FROM ROWS FROM (pg_catalog.unnest($2::pg_catalog.oid[]), pg_catalog.unnest($3::pg_catalog.oid[])) AS w
),
tree (classid, objid, text) AS (
    SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, r.ev_class, r.ev_action::pg_catalog.text
    FROM pg_catalog.pg_rewrite r
    WHERE r.ev_class IN (SELECT w.objid FROM wanted w) AND r.rulename = '_RETURN'
    UNION ALL
    SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid,
           pg_catalog.concat(r.ev_qual::pg_catalog.text, r.ev_action::pg_catalog.text)
    FROM pg_catalog.pg_rewrite r WHERE r.oid IN (SELECT w.objid FROM wanted w)
    UNION ALL
    SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid,
           pg_catalog.concat(p.polqual::pg_catalog.text, p.polwithcheck::pg_catalog.text)
    FROM pg_catalog.pg_policy p WHERE p.oid IN (SELECT w.objid FROM wanted w)
    UNION ALL
    SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, g.oid, g.tgqual::pg_catalog.text
    FROM pg_catalog.pg_trigger g WHERE g.oid IN (SELECT w.objid FROM wanted w)
    UNION ALL
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, f.oid, f.prosqlbody::pg_catalog.text
    FROM pg_catalog.pg_proc f WHERE f.oid IN (SELECT w.objid FROM wanted w)
    UNION ALL
    SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, d.oid, d.adbin::pg_catalog.text
    FROM pg_catalog.pg_attrdef d, me WHERE d.adrelid = me.oid OR d.oid IN (SELECT w.objid FROM wanted w)
    UNION ALL
    SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, k.conbin::pg_catalog.text
    FROM pg_catalog.pg_constraint k, me WHERE k.conrelid = me.oid
)
SELECT DISTINCT pg_catalog.pg_describe_object(tree.classid, tree.objid, 0) AS description
FROM tree
CROSS JOIN me
WHERE (tree.objid IN (SELECT w.objid FROM wanted w WHERE w.classid = tree.classid)
       OR tree.classid IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass))
  AND (tree.text ~ pg_catalog.format('type(id)? (%s|%s)[ }]', me.reltype, me.typarray)
       OR tree.text ~ (':alias \{ALIAS :aliasname [^ ]+ :colnames \((?:[^{}\\]|\\.)*\} :eref \{(?:[^{}\\]|\\.)*\} :rtekind 0 :relid '
                       || me.oid || '[ }]'))
ORDER BY 1;
