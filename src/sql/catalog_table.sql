-- One table, without what hangs on it.
-- $1 schema, $2 name
SELECT c.oid,
       pg_catalog.pg_relation_filenode(c.oid),
       n.nspname,
       c.relname,
       c.relkind,
       c.relpersistence,
       pg_catalog.pg_get_userbyid(c.relowner),
       pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       ts.spcname,
       database.spcname,
       am.amname,
       (SELECT pg_catalog.string_agg(pg_catalog.format('%I=%L', o.option_name, o.option_value), ', ')
        FROM pg_catalog.pg_options_to_table(c.reloptions) o),
       (SELECT pg_catalog.string_agg(pg_catalog.format('toast.%I=%L', o.option_name, o.option_value), ', ')
        FROM pg_catalog.pg_options_to_table(toast.reloptions) o),
       c.relreplident,
       pg_catalog.obj_description(c.oid, 'pg_class'),
       c.relacl::pg_catalog.text,
       c.relrowsecurity,
       c.reltoastrelid <> 0,
       pg_catalog.pg_table_size(c.oid),
       pg_catalog.pg_relation_size(c.oid),
       CASE WHEN c.reltuples < 0 THEN -1 ELSE c.reltuples END::bigint,
       c.relispartition,
       n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname ~ '^pg_(toast|temp)',
       current_user,
       pg_catalog.pg_has_role(c.relowner, 'MEMBER') AND pg_catalog.has_schema_privilege(c.relowner, n.oid, 'CREATE'),
       pg_catalog.has_schema_privilege(n.oid, 'CREATE'),
       c.relforcerowsecurity,
       pg_catalog.row_security_active(c.oid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
JOIN pg_catalog.pg_tablespace database ON database.oid = d.dattablespace
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid
WHERE n.nspname = $1 AND c.relname = $2;
