-- Extended statistics of a table. The definition is the text between the name and FROM.
-- $1 oid of the table
SELECT s.oid,
       sn.nspname,
       s.stxname,
       CASE WHEN pg_catalog.starts_with(def.text, def.prefix)
                 AND pg_catalog.right(def.text, pg_catalog.length(def.suffix)) = def.suffix
           THEN pg_catalog.substr(pg_catalog.left(def.text, -pg_catalog.length(def.suffix)),
                                  pg_catalog.length(def.prefix) + 1) END AS definition,
       COALESCE((pg_catalog.to_jsonb(s) ->> 'stxstattarget')::integer, -1) AS target,
       pg_catalog.obj_description(s.oid, 'pg_statistic_ext') AS comment,
       pg_catalog.pg_get_userbyid(s.stxowner) AS owner,
       -- OWNER TO: a membership, from 16 on WITH SET
       s.stxowner = current_user::pg_catalog.regrole
           OR (pg_catalog.pg_has_role(s.stxowner,
                                      CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000
                                           THEN 'SET' ELSE 'MEMBER' END)
               AND pg_catalog.has_schema_privilege(s.stxowner, s.stxnamespace, 'CREATE')) AS owner_may_be_set
FROM pg_catalog.pg_statistic_ext s
JOIN pg_catalog.pg_namespace sn ON sn.oid = s.stxnamespace
JOIN pg_catalog.pg_class t ON t.oid = s.stxrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_catalog.pg_get_statisticsobjdef(s.oid) AS text,
           pg_catalog.format('CREATE STATISTICS %I.%I ', sn.nspname, s.stxname) AS prefix,
           pg_catalog.format(' FROM %I.%I', n.nspname, t.relname) AS suffix) def
WHERE s.stxrelid = $1::pg_catalog.oid
ORDER BY s.oid;
