-- What stands in the way of partitions of a table: relations and types that have the names of partitions, and triggers that
-- a partitioned table cannot have, or that could not be set as they are on each of the partitions. And an owner who is not
-- trusted: he can attach a partition with triggers of his own while rows are written, because no lock of a writer keeps him
-- from it (ATTACH takes SHARE UPDATE EXCLUSIVE).
-- $1 oid of the table; $2 names of the partitions (text[]); $3 names of roles that are trusted (text[])
SELECT pg_catalog.format('a relation or type %I exists already, and a partition of the target has that name', taken.name) AS reason
FROM pg_catalog.pg_class AS me
CROSS JOIN LATERAL (
    SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c WHERE c.relnamespace = me.relnamespace
    UNION
    SELECT t.typname::pg_catalog.text FROM pg_catalog.pg_type AS t WHERE t.typnamespace = me.relnamespace
      -- the server renames an array type that is in the way
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_type AS e WHERE e.typarray = t.oid)
) AS taken (name)
WHERE me.oid = $1::pg_catalog.oid AND taken.name = ANY ($2::pg_catalog.text[])
UNION ALL
SELECT pg_catalog.format('trigger %I is FOR EACH ROW and has transition tables, which a partitioned table cannot have', t.tgname)
FROM pg_catalog.pg_trigger AS t
WHERE t.tgrelid = $1::pg_catalog.oid AND NOT t.tgisinternal AND t.tgtype & 1 = 1 AND (t.tgoldtable IS NOT NULL OR t.tgnewtable IS NOT NULL)
UNION ALL
SELECT pg_catalog.format('trigger %I is FOR EACH ROW, and is disabled or enabled for replicas: that is not carried over to partitions yet',
                         t.tgname)
FROM pg_catalog.pg_trigger AS t
WHERE t.tgrelid = $1::pg_catalog.oid AND NOT t.tgisinternal AND t.tgtype & 1 = 1 AND t.tgenabled <> 'O'
UNION ALL
SELECT pg_catalog.format('its owner %I could add partitions with triggers that run with the rights of %I: connect as the owner, or trust him with --trust-owner=%I',
                         owner.name, session_user, owner.name)
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL (SELECT pg_catalog.pg_get_userbyid(c.relowner)::pg_catalog.text) AS owner (name)
WHERE c.oid = $1::pg_catalog.oid AND NOT pg_catalog.pg_has_role(c.relowner, session_user, 'USAGE')
  AND owner.name <> ALL ($3::pg_catalog.text[])
ORDER BY 1
