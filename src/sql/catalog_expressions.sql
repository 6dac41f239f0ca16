-- What the stored expression trees of objects use, in the order of the trees: operators, functions,
-- collations, relations, and types of constants and conversions. pg_depend is not enough: it leaves out what initdb made.
-- Conversions without a function, and the type of an array of constants, are left out here: the server reads
-- (ARRAY['a'::varchar])::text[] back as ARRAY[('a'::varchar)::text], which is the same value.
-- $1, $2 classes and oids of the objects, two lists of equal length; for a view its rule and the defaults of
-- its columns are read, for an index its expressions and its predicate
-- Gives the position in the lists (from 1), a running number, and the part of the object; and of each use its kind
-- (operator, order: of a sort or a group, function, collation, relation, type), its identity (a name that nothing else
-- has), whether it is a conversion or a constant, schema, name without argument types, argument types, and type of the
-- result.
WITH object (at, classid, objid) AS (
    SELECT u.at, u.classid, u.objid
    FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.oid[]))
        WITH ORDINALITY AS u (classid, objid, at)
),
tree (at, part, text) AS (
    SELECT o.at, 'expression', f.adbin::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_attrdef f ON o.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = o.objid
    UNION ALL
    SELECT o.at, 'query', r.ev_action::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_rewrite r
        ON o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND r.ev_class = o.objid AND r.rulename = '_RETURN'
    UNION ALL
    SELECT o.at, part.name, part.tree::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_rewrite r ON o.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = o.objid
    CROSS JOIN LATERAL (VALUES ('condition', r.ev_qual), ('action', r.ev_action)) part (name, tree)
    UNION ALL
    SELECT o.at, 'condition', t.tgqual::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_trigger t ON o.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = o.objid
    UNION ALL
    SELECT o.at, part.name, part.tree::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_policy p ON o.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = o.objid
    CROSS JOIN LATERAL (VALUES ('USING', p.polqual), ('WITH CHECK', p.polwithcheck)) part (name, tree)
    UNION ALL
    SELECT o.at, part.name, part.tree::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_proc p ON o.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = o.objid
    CROSS JOIN LATERAL (VALUES ('body', p.prosqlbody), ('defaults of arguments', p.proargdefaults)) part (name, tree)
    UNION ALL
    SELECT o.at, 'expression', k.conbin::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_constraint k
        ON o.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = o.objid
    UNION ALL
    SELECT o.at, part.name, part.tree::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_index x ON o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND x.indexrelid = o.objid
    CROSS JOIN LATERAL (VALUES ('expressions', x.indexprs), ('predicate', x.indpred)) part (name, tree)
    UNION ALL
    SELECT o.at, 'expressions', s.stxexprs::pg_catalog.text
    FROM object o
    JOIN pg_catalog.pg_statistic_ext s
        ON o.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND s.oid = o.objid
    UNION ALL
    -- from 15 on
    SELECT o.at, 'row filter', pg_catalog.to_jsonb(m) ->> 'prqual'
    FROM object o
    JOIN pg_catalog.pg_publication_rel m
        ON o.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND m.oid = o.objid
),
-- A name that a user chose has a backslash before each space in a tree, so it cannot look like a field. The last two
-- alternatives are a conversion by way of text, and a conversion to a domain.
use (at, part, field, id, is_cast, place, item) AS (
    SELECT t.at, t.part, COALESCE(m.found[1], 'resulttype'), i.id::pg_catalog.oid,
           COALESCE(m.found[3] IN ('1', '2'), m.found[1] = 'consttype' OR m.found[1] IS NULL), m.place, i.item
    FROM tree t
    CROSS JOIN LATERAL pg_catalog.regexp_matches(
        t.text,
        ':(?:(opnos?|eqop|sortop|funcid|aggfnoid|winfnoid|startInRangeFunc|endInRangeFunc|tsmhandler'
        '|inputcollids?|inRangeColl|collOid|consttype|minmaxtype|relid(?= \d+ (?::inh \w+ )?:relkind)) (?:\(o )?([0-9][0-9 ]*)'
        '(?::funcresulttype \d+ :funcretset \w+ :funcvariadic \w+ :funcformat (\d))?'
        '|resulttype (\d+) (?::resultcollid \d+ :coerceformat|:resulttypmod -?\d+ :resultcollid \d+ :coercionformat))',
        'g') WITH ORDINALITY m (found, place)
    CROSS JOIN LATERAL pg_catalog.regexp_split_to_table(pg_catalog.rtrim(COALESCE(m.found[2], m.found[4])), ' +')
        WITH ORDINALITY i (id, item)
    WHERE i.id <> '0'
),
named AS (
    SELECT u.*,
           CASE
               WHEN op.oid IS NOT NULL AND u.field IN ('eqop', 'sortop') THEN 'order'
               WHEN op.oid IS NOT NULL THEN 'operator'
               WHEN p.oid IS NOT NULL THEN 'function'
               WHEN l.oid IS NOT NULL THEN 'collation'
               WHEN c.oid IS NOT NULL THEN 'relation'
               ELSE 'type'
           END AS kind,
           COALESCE(op.oid::pg_catalog.regoperator::pg_catalog.text, p.oid::pg_catalog.regprocedure::pg_catalog.text,
                    l.oid::pg_catalog.regcollation::pg_catalog.text, c.oid::pg_catalog.regclass::pg_catalog.text,
                    t.oid::pg_catalog.regtype::pg_catalog.text, u.id::pg_catalog.text) AS said,
           COALESCE(op.oprname, p.proname, l.collname, c.relname, t.typname) AS name,
           COALESCE(op.oprnamespace, p.pronamespace, l.collnamespace, c.relnamespace, t.typnamespace) AS namespace,
           CASE WHEN op.oid IS NOT NULL THEN ARRAY[op.oprleft, op.oprright] ELSE p.proargtypes::pg_catalog.oid[] END
               AS argument_types,
           COALESCE(op.oprresult, p.prorettype) AS result_type
    FROM use u
    LEFT JOIN pg_catalog.pg_operator op ON u.field IN ('opno', 'opnos', 'eqop', 'sortop') AND op.oid = u.id
    LEFT JOIN pg_catalog.pg_proc p
        ON u.field IN ('funcid', 'aggfnoid', 'winfnoid', 'startInRangeFunc', 'endInRangeFunc', 'tsmhandler') AND p.oid = u.id
    LEFT JOIN pg_catalog.pg_collation l
        ON u.field IN ('inputcollid', 'inputcollids', 'inRangeColl', 'collOid') AND l.oid = u.id
    LEFT JOIN pg_catalog.pg_class c ON u.field = 'relid' AND c.oid = u.id
    LEFT JOIN pg_catalog.pg_type t ON u.field IN ('consttype', 'minmaxtype', 'resulttype') AND t.oid = u.id
)
SELECT k.at, pg_catalog.row_number() OVER (ORDER BY k.at, k.part, k.place, k.item) AS place, k.part, k.kind, k.said AS identity, k.is_cast,
       pg_catalog.quote_ident(n.nspname) AS schema,
       pg_catalog.format('%s.%s', pg_catalog.quote_ident(n.nspname), k.name) AS name,
       (SELECT pg_catalog.string_agg(pg_catalog.format_type(a.id, NULL), ',' ORDER BY a.item)
        FROM pg_catalog.unnest(k.argument_types) WITH ORDINALITY a (id, item)) AS arguments,
       pg_catalog.format_type(k.result_type, NULL) AS result
FROM named k
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = k.namespace
ORDER BY 1, 2;
