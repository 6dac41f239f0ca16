-- The tables of a job, in order; $1 is its id.
SELECT t.schema_name, t.table_name, t.source_oid, t.shadow_oid, t.fingerprint, t.copied_filenode, t.active_fingerprint,
       t.definition, t.active_definition, t.other_fingerprint, t.other_definition, t.other_versions,
       p.applied_lsn
FROM pgrecast.job_table AS t
LEFT JOIN pgrecast.position AS p ON p.job_id = t.job_id AND p.table_number = t.number
WHERE t.job_id = $1
ORDER BY t.number
