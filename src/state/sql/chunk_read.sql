-- The ranges of relation $3 that are copied for table $2 of job $1, in order of the blocks.
SELECT first_block, end_block, rows FROM pgrecast.chunk
WHERE job_id = $1 AND table_number = $2 AND relation = $3
ORDER BY first_block
