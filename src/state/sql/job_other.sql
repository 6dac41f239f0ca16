-- In the transaction of a swap: from now on the ledger would drop another table. $1 job, $2 oid of the table before, $3 oid
-- and $4 name of the table now.
UPDATE pgrecast.object SET oid = $3, name = $4 WHERE job_id = $1 AND kind = 'table' AND oid = $2
