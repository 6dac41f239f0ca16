-- Settings that the program pins to other values than the role's own, and that change how values become text.
SELECT s.name, s.reset_val, s.setting
FROM pg_catalog.pg_settings s
WHERE s.name IN ('DateStyle', 'IntervalStyle', 'bytea_output', 'xmloption')
  AND (s.name <> 'DateStyle' OR s.reset_val NOT LIKE 'ISO%')
  AND s.setting <> s.reset_val
ORDER BY s.name;
