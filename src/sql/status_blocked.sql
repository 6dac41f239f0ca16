-- Some of the rows that block the way back of a job; $1 is its id. A key says of which table, where there are several.
SELECT CASE WHEN EXISTS (SELECT FROM pgrecast.job_table AS o WHERE o.job_id = b.job_id AND o.number <> b.table_number)
            THEN pg_catalog.format('%I.%I %s', t.schema_name, t.table_name, b.key) ELSE b.key END,
       b.error
FROM pgrecast.blocked AS b
LEFT JOIN pgrecast.job_table AS t ON t.job_id = b.job_id AND t.number = b.table_number
WHERE b.job_id = $1
ORDER BY b.since, b.table_number, b.key
LIMIT 10
