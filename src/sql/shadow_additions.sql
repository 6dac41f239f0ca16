-- What a new table, or one of its partitions, has although the program has not created it: an event trigger may have added it, or somebody else.
-- undo: the statement that removes it; null: no statement does so safely.
-- $1 oid of the table; $2 what the job has made: an array of "kind oid", from the ledger; $3 names of its columns; $4, $5
-- whether it has to have row security, and force it; $6 rows are in it already; $7, $8 names of its constraints and
-- indexes, null where they are not looked at; $9, $10, $11 owner, storage parameters, and those of its TOAST table, in the
-- form of catalog_table.sql; $12 definitions of its statistics objects, in the form of catalog_statistics.sql; $13 names of
-- its partitions
WITH RECURSIVE part (oid) AS (
    SELECT $1::pg_catalog.oid
    UNION ALL
    SELECT i.inhrelid
    FROM part AS p
    JOIN pg_catalog.pg_class AS t ON t.oid = p.oid AND t.relkind = 'p'
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
)
SELECT a.what || CASE WHEN c.oid <> $1::pg_catalog.oid AND a.step > 0 THEN ' of partition ' || c.oid::pg_catalog.regclass ELSE '' END AS what, a.undo
FROM part
JOIN pg_catalog.pg_class AS c ON c.oid = part.oid
CROSS JOIN LATERAL (
    SELECT 1 AS step, 'row security' AS what, pg_catalog.format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', c.oid::pg_catalog.regclass) AS undo
    WHERE c.relrowsecurity AND NOT $4::pg_catalog.bool
    UNION ALL
    SELECT 1, 'forced row security', pg_catalog.format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', c.oid::pg_catalog.regclass)
    WHERE c.relforcerowsecurity AND NOT $5::pg_catalog.bool
    UNION ALL
    SELECT 1, 'policy ' || pg_catalog.quote_ident(p.polname), pg_catalog.format('DROP POLICY %I ON %s', p.polname, c.oid::pg_catalog.regclass)
    FROM pg_catalog.pg_policy AS p WHERE p.polrelid = c.oid
    UNION ALL
    -- the trigger may have changed rows
    SELECT 1, 'trigger ' || pg_catalog.quote_ident(t.tgname),
           CASE WHEN NOT $6::pg_catalog.bool THEN pg_catalog.format('DROP TRIGGER %I ON %s', t.tgname, c.oid::pg_catalog.regclass) END
    FROM pg_catalog.pg_trigger AS t
    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND 'guard ' || t.oid <> ALL ($2::pg_catalog.text[])
      AND NOT (c.relispartition AND t.tgfoid = pg_catalog.to_regproc('pgrecast.guard'))
    UNION ALL
    SELECT 1, 'rule ' || pg_catalog.quote_ident(r.rulename),
           CASE WHEN NOT $6::pg_catalog.bool THEN pg_catalog.format('DROP RULE %I ON %s', r.rulename, c.oid::pg_catalog.regclass) END
    FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid
    UNION ALL
    SELECT 1, 'publication ' || pg_catalog.quote_ident(p.pubname),
           pg_catalog.format('ALTER PUBLICATION %I DROP TABLE %s', p.pubname, c.oid::pg_catalog.regclass)
    FROM pg_catalog.pg_publication_rel AS m
    JOIN pg_catalog.pg_publication AS p ON p.oid = m.prpubid
    WHERE m.prrelid = c.oid AND 'publication ' || p.oid <> ALL ($2::pg_catalog.text[])
    UNION ALL
    SELECT 1, 'privileges of ' || role.name,
           pg_catalog.format('REVOKE ALL ON TABLE %s FROM %s', c.oid::pg_catalog.regclass, role.name)
    FROM (SELECT DISTINCT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(g.grantee)) END
          FROM pg_catalog.aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner) AS role (name)
    UNION ALL
    SELECT 2, 'column ' || pg_catalog.quote_ident(f.attname), NULL
    FROM pg_catalog.pg_attribute AS f
    WHERE f.attrelid = c.oid AND f.attnum > 0 AND NOT f.attisdropped AND f.attname::pg_catalog.text <> ALL ($3::pg_catalog.text[])
    UNION ALL
    SELECT 1, 'constraint ' || pg_catalog.quote_ident(k.conname),
           pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', c.oid::pg_catalog.regclass, k.conname)
    FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid = c.oid AND k.contype IN ('c', 'p', 'u', 'x', 'f') AND k.conname::pg_catalog.text <> ALL ($7::pg_catalog.text[])
      AND NOT (c.relispartition AND (k.conparentid <> 0 OR k.coninhcount > 0))
    UNION ALL
    SELECT 1, 'index ' || pg_catalog.quote_ident(i.relname), pg_catalog.format('DROP INDEX %s', i.oid::pg_catalog.regclass)
    FROM pg_catalog.pg_index AS x
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    WHERE x.indrelid = c.oid AND i.relname::pg_catalog.text <> ALL ($8::pg_catalog.text[])
      AND NOT (c.relispartition AND i.relispartition)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid = i.oid AND k.conrelid = c.oid)
    UNION ALL
    -- of several with a planned definition, the program's own have its suffix, or were created first
    SELECT 1, 'statistics ' || pg_catalog.quote_ident(s.stxname), pg_catalog.format('DROP STATISTICS %I.%I', s.nspname, s.stxname)
    FROM (SELECT e.stxname, m.nspname, d.definition,
                 pg_catalog.row_number() OVER (PARTITION BY d.definition
                                               ORDER BY pg_catalog.strpos(e.stxname, '_pgrecast_new') = 0, e.oid) AS number
          FROM pg_catalog.pg_statistic_ext AS e
          JOIN pg_catalog.pg_namespace AS m ON m.oid = e.stxnamespace
          JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
          CROSS JOIN LATERAL (
              SELECT pg_catalog.substr(pg_catalog.left(t.text, -pg_catalog.length(t.suffix)), pg_catalog.length(t.prefix) + 1)
              FROM (SELECT pg_catalog.pg_get_statisticsobjdef(e.oid),
                           pg_catalog.format('CREATE STATISTICS %I.%I ', m.nspname, e.stxname),
                           pg_catalog.format(' FROM %I.%I', n.nspname, c.relname)) AS t (text, prefix, suffix)) AS d (definition)
          WHERE e.stxrelid = c.oid) AS s
    WHERE s.number > (SELECT pg_catalog.count(*) FROM pg_catalog.unnest($12::pg_catalog.text[]) AS planned (definition)
                      WHERE planned.definition = s.definition)
    UNION ALL
    SELECT 1, 'owner ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.relowner)),
           pg_catalog.format('ALTER TABLE %s OWNER TO %I', c.oid::pg_catalog.regclass, $9::pg_catalog.text)
    WHERE pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text <> $9::pg_catalog.text
    UNION ALL
    SELECT 2, 'storage parameters', NULL
    FROM (SELECT (SELECT pg_catalog.string_agg(pg_catalog.format('%I=%L', o.option_name, o.option_value), ', ')
                  FROM pg_catalog.pg_options_to_table(c.reloptions) AS o WHERE o.option_name <> 'autovacuum_enabled'),
                 (SELECT pg_catalog.string_agg(pg_catalog.format('toast.%I=%L', o.option_name, o.option_value), ', ')
                  FROM pg_catalog.pg_class AS toast
                  CROSS JOIN LATERAL pg_catalog.pg_options_to_table(toast.reloptions) AS o
                  WHERE toast.oid = c.reltoastrelid AND o.option_name <> 'autovacuum_enabled')) AS now (own, toast)
    WHERE NOT $6::pg_catalog.bool AND c.relkind <> 'p' AND (now.own IS DISTINCT FROM $10::pg_catalog.text
                                       OR c.reltoastrelid <> 0 AND now.toast IS DISTINCT FROM $11::pg_catalog.text)
    UNION ALL
    SELECT 0, 'partition ' || c.oid::pg_catalog.regclass, NULL
    WHERE NOT $6::pg_catalog.bool AND c.oid <> $1::pg_catalog.oid AND c.relname::pg_catalog.text <> ALL ($13::pg_catalog.text[])
    UNION ALL
    SELECT 2, 'inheritance', NULL
    FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid AND NOT c.relispartition OR i.inhparent = c.oid AND c.relkind = 'r'
) AS a
ORDER BY a.step, 1
