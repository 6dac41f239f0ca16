-- All that is known of one job; $1 is its name.
SELECT j.id, j.name, j.phase, j.schema_name, j.table_name, j.sql, j.system_identifier, j.timeline, j.slot_name,
       j.publication_name, j.spool_directory, j.barrier_lsn, j.exact_lsn, j.host, j.plan, j.options, j.instance, j.leg,
       j.ended_at IS NOT NULL, j.start_lsn, j.x0, j.shadow_complete, j.swap_xid, j.swap_lsn,
       extract(epoch FROM j.ends_at - pg_catalog.clock_timestamp())
FROM pgrecast.job AS j
WHERE j.name = $1
