-- Foreign keys of a table and those that refer to it, in pieces; without the parts that the key of a partitioned table has
-- on each partition. A key that cannot be carried over has a reason. A lock of the other table is given if the role may
-- lock it.
-- $1 oid of the table
WITH side AS (
    SELECT c.oid, c.relkind, c.relowner, c.relnamespace, n.nspname,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
),
piece AS (
    SELECT f.oid, f.conname, f.conrelid, f.confrelid, f.confkey, f.convalidated,
           (SELECT pg_catalog.string_agg(
                       CASE WHEN COALESCE((pg_catalog.to_jsonb(f) ->> 'conperiod')::boolean, false)
                                 AND k.at = pg_catalog.array_length(f.conkey, 1) THEN 'PERIOD ' ELSE '' END
                       || pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.at)
            FROM pg_catalog.unnest(f.conkey) WITH ORDINALITY k (attnum, at)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.attnum) AS columns,
           (SELECT pg_catalog.string_agg(
                       CASE WHEN COALESCE((pg_catalog.to_jsonb(f) ->> 'conperiod')::boolean, false)
                                 AND k.at = pg_catalog.array_length(f.confkey, 1) THEN 'PERIOD ' ELSE '' END
                       || pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.at)
            FROM pg_catalog.unnest(f.confkey) WITH ORDINALITY k (attnum, at)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.attnum) AS ref_columns,
           pg_catalog.regexp_replace(pg_catalog.pg_get_constraintdef(f.oid), ' NOT VALID$', '') AS definition
    FROM pg_catalog.pg_constraint f
    WHERE f.contype = 'f' AND $1::pg_catalog.oid IN (f.conrelid, f.confrelid) AND f.conparentid = 0
),
cut AS (
    SELECT p.*,
           pg_catalog.format('FOREIGN KEY (%s) REFERENCES %s(%s)', p.columns, t.name, p.ref_columns) AS head,
           s.name AS on_name, t.name AS ref_name,
           s.relkind AS on_kind,
           o.name AS other, o.oid AS other_oid, o.relnamespace AS other_namespace, o.nspname AS other_schema,
           s.relowner
    FROM piece p
    JOIN side s ON s.oid = p.conrelid
    JOIN side t ON t.oid = p.confrelid
    LEFT JOIN side o ON o.oid = CASE WHEN p.conrelid = $1::pg_catalog.oid THEN p.confrelid ELSE p.conrelid END
        AND p.conrelid <> p.confrelid
)
SELECT c.oid,
       c.conname,
       c.conrelid,
       c.on_name,
       c.columns,
       c.confrelid,
       c.ref_name,
       c.ref_columns,
       pg_catalog.ltrim(pg_catalog.substr(c.definition, pg_catalog.length(c.head) + 1)) AS options,
       c.convalidated,
       c.on_kind,
       pg_catalog.obj_description(c.oid, 'pg_constraint') AS comment,
       pg_catalog.format('foreign key %I of %s to %s', c.conname, c.on_name, c.ref_name) AS description,
       CASE
           WHEN NOT pg_catalog.starts_with(c.definition, c.head) THEN 'its definition cannot be read'
           WHEN NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN
               pg_catalog.format('%s belongs to role %I, which the session''s role is not a member of', c.on_name,
                                 pg_catalog.pg_get_userbyid(c.relowner))
           WHEN EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled <> 'O') THEN
               'its triggers are not enabled as usual, which only a superuser can bring back'
           WHEN c.other IS NOT NULL AND c.conrelid = $1::pg_catalog.oid
                AND EXISTS (SELECT FROM pg_catalog.unnest(c.confkey) k (attnum)
                            WHERE NOT pg_catalog.has_column_privilege(c.confrelid, k.attnum, 'REFERENCES')) THEN
               pg_catalog.format('the role has not the privilege REFERENCES on %s any more', c.ref_name)
           WHEN c.other IS NOT NULL AND NOT pg_catalog.has_schema_privilege(c.other_namespace, 'USAGE') THEN
               pg_catalog.format('the role has not the privilege USAGE on schema %I', c.other_schema)
       END AS reason,
       CASE WHEN c.other IS NOT NULL AND pg_catalog.has_table_privilege(c.other_oid, 'UPDATE, DELETE, TRUNCATE')
           THEN pg_catalog.format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', c.other) END AS lock,
       c.other_oid
FROM cut c
ORDER BY c.on_name, c.conname;
