-- Whoever asked waits no longer: withdraw the request ($1), unless it was carried out.
UPDATE pgrecast.request SET outcome = $2, ended_at = pg_catalog.clock_timestamp()
WHERE id = $1 AND ended_at IS NULL AND outcome IS NULL
