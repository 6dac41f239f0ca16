-- Who holds a lock on one of the tables $1 (oids), or on a partition of one, for which ACCESS EXCLUSIVE has to wait: the
-- oldest transaction first; whether it is an autovacuum; the table; whether the session's role may lock that table; a
-- statement that locks it in SHARE UPDATE EXCLUSIVE mode, in a transaction that is rolled back (LOCK TABLE takes no
-- materialized view). The query locks none of the tables itself; pg_partition_tree() would.
WITH RECURSIVE relation AS (
    SELECT o.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS o (oid)
    UNION
    SELECT i.inhrelid FROM relation AS r JOIN pg_catalog.pg_inherits AS i ON i.inhparent = r.oid
)
SELECT l.pid, l.mode,
       a.pid IS NOT NULL AND a.usesysid IS NULL AND l.mode = 'ShareUpdateExclusiveLock' AS autovacuum,
       COALESCE(pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)), 0) AS age,
       l.relation::pg_catalog.regclass AS relation,
       CASE c.relkind WHEN 'm' THEN pg_catalog.pg_has_role(c.relowner, 'USAGE')
           ELSE pg_catalog.has_table_privilege(l.relation, 'UPDATE, DELETE, TRUNCATE') END AS may_lock,
       pg_catalog.format(CASE c.relkind WHEN 'm' THEN 'ALTER MATERIALIZED VIEW %s SET WITHOUT CLUSTER'
                         ELSE 'LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE' END, l.relation::pg_catalog.regclass)
           AS lock
FROM pg_catalog.pg_locks AS l
JOIN relation AS r ON r.oid = l.relation
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY 4 DESC, 1, 5
