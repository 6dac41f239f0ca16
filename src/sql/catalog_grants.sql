-- Privileges on a table, its columns and its sequences that are stored in the catalogs, by grantee; and the roles to which
-- ALTER DEFAULT PRIVILEGES grants something: on what the session creates in that schema (kind d), and on a sequence that
-- ALTER TABLE creates there, which belongs to the table's owner (kind q).
-- $1 oid of the table
WITH holder (kind, objid, attnum, owner, acl) AS (
    SELECT 't', c.oid, 0, c.relowner, c.relacl
    FROM pg_catalog.pg_class c
    WHERE c.oid = $1::pg_catalog.oid
    UNION ALL
    SELECT 'c', a.attrelid, a.attnum, c.relowner, a.attacl
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE a.attrelid = $1::pg_catalog.oid AND NOT a.attisdropped
    UNION ALL
    SELECT 's', c.oid, d.refobjsubid, c.relowner, c.relacl
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_class c ON c.oid = d.objid AND c.relkind = 'S'
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refobjid = $1::pg_catalog.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    UNION ALL
    SELECT 'd', c.oid, 0, d.defaclrole, d.defaclacl
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_default_acl d
        ON d.defaclrole = current_user::pg_catalog.regrole AND d.defaclobjtype IN ('r', 'S')
           AND d.defaclnamespace IN (0, c.relnamespace)
    WHERE c.oid = $1::pg_catalog.oid
    UNION ALL
    SELECT 'q', c.oid, 0, d.defaclrole, d.defaclacl
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_default_acl d
        ON d.defaclrole = c.relowner AND d.defaclobjtype = 'S' AND d.defaclnamespace IN (0, c.relnamespace)
    WHERE c.oid = $1::pg_catalog.oid
)
SELECT h.kind,
       h.objid,
       h.attnum,
       CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END
           AS grantee,
       pg_catalog.string_agg(DISTINCT a.privilege_type, ', ') AS privileges,
       a.is_grantable,
       CASE WHEN a.grantor <> h.owner THEN pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantor)) END
           AS grantor,
       -- SET ROLE needs a membership WITH SET from 16 on
       pg_catalog.pg_has_role(a.grantor, CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000
                                              THEN 'SET' ELSE 'MEMBER' END) AS grantor_is_ours
FROM holder h
CROSS JOIN LATERAL pg_catalog.aclexplode(h.acl) a
GROUP BY h.kind, h.objid, h.attnum, a.grantee, a.is_grantable, h.owner, a.grantor
ORDER BY h.kind, h.objid, h.attnum, a.grantor <> h.owner, a.grantee <> h.owner, 4, a.is_grantable;
