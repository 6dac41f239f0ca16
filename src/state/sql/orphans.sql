-- Slots and publications of this database whose names are the program's, whatever became of their job; new tables too where
-- $2 is true, after the views over them, which have to be dropped first. remove: the command for people.
SELECT o.kind, o.name, o.oid, o.remove
FROM (
SELECT 'slot' AS kind, s.slot_name::pg_catalog.text AS name, NULL::pg_catalog.oid AS oid,
       pg_catalog.format('SELECT pg_drop_replication_slot(%L)', s.slot_name) AS remove
FROM pg_catalog.pg_replication_slots AS s
WHERE s.database = pg_catalog.current_database() AND s.plugin = 'pgoutput' AND s.slot_name ~ $1
UNION ALL
SELECT 'publication', p.pubname, p.oid, pg_catalog.format('DROP PUBLICATION %I', p.pubname)
FROM pg_catalog.pg_publication AS p
WHERE p.pubname ~ $1
UNION ALL
SELECT 'table', c.oid::pg_catalog.regclass::pg_catalog.text, c.oid, 'DROP TABLE ' || c.oid::pg_catalog.regclass
FROM pg_catalog.pg_class AS c
WHERE $2::pg_catalog.bool AND c.relkind IN ('r', 'p') AND c.relname ~ '_pgrecast_new[0-9]*$'
UNION ALL
SELECT 'view', c.oid::pg_catalog.regclass::pg_catalog.text, c.oid,
       pg_catalog.format('DROP %s %s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, c.oid::pg_catalog.regclass)
FROM pg_catalog.pg_class AS c
WHERE $2::pg_catalog.bool AND c.relkind IN ('v', 'm') AND c.relname ~ '_pgrecast_new[0-9]*$'
) AS o
ORDER BY o.kind <> 'view', o.kind, o.name
