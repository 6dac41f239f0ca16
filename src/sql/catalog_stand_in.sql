-- An empty table like another one, with what foreign keys from it and to it need: its columns, and its unique keys.
-- $1 oid of the other table, $2 name of the new one, qualified and quoted
WITH relation AS (
    SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.oid
)
SELECT 1 AS step,
       pg_catalog.format('CREATE TABLE %s (%s)', $2::pg_catalog.text,
                         pg_catalog.string_agg(
                             pg_catalog.format('%I %s%s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
                                               CASE WHEN a.attcollation <> t.typcollation
                                                   THEN pg_catalog.format(' COLLATE %I.%I', n.nspname, o.collname)
                                                   ELSE '' END), ', ' ORDER BY a.attnum)) AS sql
FROM relation r
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_collation o ON o.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = o.collnamespace
HAVING pg_catalog.count(*) > 0
UNION ALL
SELECT 2, pg_catalog.format('ALTER TABLE %s ADD %s', $2::pg_catalog.text, pg_catalog.pg_get_constraintdef(c.oid))
FROM relation r
JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid AND c.contype IN ('p', 'u') AND NOT c.condeferrable
UNION ALL
SELECT 3,
       pg_catalog.format('CREATE UNIQUE INDEX ON %s (%s)', $2::pg_catalog.text,
                         (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.at)
                          FROM pg_catalog.unnest(x.indkey::smallint[]) WITH ORDINALITY k (attnum, at)
                          JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
                          WHERE k.at <= x.indnkeyatts))
FROM relation r
JOIN pg_catalog.pg_index x ON x.indrelid = r.oid AND x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.conindid = x.indexrelid AND c.contype IN ('p', 'u'))
ORDER BY 1, 2;
