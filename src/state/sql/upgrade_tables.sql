-- The tables of those jobs. Format 2 and older had only the one table that is named in the job's row.
INSERT INTO pgrecast.job_table (job_id, number, schema_name, table_name, source_oid, shadow_oid, fingerprint)
SELECT j.id, t.number, t.schema_name, t.table_name, t.source_oid, t.shadow_oid, t.fingerprint
FROM pgrecast.job AS j JOIN pgrecast_before.job AS o ON o.name = j.name
JOIN pgrecast_before.job_table AS t ON t.job_id = o.id
