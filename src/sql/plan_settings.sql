-- The settings that expressions see and that differ from the server's built-in values, in one line, or null. $1: value by
-- name.
SELECT pg_catalog.string_agg(e.key || ' = ' || pg_catalog.quote_literal(e.value), ', ' ORDER BY e.key) AS settings
FROM pg_catalog.jsonb_each_text($1::pg_catalog.jsonb) AS e
LEFT JOIN pg_catalog.pg_settings AS s ON s.name = e.key
WHERE e.value IS DISTINCT FROM coalesce(s.boot_val, CASE e.key WHEN 'timezone_abbreviations' THEN 'Default' END)
  AND NOT (e.key = 'TimeZone' AND e.value IN ('UTC', 'Etc/UTC'));
