-- Publications FOR TABLES IN SCHEMA of the table's schema (PostgreSQL 15 and later).
-- $1 oid of the table
SELECT 0, 0, 'publication',
       'publication ' || p.pubname || ' (for tables in schema ' || pg_catalog.quote_ident(ns.nspname) || ')',
       'the shadow table would be published too', NULL, NULL, NULL, true, false, NULL
FROM pg_catalog.pg_publication_namespace n
JOIN pg_catalog.pg_publication p ON p.oid = n.pnpubid
JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid
JOIN pg_catalog.pg_namespace ns ON ns.oid = n.pnnspid
WHERE c.oid = $1::pg_catalog.oid AND NOT pg_catalog.starts_with(p.pubname, 'pgrecast_')
ORDER BY 4;
