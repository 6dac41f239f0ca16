-- What is in schema pgrecast: nothing, a state with a table of its format, or one of a version that did not have that table
-- yet.
SELECT pg_catalog.to_regclass('pgrecast.format') IS NOT NULL AS current, pg_catalog.to_regclass('pgrecast.job') IS NOT NULL AS jobs,
       pg_catalog.to_regnamespace('pgrecast') IS NOT NULL AS there
