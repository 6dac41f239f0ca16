-- Enter blocked rows of table $2 of job $1. $3: the values of their keys, each as the hexadecimal digits of an array in
-- SQL's text form, in the encoding of the database, because not every byte of it has a form in UTF-8. $4: the reasons.
INSERT INTO pgrecast.blocked AS b (job_id, table_number, key, key_values, error)
SELECT $1, $2, '(' || pg_catalog.array_to_string(u.key_values, ', ') || ')', u.key_values, u.error
FROM (SELECT pg_catalog.convert_from(pg_catalog.decode(h.digits, 'hex'), pg_catalog.getdatabaseencoding())::pg_catalog.text[]
             AS key_values, h.error
      FROM ROWS FROM (pg_catalog.unnest($3::pg_catalog.text[]), pg_catalog.unnest($4::pg_catalog.text[])) AS h (digits, error)) AS u
ON CONFLICT (job_id, table_number, key_values) DO UPDATE SET error = excluded.error WHERE b.error <> excluded.error
