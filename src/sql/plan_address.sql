-- How to find an object again by its name: kind, names and arguments for pg_get_object_address(), as SQL.
-- $1, $2 class and oid
SELECT pg_catalog.format('%L, %L::pg_catalog.text[], %L::pg_catalog.text[]', o.kind, o.names, o.arguments) AS address
FROM pg_catalog.pg_identify_object_as_address($1::pg_catalog.oid, $2::pg_catalog.oid, 0) o (kind, names, arguments);
