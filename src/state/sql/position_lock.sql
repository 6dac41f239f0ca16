-- An instance that takes the job over waits for this transaction, or this statement finds that the job was taken over.
SELECT FROM pgrecast.position WHERE job_id = $1 AND table_number = $2 AND instance = $3 FOR SHARE
