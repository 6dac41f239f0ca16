-- Which rows of a foreign key's table violate it, as a condition on a row called f. The constraint is read on the clone, where the
-- statements have run; the rows are those of other relations. No row: the key cannot be looked at in this way.
-- $1 schema of the clone; $2 the referencing table's name there; $3 the constraint's name; $4 the referenced rows, as they stand in a FROM
SELECT pg_catalog.concat(
           '(', pg_catalog.string_agg(pg_catalog.format('f.%I IS NOT NULL', k.name),
                                      CASE c.confmatchtype WHEN 'f' THEN ' OR ' ELSE ' AND ' END ORDER BY k.ordinality),
           ') AND NOT EXISTS (SELECT FROM ', $4::pg_catalog.text, ' AS p WHERE ',
           pg_catalog.string_agg(pg_catalog.format('p.%I::%s OPERATOR(%I.%s) f.%I::%s%s', k.ref_name, k.ref_type, k.op_schema, k.op_name,
                                                   k.name, k.type, k.collation), ' AND ' ORDER BY k.ordinality),
           ')') AS violated
FROM pg_catalog.pg_constraint AS c
JOIN pg_catalog.pg_class AS r ON r.oid = c.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace
CROSS JOIN LATERAL (
    SELECT u.ordinality, a.attname AS name, b.attname AS ref_name, o.oprname AS op_name, os.nspname AS op_schema,
           pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, pg_catalog.format_type(b.atttypid, b.atttypmod) AS ref_type,
           CASE WHEN a.attcollation <> b.attcollation AND a.attcollation <> 0 AND b.attcollation <> 0
                THEN pg_catalog.format(' COLLATE %I.%I', ln.nspname, l.collname) END AS collation
    FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey), pg_catalog.unnest(c.conpfeqop))
         WITH ORDINALITY AS u(con, conf, op, ordinality)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = u.con
    JOIN pg_catalog.pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = u.conf
    JOIN pg_catalog.pg_operator AS o ON o.oid = u.op
    JOIN pg_catalog.pg_namespace AS os ON os.oid = o.oprnamespace
    LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = b.attcollation
    LEFT JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace
) AS k
WHERE n.nspname = $1 AND r.relname = $2 AND c.conname = $3 AND c.contype = 'f'
  AND COALESCE((pg_catalog.to_jsonb(c) ->> 'conperiod')::pg_catalog.bool, false) = false
GROUP BY c.oid, c.confmatchtype
