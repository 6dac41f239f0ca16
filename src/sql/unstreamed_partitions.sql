-- Partitions of an active table that stand in the way of a rollback, and why: changes of theirs do not all come through the stream
-- of the table, or they have row triggers that the table does not have.
-- $1 oid of the table
WITH RECURSIVE part (oid) AS (
    SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i WHERE i.inhparent = $1::pg_catalog.oid
    UNION ALL
    SELECT i.inhrelid FROM part AS p JOIN pg_catalog.pg_inherits AS i ON i.inhparent = p.oid
)
SELECT c.oid::pg_catalog.regclass AS name,
       CASE WHEN trigger.names IS NOT NULL
       THEN pg_catalog.format('has row triggers of its own (%s), which would run for the program''s writes after a rollback', trigger.names)
       ELSE CASE WHEN c.relkind = 'f' THEN 'is a foreign table'
            WHEN c.relpersistence <> 'p' THEN 'is unlogged'
            ELSE 'has a replica identity of its own' END || ': not all of its changes come through the stream' END AS what
FROM part AS p
JOIN pg_catalog.pg_class AS c ON c.oid = p.oid
CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(pg_catalog.quote_ident(t.tgname), ', ' ORDER BY t.tgname)
    FROM pg_catalog.pg_trigger AS t
    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgtype & 1 = 1 AND t.tgenabled <> 'D') AS trigger (names)
WHERE c.relkind <> 'p' AND (c.relkind <> 'r' OR c.relpersistence <> 'p' OR c.relreplident <> 'd') OR trigger.names IS NOT NULL
ORDER BY c.oid
