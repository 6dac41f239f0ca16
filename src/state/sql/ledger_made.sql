-- Set the oid ($5) of an entry, in the transaction that makes its object. $1 job, $2 the instance, $3 kind, $4 name.
WITH mine AS (SELECT id FROM pgrecast.job WHERE id = $1 AND instance = $2 FOR NO KEY UPDATE)
UPDATE pgrecast.object AS o SET oid = $5 FROM mine WHERE o.job_id = mine.id AND o.kind = $3 AND o.name = $4
