-- In the transaction of a swap, which has exchanged the names: from now on the ledger would drop another view. $1 job, $2 name
-- of the view before, $3 name of the view now.
UPDATE pgrecast.object SET oid = $3::pg_catalog.text::pg_catalog.regclass, name = $3::pg_catalog.text
WHERE job_id = $1 AND kind = 'view' AND name = $2
