-- Record a copied chunk of table $2 of job $1, in the transaction that copies it. $3: the instance. Because of the lock an
-- instance that takes the job over waits for this commit, or this statement finds that the job was taken over. So no chunk
-- is copied twice.
WITH mine AS (
    SELECT job_id, table_number FROM pgrecast.position WHERE job_id = $1 AND table_number = $2 AND instance = $3 FOR SHARE)
INSERT INTO pgrecast.chunk (job_id, table_number, relation, first_block, end_block, rows)
SELECT job_id, table_number, $4, $5, $6, $7 FROM mine
