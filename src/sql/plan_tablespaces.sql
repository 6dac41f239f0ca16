-- Which of the tablespaces $1 and $2 (NULL: none) cannot be used: a row for each. missing: there is no such tablespace;
-- shared: it is only for the cluster's own tables; otherwise the session's role may not create in it. Everybody may create in
-- the database's default tablespace.
SELECT w.name, s.oid IS NULL AS missing, coalesce(s.spcname = 'pg_global', false) AS shared
FROM (SELECT $1::pg_catalog.text AS name UNION SELECT $2::pg_catalog.text) AS w
LEFT JOIN pg_catalog.pg_tablespace s ON s.spcname = w.name
WHERE w.name IS NOT NULL
  AND (s.oid IS NULL OR s.spcname = 'pg_global'
       OR s.oid <> (SELECT d.dattablespace FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
          AND NOT pg_catalog.has_tablespace_privilege(s.oid, 'CREATE'))
ORDER BY w.name;
