-- Some of the blocked rows of a job ($1). The key is preceded by the table's name where the job has several tables. It may
-- have no form in UTF-8, so it is returned as the hexadecimal digits of its bytes.
SELECT pg_catalog.encode(pg_catalog.convert_to(
       CASE WHEN EXISTS (SELECT FROM pgrecast.job_table AS o WHERE o.job_id = b.job_id AND o.number <> b.table_number)
            THEN pg_catalog.format('%I.%I %s', t.schema_name, t.table_name, b.key) ELSE b.key END, pg_catalog.getdatabaseencoding()), 'hex') AS key,
       b.error
FROM pgrecast.blocked AS b
LEFT JOIN pgrecast.job_table AS t ON t.job_id = b.job_id AND t.number = b.table_number
WHERE b.job_id = $1
ORDER BY b.since, b.table_number, b.key
LIMIT 10
