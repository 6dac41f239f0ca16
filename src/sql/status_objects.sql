-- What a job has made and not removed yet; $1 is the job's id.
SELECT o.kind, o.name,
       CASE o.kind
           WHEN 'slot' THEN EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s WHERE s.slot_name = o.name)
           WHEN 'publication' THEN EXISTS (SELECT FROM pg_catalog.pg_publication AS p WHERE p.pubname = o.name)
           WHEN 'table' THEN pg_catalog.to_regclass(o.name) IS NOT NULL
           ELSE true
       END
FROM pgrecast.object AS o WHERE o.job_id = $1 ORDER BY o.seq
