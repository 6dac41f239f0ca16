-- Publications FOR TABLES IN SCHEMA of the table's schema (PostgreSQL 15 and later).
-- $1 oid of the table
SELECT 0 AS classid, 0 AS objid, 'publication' AS kind,
       'publication ' || p.pubname || ' (for tables in schema ' || pg_catalog.quote_ident(ns.nspname) || ')'
           AS description,
       'the shadow table would be published too' AS reason, NULL AS schema, NULL AS name, NULL AS bases, true AS direct,
       false AS replaceable, NULL AS columns, false AS parsed_body, false AS filled, false AS whole_row, NULL AS size, NULL AS owner, NULL AS not_early
FROM pg_catalog.pg_publication_namespace n
JOIN pg_catalog.pg_publication p ON p.oid = n.pnpubid
JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid
JOIN pg_catalog.pg_namespace ns ON ns.oid = n.pnnspid
WHERE c.oid = $1::pg_catalog.oid
ORDER BY 4;
