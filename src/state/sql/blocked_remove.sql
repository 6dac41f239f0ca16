-- Remove blocked rows of table $2 of job $1. $3: the values of their keys, in the form of blocked_enter.sql; null: all rows
-- of the table.
DELETE FROM pgrecast.blocked AS b
WHERE b.job_id = $1 AND b.table_number = $2
  AND ($3::pg_catalog.text[] IS NULL
       OR b.key_values IN (SELECT pg_catalog.convert_from(pg_catalog.decode(u.digits, 'hex'),
                                                          pg_catalog.getdatabaseencoding())::pg_catalog.text[]
                           FROM pg_catalog.unnest($3::pg_catalog.text[]) AS u (digits)))
