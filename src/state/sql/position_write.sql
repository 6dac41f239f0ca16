-- Write up to where the changes of table $2 of job $1 are applied, in the transaction that applies them. $3: the instance.
UPDATE pgrecast.position
SET applied_lsn = greatest(applied_lsn, $4), changes_applied = $5, beyond_lsn = $6, held_lsns = $7
WHERE job_id = $1 AND table_number = $2 AND instance = $3
