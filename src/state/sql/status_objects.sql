-- The objects that a job has made and not removed yet; $1 is the job's id.
SELECT o.kind, o.name,
       CASE o.kind
           WHEN 'slot' THEN EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s WHERE s.slot_name = o.name
                                  AND s.database = pg_catalog.current_database())
           WHEN 'publication' THEN EXISTS (SELECT FROM pg_catalog.pg_publication AS p WHERE p.oid = o.oid)
           WHEN 'table' THEN EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = o.oid)
           WHEN 'view' THEN EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = o.oid)
           WHEN 'guard' THEN EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.oid = o.oid)
           ELSE true
       END AS there
FROM pgrecast.object AS o WHERE o.job_id = $1 ORDER BY o.id
