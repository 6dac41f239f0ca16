-- Settings on which a conversion can depend, and which a job sets to a value other than the session's own.
SELECT s.name, s.reset_val, s.setting
FROM pg_catalog.pg_settings AS s
WHERE s.name IN ('array_nulls', 'xmloption', 'standard_conforming_strings') AND s.setting <> s.reset_val
ORDER BY s.name;
