-- The objects that job $1 has made and not removed yet, the last one first: all, or those of kind $2, with name $3 where it
-- is not null.
SELECT id, kind, name, oid FROM pgrecast.object
WHERE job_id = $1 AND ($2::pg_catalog.text IS NULL OR kind = $2 AND ($3::pg_catalog.text IS NULL OR name = $3))
ORDER BY id DESC
