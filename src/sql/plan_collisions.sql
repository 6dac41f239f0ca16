-- Names that the user's statements created in the clone's schema and that another object has in the table's schema: kind r
-- relations (indexes and sequences), c constraints whose names the server chooses, s extended statistics.
-- $1 the clone's schema, $2 the table's schema, $3 oid of the table
WITH source AS (
    SELECT $3::pg_catalog.oid AS oid
    UNION ALL
    SELECT x.indexrelid FROM pg_catalog.pg_index x WHERE x.indrelid = $3::pg_catalog.oid
    UNION ALL
    SELECT d.objid
    FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refobjid = $3::pg_catalog.oid AND d.deptype IN ('a', 'i')
)
SELECT 'r' AS kind, theirs.relname AS name
FROM pg_catalog.pg_class ours
JOIN pg_catalog.pg_class theirs ON theirs.relname = ours.relname
WHERE ours.relnamespace = $1::pg_catalog.regnamespace AND theirs.relnamespace = $2::pg_catalog.regnamespace
  AND theirs.oid NOT IN (SELECT source.oid FROM source)
UNION ALL
SELECT DISTINCT 'c', theirs.conname
FROM pg_catalog.pg_constraint ours
JOIN pg_catalog.pg_constraint theirs ON theirs.conname = ours.conname
WHERE ours.connamespace = $1::pg_catalog.regnamespace AND theirs.connamespace = $2::pg_catalog.regnamespace
  AND theirs.conrelid <> $3::pg_catalog.oid
ORDER BY 1, 2;
