-- How many bytes of changes a second table $1 has had on the average, since the statistics of the database were reset. NULL: not known,
-- because they have never been reset, or not long enough ago. A change is taken for one row of the heap, and what goes with it in the spool.
SELECT ((s.n_tup_ins + s.n_tup_upd + s.n_tup_del)
        * (64 + CASE WHEN c.reltuples > 0 THEN pg_catalog.pg_table_size(c.oid) / c.reltuples ELSE 0 END)
        / EXTRACT(epoch FROM pg_catalog.clock_timestamp() - d.stats_reset))::pg_catalog.float8 AS bytes_per_second
FROM pg_catalog.pg_class AS c
LEFT JOIN pg_catalog.pg_stat_user_tables AS s ON s.relid = c.oid
LEFT JOIN pg_catalog.pg_stat_database AS d ON d.datname = pg_catalog.current_database()
    AND d.stats_reset < pg_catalog.clock_timestamp() - '10 min'::pg_catalog.interval
WHERE c.oid = $1::pg_catalog.oid
