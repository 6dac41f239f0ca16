-- What is applied beyond the position of table $2 of job $1: up to where, and one row for each transaction that is held
-- back.
SELECT p.beyond_lsn, h.lsn AS held_lsn
FROM pgrecast.position AS p LEFT JOIN LATERAL pg_catalog.unnest(p.held_lsns) AS h (lsn) ON true
WHERE p.job_id = $1 AND p.table_number = $2 AND p.beyond_lsn > p.applied_lsn
