-- For this transaction: a lock timeout that is longer than an autovacuum takes to give way to a lock.
SELECT pg_catalog.set_config('lock_timeout', LEAST(setting::pg_catalog.int8 + 500, 10000)::pg_catalog.text, true)
FROM pg_catalog.pg_settings
WHERE name = 'deadlock_timeout'
