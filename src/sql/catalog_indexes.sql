-- The indexes of a table. The definition is what follows "ON schema.table "; NULL if the server's text does not begin as
-- expected. Properties of the key columns: one line for each column, empty if it has none.
-- $1 oid of the table
SELECT i.oid,
       i.relname,
       CASE WHEN pg_catalog.starts_with(def.text, def.prefix)
           THEN pg_catalog.substr(def.text, pg_catalog.length(def.prefix) + 1) END AS definition,
       x.indisunique,
       x.indisprimary,
       x.indisvalid AND x.indisready AND x.indislive AS valid,
       x.indisreplident,
       x.indisclustered,
       ts.spcname,
       COALESCE(con.oid, 0) AS constraint_oid,
       x.indnkeyatts,
       pg_catalog.array_to_string((x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1], ' ') AS key_attnums,
       x.indpred IS NOT NULL AS partial,
       x.indimmediate,
       COALESCE((pg_catalog.to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct, -- 15
       pg_catalog.pg_relation_size(i.oid) AS bytes,
       pg_catalog.obj_description(i.oid, 'pg_class') AS comment,
       (SELECT pg_catalog.string_agg(a.attnum || ' ' || a.attstattarget, ' ' ORDER BY a.attnum)
        FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = i.oid AND a.attstattarget >= 0) AS statistics,
       pg_catalog.pg_get_expr(x.indpred, x.indrelid) AS predicate,
       key.equals,
       key.opclasses,
       key.collations
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_class t ON t.oid = x.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = i.reltablespace
LEFT JOIN pg_catalog.pg_constraint con ON con.conindid = i.oid AND con.conrelid = t.oid AND con.contype IN ('p', 'u', 'x')
CROSS JOIN LATERAL (
    SELECT pg_catalog.pg_get_indexdef(i.oid) AS text,
           pg_catalog.format('CREATE %sINDEX %I ON %s%I.%I ', CASE WHEN x.indisunique THEN 'UNIQUE ' END, i.relname,
                             CASE WHEN t.relkind = 'p' THEN 'ONLY ' END, n.nspname, t.relname) AS prefix) def
CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(CASE WHEN o.oid IS NOT NULL
                                     THEN pg_catalog.format('OPERATOR(%I.%s)', opn.nspname, o.oprname) ELSE '' END,
                                 E'\n' ORDER BY k.n) AS equals,
           pg_catalog.string_agg(pg_catalog.format('%I.%I', cn.nspname, c.opcname), E'\n' ORDER BY k.n) AS opclasses,
           pg_catalog.string_agg(CASE WHEN co.oid IS NOT NULL
                                     THEN pg_catalog.format('%I.%I', col.nspname, co.collname) ELSE '' END,
                                 E'\n' ORDER BY k.n) AS collations
    FROM pg_catalog.generate_series(0, x.indnkeyatts - 1) k (n)
    JOIN pg_catalog.pg_opclass c ON c.oid = x.indclass[k.n]
    JOIN pg_catalog.pg_namespace cn ON cn.oid = c.opcnamespace
    LEFT JOIN pg_catalog.pg_amop a
        ON a.amopfamily = c.opcfamily AND a.amoplefttype = c.opcintype AND a.amoprighttype = c.opcintype
           AND a.amopstrategy = 3 AND a.amopmethod = (SELECT am.oid FROM pg_catalog.pg_am am WHERE am.amname = 'btree')
    LEFT JOIN pg_catalog.pg_operator o ON o.oid = a.amopopr
    LEFT JOIN pg_catalog.pg_namespace opn ON opn.oid = o.oprnamespace
    LEFT JOIN pg_catalog.pg_collation co ON co.oid = x.indcollation[k.n]
    LEFT JOIN pg_catalog.pg_namespace col ON col.oid = co.collnamespace) key
WHERE x.indrelid = $1::pg_catalog.oid
ORDER BY i.oid;
