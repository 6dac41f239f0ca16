-- All that is known of one job; $1 is its name.
SELECT j.id, j.name, j.phase, j.schema_name, j.table_name, j.source_oid, j.sql, j.fingerprint, j.system_identifier,
       j.timeline, j.slot_name, j.publication_name, j.spool_directory, j.barrier_lsn, j.exact_lsn, j.host, j.plan,
       j.options, j.instance, j.leg, j.ended_at IS NOT NULL, j.start_lsn, j.x0, j.copied_filenode, j.shadow_oid,
       j.shadow_complete, j.swap_xid, j.swap_lsn, p.applied_lsn,
       extract(epoch FROM j.ends_at - pg_catalog.clock_timestamp()), j.serving_fingerprint
FROM pgrecast.job AS j LEFT JOIN pgrecast.position AS p ON p.job_id = j.id
WHERE j.name = $1
