-- For this transaction: longer than it takes until an autovacuum gives way to a lock.
SELECT pg_catalog.set_config('lock_timeout', LEAST(setting::pg_catalog.int8 + 500, 10000)::pg_catalog.text, true)
FROM pg_catalog.pg_settings
WHERE name = 'deadlock_timeout'
