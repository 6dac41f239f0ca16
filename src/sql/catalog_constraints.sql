-- Constraints of a table that are its own: check, primary key, unique, exclusion.
-- $1 oid of the table
SELECT c.oid,
       c.conname,
       c.contype,
       pg_catalog.pg_get_constraintdef(c.oid) AS definition,
       c.convalidated,
       c.conindid,
       c.condeferrable,
       c.condeferred,
       COALESCE((pg_catalog.to_jsonb(c) ->> 'conperiod')::boolean, false) AS temporal, -- 18
       pg_catalog.obj_description(c.oid, 'pg_constraint') AS comment
FROM pg_catalog.pg_constraint c
WHERE c.conrelid = $1::pg_catalog.oid AND c.contype IN ('c', 'p', 'u', 'x')
ORDER BY c.contype <> 'p', c.oid;
