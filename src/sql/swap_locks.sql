-- How many entries of the server's lock table a swap of the tables $1 (oids) needs, how many are in use, how many there
-- are, and between how many processes they are divided. To drop a foreign key locks the key, each of its triggers, and the
-- tables; a key of a partitioned table exists on each partition, and to add it locks the indexes of the partitions too. A
-- partitioned table is locked with its partitions, and to compare its last keys locks their indexes. $2 how many entries the
-- partitions of tables that are to become active need.
WITH RECURSIVE part (oid) AS (
    SELECT c.oid FROM pg_catalog.pg_class AS c WHERE c.oid = ANY ($1::pg_catalog.oid[]) AND c.relkind = 'p'
    UNION
    SELECT i.inhrelid FROM part AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
),
key AS (
    SELECT f.oid, f.conrelid, f.confrelid
    FROM pg_catalog.pg_constraint AS f
    WHERE f.contype = 'f' AND (f.conrelid = ANY ($1::pg_catalog.oid[]) OR f.confrelid = ANY ($1::pg_catalog.oid[]))
),
server AS (
    SELECT pg_catalog.current_setting('max_locks_per_transaction')::pg_catalog.int8 AS each,
           pg_catalog.current_setting('max_connections')::pg_catalog.int8
               + pg_catalog.current_setting('max_prepared_transactions')::pg_catalog.int8
               + pg_catalog.current_setting('max_worker_processes')::pg_catalog.int8
               + pg_catalog.current_setting('max_wal_senders')::pg_catalog.int8
               + COALESCE(pg_catalog.current_setting('autovacuum_worker_slots', true),
                          pg_catalog.current_setting('autovacuum_max_workers'))::pg_catalog.int8 + 1 AS processes
)
SELECT (SELECT pg_catalog.count(*) FROM key)
       + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_trigger AS t JOIN key AS k ON k.oid = t.tgconstraint)
       + (SELECT pg_catalog.count(DISTINCT r.oid) FROM key AS k CROSS JOIN LATERAL (VALUES (k.conrelid), (k.confrelid)) AS r (oid))
       + (SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid
          WHERE c.relispartition AND c.oid IN (SELECT k.conrelid FROM key AS k))
       + 2 * (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i WHERE i.indrelid = ANY ($1::pg_catalog.oid[]))
       + (SELECT 3 * pg_catalog.count(DISTINCT p.oid) + pg_catalog.count(i.indexrelid)
          FROM part AS p LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = p.oid)
       + $2::pg_catalog.int8
       + 4 * pg_catalog.cardinality($1::pg_catalog.oid[]) AS needed,
       (SELECT pg_catalog.count(*)
        FROM (SELECT DISTINCT l.locktype, l.database, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid::pg_catalog.text,
                              l.classid, l.objid, l.objsubid
              FROM pg_catalog.pg_locks AS l
              WHERE NOT l.fastpath AND l.mode <> 'SIReadLock') AS used) AS used,
       s.each * s.processes AS most, s.each, s.processes,
       (SELECT pg_catalog.count(*) FROM key) AS keys
FROM server AS s
