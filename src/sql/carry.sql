-- Statements that give table $2 what table $1 has now: comments, statistics targets and storage parameters; and which property
-- of which object of a definition (catalog_fingerprint.sql) each of them sets. $3: names of the columns that are the
-- same in both. $4: the storage parameters that $1 had before, in the form of that definition. autovacuum_enabled is not carried over, because
-- the new table has a value of its own until the swap.
WITH option (of, name, value, carried) AS (
    SELECT c.oid, p.prefix || pg_catalog.quote_ident(o.option_name), o.option_value, o.option_name <> 'autovacuum_enabled'
    FROM pg_catalog.pg_class AS c
    LEFT JOIN pg_catalog.pg_class AS toast ON toast.oid = c.reltoastrelid
    CROSS JOIN LATERAL (VALUES ('', c.reloptions), ('toast.', toast.reloptions)) AS p (prefix, options)
    CROSS JOIN LATERAL pg_catalog.pg_options_to_table(p.options) AS o
    WHERE c.oid IN ($1::pg_catalog.oid, $2::pg_catalog.oid)
),
action (sql) AS (
    SELECT pg_catalog.format('SET (%s)', pg_catalog.string_agg(pg_catalog.format('%s=%L', d.name, d.value), ', '))
    FROM (SELECT o.name, o.value FROM option AS o WHERE o.of = $1::pg_catalog.oid AND o.carried
          EXCEPT
          SELECT o.name, o.value FROM option AS o WHERE o.of = $2::pg_catalog.oid) AS d
    HAVING pg_catalog.count(*) > 0
    UNION ALL
    SELECT pg_catalog.format('RESET (%s)', pg_catalog.string_agg(d.name, ', '))
    FROM (SELECT o.name FROM option AS o WHERE o.of = $2::pg_catalog.oid AND o.carried
          EXCEPT
          SELECT o.name FROM option AS o WHERE o.of = $1::pg_catalog.oid) AS d
    HAVING pg_catalog.count(*) > 0
)
SELECT 'table' AS object, 'comment' AS property,
       pg_catalog.format('COMMENT ON TABLE %s IS %L', target.name, pg_catalog.obj_description(s.oid, 'pg_class')) AS sql
FROM pg_catalog.pg_class AS s
CROSS JOIN (SELECT $2::pg_catalog.oid::pg_catalog.regclass) AS target (name)
WHERE s.oid = $1::pg_catalog.oid
UNION ALL
SELECT 'table', 'storage parameters',
       CASE WHEN same.autovacuum
           THEN coalesce((SELECT pg_catalog.string_agg(pg_catalog.format('ALTER TABLE %s %s', target.name, a.sql), '; ') FROM action AS a), '')
       END
FROM (SELECT $2::pg_catalog.oid::pg_catalog.regclass) AS target (name)
CROSS JOIN (SELECT pg_catalog.array_agg(x.found ORDER BY x.found) FILTER (WHERE x.now)
                   IS NOT DISTINCT FROM pg_catalog.array_agg(x.found ORDER BY x.found) FILTER (WHERE NOT x.now)
            FROM (SELECT o.name || '=' || o.value, true FROM option AS o WHERE o.of = $1::pg_catalog.oid AND NOT o.carried
                  UNION ALL
                  SELECT pg_catalog.repeat('toast.', (m.number > 1)::integer) || v[1], false
                  FROM pg_catalog.regexp_split_to_table($4::pg_catalog.text, ' toast ') WITH ORDINALITY AS m (text, number)
                  CROSS JOIN LATERAL pg_catalog.regexp_matches(m.text, 'autovacuum_enabled=[^,}]*', 'g') AS v) AS x (found, now)) AS same (autovacuum)
UNION ALL
SELECT 'column ' || pg_catalog.quote_ident(a.attname), p.name, p.sql
FROM pg_catalog.pg_attribute AS a
CROSS JOIN (SELECT $2::pg_catalog.oid::pg_catalog.regclass) AS target (name)
CROSS JOIN LATERAL (VALUES
    ('comment', pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', target.name, a.attname,
                                  pg_catalog.col_description(a.attrelid, a.attnum))),
    ('statistics target', pg_catalog.format('ALTER TABLE ONLY %s ALTER COLUMN %I SET STATISTICS %s', target.name, a.attname,
                                            coalesce(a.attstattarget, -1)))) AS p (name, sql)
WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attname::pg_catalog.text = ANY ($3::pg_catalog.text[])
