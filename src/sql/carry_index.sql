-- Indexes that others have added to table $1, or dropped from it: whether table $2 can follow, and how. $3 and $4: the objects of the
-- definition (catalog_fingerprint.sql), and whether each was added. $5: names of the columns that are the same in both tables. $6 and $7:
-- the former definitions of both tables. $8: names of the indexes that were planned, and of those like them on the other table, as a JSON object.
-- possible: the index is not unique, uses nothing that is not built in, and means the same on both tables. An index that is still being built
-- is not possible yet. built: the other table has it. sql: what builds it, or drops it. made_object: the object of the other
-- definition. definition, made_definition: as they are there.
WITH place AS (
    SELECT c.oid, n.nspname, c.relkind, c.relnamespace, pg_catalog.format('%I.%I', n.nspname, c.relname) AS self
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid IN ($1::pg_catalog.oid, $2::pg_catalog.oid)
),
change AS (
    SELECT u.object, u.added, n.name, n.name || '_pgrecast_old' AS original,
           CASE WHEN u.added THEN n.name || '_pgrecast_new'
                ELSE coalesce($8::pg_catalog.jsonb ->> n.name, n.name || '_pgrecast_new') END AS made,
           pg_catalog.octet_length(n.name) <= 50 AS fits
    FROM ROWS FROM (pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.bool[])) AS u (object, added)
    CROSS JOIN LATERAL (SELECT (pg_catalog.parse_ident(pg_catalog.substr(u.object, 7)))[1]) AS n (name)
),
index AS (
    SELECT x.indrelid, i.oid, i.relname, i.reltablespace, i.relam, i.reloptions, i.relkind, x.indnatts,
           (x.indexprs IS NOT NULL OR x.indpred IS NOT NULL) AS has_expressions,
           x.indisvalid AND x.indisready AND x.indislive AS valid,
           x.indisunique OR x.indisexclusion OR x.indisreplident OR x.indisclustered
               OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS c WHERE c.conindid = i.oid) AS special,
           def.text,
           CASE WHEN pg_catalog.starts_with(def.text, def.prefix) THEN pg_catalog.substr(def.text, pg_catalog.length(def.prefix) + 1) END AS tail,
           coalesce(' WHERE ' || pg_catalog.pg_get_expr(x.indpred, x.indrelid), '') AS condition,
           pg_catalog.concat_ws(' ', def.text, x.indisprimary, x.indisvalid, x.indimmediate) AS definition,
           pg_catalog.obj_description(i.oid, 'pg_class') AS comment,
           ARRAY(SELECT a.attnum || ' ' || a.attstattarget FROM pg_catalog.pg_attribute AS a
                 WHERE a.attrelid = i.oid AND a.attstattarget >= 0 ORDER BY a.attnum) AS targets
    FROM place AS t
    JOIN pg_catalog.pg_index AS x ON x.indrelid = t.oid
    JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_indexdef(i.oid) AS text,
                               pg_catalog.format('CREATE INDEX %I ON %s ', i.relname, t.self) AS prefix) AS def
),
-- what an index of table $1 uses; columns of the table by their numbers
used AS (
    SELECT i.oid, d.refobjsubid, d.refclassid <> d.classid OR d.refobjid <> i.indrelid AS foreign_object
    FROM index AS i
    JOIN pg_catalog.pg_depend AS d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.oid
    WHERE i.indrelid = $1::pg_catalog.oid
),
-- columns that are not the same in both tables
unlike AS (
    SELECT a.attnum, same.attname IS NULL OR a.attname::pg_catalog.text <> ALL ($5::pg_catalog.text[]) AS other_column
    FROM pg_catalog.pg_attribute AS a
    LEFT JOIN pg_catalog.pg_attribute AS same
        ON same.attrelid = $2::pg_catalog.oid AND same.attname = a.attname AND NOT same.attisdropped
    WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0
          AND (same.attname IS NULL OR a.attname::pg_catalog.text <> ALL ($5::pg_catalog.text[])
               OR a.atttypid <> same.atttypid OR a.atttypmod <> same.atttypmod OR a.attcollation <> same.attcollation)
)
SELECT c.object, c.added, c.name, c.original, c.made, 'index ' || pg_catalog.quote_ident(c.made) AS made_object,
       pg_catalog.format('%I.%I', to_table.nspname, c.made) AS made_name, i.definition, y.definition AS made_definition,
       c.fits AND i.valid AND NOT i.special AND i.relkind = 'i' AND i.tail IS NOT NULL AND to_table.relkind = 'r'
       AND pg_catalog.right(i.tail, pg_catalog.length(i.condition)) = i.condition
       AND NOT EXISTS (SELECT FROM used AS u
                       WHERE u.oid = i.oid AND (u.foreign_object OR (i.has_expressions AND u.refobjsubid = 0)))
       AND NOT EXISTS (SELECT FROM used AS u JOIN unlike AS n ON n.attnum = u.refobjsubid
                       WHERE u.oid = i.oid AND (n.other_column OR i.has_expressions))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS r WHERE r.relnamespace = from_table.relnamespace AND r.relname = c.original)
       AND (same.built
            OR NOT EXISTS (SELECT FROM pg_catalog.pg_class AS r WHERE r.relnamespace = to_table.relnamespace AND r.relname = c.made))
           AS possible,
       same.built,
       pg_catalog.format('CREATE INDEX %I ON %s %s TABLESPACE %I%s', c.made, to_table.self,
                         pg_catalog.left(i.tail, pg_catalog.length(i.tail) - pg_catalog.length(i.condition)), s.spcname, i.condition)
       || coalesce(pg_catalog.format('; COMMENT ON INDEX %I.%I IS %L', to_table.nspname, c.made, i.comment), '')
       || coalesce((SELECT pg_catalog.string_agg(pg_catalog.format('; ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', to_table.nspname,
                                                                   c.made, pg_catalog.split_part(g, ' ', 1),
                                                                   pg_catalog.split_part(g, ' ', 2)), '')
                    FROM pg_catalog.unnest(i.targets) AS g), '') AS sql
FROM change AS c
JOIN place AS from_table ON from_table.oid = $1::pg_catalog.oid
JOIN place AS to_table ON to_table.oid = $2::pg_catalog.oid
JOIN index AS i ON i.indrelid = from_table.oid AND i.relname = c.name
JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
JOIN pg_catalog.pg_tablespace AS s ON s.oid = CASE i.reltablespace WHEN 0 THEN d.dattablespace ELSE i.reltablespace END
LEFT JOIN index AS y ON y.indrelid = to_table.oid AND y.relname = c.made
CROSS JOIN LATERAL (
    SELECT coalesce(y.tail = i.tail AND y.valid AND NOT y.special AND y.reltablespace = i.reltablespace AND y.relam = i.relam
                    AND y.reloptions IS NOT DISTINCT FROM i.reloptions AND y.comment IS NOT DISTINCT FROM i.comment
                    AND y.targets = i.targets, false) AS built) AS same
WHERE c.added
UNION ALL
SELECT c.object, c.added, c.name, c.original, c.made, 'index ' || pg_catalog.quote_ident(c.made),
       pg_catalog.format('%I.%I', to_table.nspname, c.made), NULL, NULL,
       coalesce(c.fits AND before.active - 'definition' = before.inactive - 'definition'
                AND pg_catalog.starts_with(before.active ->> 'definition', prefix.active)
                AND pg_catalog.starts_with(before.inactive ->> 'definition', prefix.inactive)
                AND pg_catalog.substr(before.active ->> 'definition', pg_catalog.length(prefix.active) + 1)
                    = pg_catalog.substr(before.inactive ->> 'definition', pg_catalog.length(prefix.inactive) + 1)
                AND y.oid IS NOT NULL, false),
       true, pg_catalog.format('DROP INDEX %I.%I', to_table.nspname, c.made)
FROM change AS c
JOIN place AS from_table ON from_table.oid = $1::pg_catalog.oid
JOIN place AS to_table ON to_table.oid = $2::pg_catalog.oid
LEFT JOIN index AS y ON y.indrelid = to_table.oid AND y.relname = c.made
CROSS JOIN LATERAL (SELECT $6::pg_catalog.jsonb -> c.object AS active,
                           $7::pg_catalog.jsonb -> ('index ' || pg_catalog.quote_ident(c.made)) AS inactive) AS before
CROSS JOIN LATERAL (SELECT pg_catalog.format('CREATE INDEX %I ON %s ', c.name, from_table.self) AS active,
                           pg_catalog.format('CREATE INDEX %I ON %s ', c.made, to_table.self) AS inactive) AS prefix
WHERE NOT c.added
