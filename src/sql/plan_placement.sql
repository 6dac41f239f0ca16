-- The statements that put table $1 (oid) into tablespace $2, and its indexes into tablespace $3; each NULL: none. The indexes
-- come in the order of their names, so that the same options always give the same text.
SELECT x.statement
FROM (
    SELECT 0 AS place, c.relname AS name,
           pg_catalog.format('ALTER TABLE %I.%I SET TABLESPACE %I', n.nspname, c.relname, $2::pg_catalog.text) AS statement
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = $1::pg_catalog.oid AND $2::pg_catalog.text IS NOT NULL
    UNION ALL
    SELECT 1, c.relname,
           pg_catalog.format('ALTER INDEX %I.%I SET TABLESPACE %I', n.nspname, c.relname, $3::pg_catalog.text)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE i.indrelid = $1::pg_catalog.oid AND $3::pg_catalog.text IS NOT NULL
) AS x
ORDER BY x.place, x.name;
