-- Who holds a lock on one of the tables $1 (oids), or on a partition of one, for which ACCESS EXCLUSIVE has to wait: the
-- oldest transaction first; whether it is an autovacuum; the table; whether the session's role may lock that table. The
-- query locks none of the tables itself; pg_partition_tree() would.
WITH RECURSIVE relation AS (
    SELECT o.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS o (oid)
    UNION
    SELECT i.inhrelid FROM relation AS r JOIN pg_catalog.pg_inherits AS i ON i.inhparent = r.oid
)
SELECT l.pid, l.mode,
       a.pid IS NOT NULL AND a.usesysid IS NULL AND l.mode = 'ShareUpdateExclusiveLock' AS autovacuum,
       COALESCE(pg_catalog.round(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)), 0) AS age,
       l.relation::pg_catalog.regclass AS relation,
       pg_catalog.has_table_privilege(l.relation, 'UPDATE, DELETE, TRUNCATE') AS may_lock
FROM pg_catalog.pg_locks AS l
JOIN relation AS r ON r.oid = l.relation
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY 4 DESC, 1, 5
