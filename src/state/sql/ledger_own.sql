-- The objects that job $1 has made, for catalog_fingerprint.sql: an array of "kind oid".
SELECT COALESCE(pg_catalog.array_agg(o.kind || ' ' || o.oid), '{}')::pg_catalog.text AS own
FROM pgrecast.object AS o
WHERE o.job_id = $1 AND o.oid IS NOT NULL
