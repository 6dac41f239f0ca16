-- Whether the conversion between two types depends on settings of the session; and the time zone, the most common of
-- these.
-- $1, $2 oids of the types
SELECT EXISTS (
           SELECT FROM pg_catalog.pg_cast c
           JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
           WHERE c.castsource = $1::pg_catalog.oid AND c.casttarget = $2::pg_catalog.oid AND p.provolatile = 's')
           AS stable,
       pg_catalog.current_setting('TimeZone') AS time_zone;
