-- Whether a ledger has an object: $1 kind, $2 name.
SELECT FROM pgrecast.object
WHERE kind = $1 AND (name = $2 OR kind IN ('table', 'view') AND oid = pg_catalog.to_regclass($2))
