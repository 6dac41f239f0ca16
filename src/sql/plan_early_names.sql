-- For views that are created before the swap, and their indexes and extended statistics.
-- $1, $2 schemas and names of what exists, as they are written in SQL. Gives, of kind n and in that order, the bare names; of
-- kind t the names in those schemas that a name chosen by this program could collide with.
SELECT 'n' AS kind, (pg_catalog.parse_ident(u.name))[1] AS name
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[]))
    WITH ORDINALITY AS u (schema, name, at)
UNION ALL
(SELECT 't', t.name
 FROM pg_catalog.pg_namespace n
 CROSS JOIN LATERAL (
     SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid
     UNION ALL
     SELECT s.stxname FROM pg_catalog.pg_statistic_ext s WHERE s.stxnamespace = n.oid
     UNION ALL
     -- a view has a type of its name; the server renames an array type that is in the way
     SELECT y.typname FROM pg_catalog.pg_type y
     WHERE y.typnamespace = n.oid AND y.typrelid = 0
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = y.oid)
 ) t (name)
 WHERE pg_catalog.quote_ident(n.nspname) = ANY ($1::pg_catalog.text[]) AND t.name LIKE '%pgrecast%'
 ORDER BY t.name);
