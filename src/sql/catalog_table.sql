-- One table, without what depends on it.
-- $1 schema, $2 name
SELECT c.oid,
       pg_catalog.pg_relation_filenode(c.oid) AS filenode,
       n.nspname,
       c.relname,
       c.relkind,
       c.relpersistence,
       pg_catalog.pg_get_userbyid(c.relowner) AS owner,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS owner_is_ours,
       ts.spcname AS tablespace,
       database.spcname AS database_tablespace,
       am.amname,
       (SELECT pg_catalog.string_agg(pg_catalog.format('%I=%L', o.option_name, o.option_value), ', ')
        FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name <> 'autovacuum_enabled') AS options,
       (SELECT pg_catalog.string_agg(pg_catalog.format('toast.%I=%L', o.option_name, o.option_value), ', ')
        FROM pg_catalog.pg_options_to_table(toast.reloptions) o WHERE o.option_name <> 'autovacuum_enabled') AS toast_options,
       c.relreplident,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment,
       c.relacl::pg_catalog.text AS acl,
       c.relrowsecurity,
       c.reltoastrelid <> 0 AS has_toast,
       pg_catalog.pg_table_size(c.oid) AS bytes,
       pg_catalog.pg_relation_size(c.oid) AS heap_bytes,
       CASE WHEN c.reltuples < 0 THEN -1 ELSE c.reltuples END::bigint AS estimated_rows,
       c.relispartition,
       CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END AS partition_key,
       n.nspname IN ('pg_catalog', 'information_schema') OR n.nspname ~ '^pg_(toast|temp)' AS is_system,
       current_user AS session_role,
       -- SET ROLE, and so OWNER TO, needs a membership WITH SET from 16 on
       pg_catalog.pg_has_role(c.relowner, CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000
                                               THEN 'SET' ELSE 'MEMBER' END) AS owner_may_be_set,
       pg_catalog.has_schema_privilege(c.relowner, n.oid, 'CREATE') AS owner_may_create,
       pg_catalog.has_schema_privilege(n.oid, 'CREATE') AS may_create_in_schema,
       c.relforcerowsecurity,
       pg_catalog.row_security_active(c.oid) AS row_security_active,
       (SELECT pg_catalog.format('%I=%L', o.option_name, o.option_value)
        FROM pg_catalog.pg_options_to_table(c.reloptions) o WHERE o.option_name = 'autovacuum_enabled') AS autovacuum,
       (SELECT pg_catalog.format('toast.%I=%L', o.option_name, o.option_value)
        FROM pg_catalog.pg_options_to_table(toast.reloptions) o WHERE o.option_name = 'autovacuum_enabled') AS toast_autovacuum
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_database d ON d.datname = pg_catalog.current_database()
JOIN pg_catalog.pg_tablespace database ON database.oid = d.dattablespace
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid
WHERE n.nspname = $1 AND c.relname = $2;
