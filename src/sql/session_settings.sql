-- The settings on which the result of an expression can depend, by name: those stored with a job, or else those that the
-- session began with. $1: what is stored, or null. $2: names that the connection's options set.
--   evaluation  as the user's expressions are to see them
--   transport   the same, but texts of values are exact and the same everywhere
--   differ      the two write some value differently
WITH listed AS (
    SELECT s.name, s.reset_val AS value
    FROM pg_catalog.pg_settings AS s
    WHERE s.name IN ('TimeZone', 'timezone_abbreviations', 'DateStyle', 'IntervalStyle', 'extra_float_digits', 'bytea_output',
                     'lc_monetary', 'lc_numeric', 'lc_time', 'default_text_search_config', 'transform_null_equals', 'xmlbinary',
                     'backslash_quote')
       OR (pg_catalog.strpos(s.name, '.') > 0 AND s.context = 'user'
           AND s.source IN ('database', 'user', 'database user', 'client', 'session'))),
-- A setting of the application, for example app.tenant, has no entry in pg_settings.
custom AS (
    SELECT pg_catalog.split_part(c.entry, '=', 1) AS name
    FROM pg_catalog.pg_db_role_setting AS d
    CROSS JOIN LATERAL pg_catalog.unnest(d.setconfig) AS c(entry)
    WHERE d.setdatabase IN (0, (SELECT b.oid FROM pg_catalog.pg_database AS b WHERE b.datname = pg_catalog.current_database()))
      AND d.setrole IN (0, SESSION_USER::pg_catalog.regrole)
    UNION
    SELECT o.name FROM pg_catalog.unnest($2::pg_catalog.text[]) AS o(name)),
unlisted AS (
    SELECT c.name, pg_catalog.current_setting(c.name, true) AS value
    FROM custom AS c
    WHERE pg_catalog.strpos(c.name, '.') > 0
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings AS s WHERE pg_catalog.lower(s.name) = pg_catalog.lower(c.name))),
own AS (
    SELECT pg_catalog.jsonb_object_agg(o.name, o.value) AS settings
    FROM (SELECT l.name, l.value FROM listed AS l UNION SELECT u.name, u.value FROM unlisted AS u WHERE u.value IS NOT NULL) AS o),
-- An application setting that had no value when the job was started gets an empty value now.
later AS (
    SELECT coalesce(pg_catalog.jsonb_object_agg(u.name, ''), '{}') AS settings FROM unlisted AS u WHERE u.value IS NOT NULL),
chosen AS (
    SELECT CASE WHEN $1::pg_catalog.jsonb IS NULL THEN own.settings ELSE later.settings || $1::pg_catalog.jsonb END AS settings
    FROM own CROSS JOIN later)
SELECT c.settings AS evaluation,
       c.settings || pg_catalog.jsonb_build_object(
           'DateStyle', 'ISO, ' || pg_catalog.split_part(c.settings ->> 'DateStyle', ', ', 2), 'IntervalStyle', 'postgres',
           'extra_float_digits', '3', 'bytea_output', 'hex') AS transport,
       c.settings ->> 'DateStyle' NOT LIKE 'ISO,%' OR c.settings ->> 'IntervalStyle' <> 'postgres'
           OR (c.settings ->> 'extra_float_digits')::pg_catalog.int4 < 1 OR c.settings ->> 'bytea_output' <> 'hex' AS differ
FROM chosen AS c;
