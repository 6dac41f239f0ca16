-- The statements that drop dependents of a table and create them again, as they are now, under the names that they and the
-- table have now. A view or a function may be replaced instead, if its result keeps its types.
-- $1, $2 classes and oids of the dependents, two lists of equal length; $3 oid of the table; $4 for each dependent the
-- search_path that is needed to read its expressions, or NULL: it is set around those statements only
-- Gives the position in the lists (from 1), the step (lock, detach, attach, replace), and a statement, in order. With step
-- obstacle it gives why the object cannot be created again; with step holder, oid, schema and name of the other relation
-- that the object belongs to. Of a materialized view, replace has the statements that try it out: its definition, indexes and
-- extended statistics; with step piece it gives kind, schema and name of each of those two.
WITH
dependent AS (
    SELECT u.at, u.classid, u.objid, u.path
    FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.oid[]),
                    pg_catalog.unnest($4::pg_catalog.text[]))
        WITH ORDINALITY AS u (classid, objid, path, at)
),
-- views, including materialized views
view AS (
    SELECT d.at, c.oid, c.relkind, c.relacl, c.relowner, c.relnamespace,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS self,
           pg_catalog.pg_get_userbyid(c.relowner) AS owner,
           CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END AS word,
           pg_catalog.format('%s (%s)%s%s%s AS %s%s',
                             pg_catalog.format('%I.%I', n.nspname, c.relname),
                             (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum)
                              FROM pg_catalog.pg_attribute a
                              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
                             (SELECT pg_catalog.format(' USING %I', m.amname)
                              FROM pg_catalog.pg_am m
                              WHERE m.oid = c.relam AND c.relkind = 'm'),
                             (SELECT ' WITH (' || pg_catalog.string_agg(o.text, ', ') || ')'
                              FROM (SELECT pg_catalog.format('%I=%L', o.option_name, o.option_value)
                                    FROM pg_catalog.pg_options_to_table(c.reloptions) o
                                    UNION ALL
                                    SELECT pg_catalog.format('toast.%I=%L', o.option_name, o.option_value)
                                    FROM pg_catalog.pg_class t, pg_catalog.pg_options_to_table(t.reloptions) o
                                    WHERE t.oid = c.reltoastrelid) o (text)),
                             (SELECT pg_catalog.format(' TABLESPACE %I', t.spcname)
                              FROM pg_catalog.pg_tablespace t
                              WHERE t.oid = c.reltablespace AND c.relkind = 'm'),
                             pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';'),
                             CASE c.relkind WHEN 'm' THEN ' WITH NO DATA' END) AS definition
    FROM dependent d
    JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm')
),
-- indexes and extended statistics of materialized views
view_piece AS (
    SELECT v.at, v.self AS of_view, 'INDEX' AS word, n.nspname AS schema, i.relname AS name, i.oid,
           'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS classid, pg_catalog.pg_get_indexdef(i.oid) AS definition,
           i.relowner AS owner
    FROM view v
    JOIN pg_catalog.pg_index x ON x.indrelid = v.oid
    JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = i.relnamespace
    UNION ALL
    SELECT v.at, v.self, 'STATISTICS', n.nspname, s.stxname, s.oid, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass,
           pg_catalog.pg_get_statisticsobjdef(s.oid), s.stxowner
    FROM view v
    JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = v.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace
),
view_piece_of AS (
    SELECT p.*, pg_catalog.format('%I.%I', p.schema, p.name) AS self FROM view_piece p
),
-- what else they have, and materialized views themselves
view_setting (at, name, sql) AS (
    SELECT p.at, p.name, pg_catalog.format('ALTER INDEX %s SET TABLESPACE %I', p.self, t.spcname)
    FROM view_piece_of p
    JOIN pg_catalog.pg_class i ON i.oid = p.oid AND p.word = 'INDEX'
    JOIN pg_catalog.pg_tablespace t ON t.oid = i.reltablespace
    UNION ALL
    SELECT p.at, p.name, pg_catalog.format('ALTER INDEX %s ALTER COLUMN %s SET STATISTICS %s', p.self, a.attnum, a.attstattarget)
    FROM view_piece_of p
    JOIN pg_catalog.pg_attribute a ON a.attrelid = p.oid AND p.word = 'INDEX' AND a.attstattarget >= 0
    UNION ALL
    SELECT p.at, p.name, pg_catalog.format('ALTER MATERIALIZED VIEW %s CLUSTER ON %I', p.of_view, p.name)
    FROM view_piece_of p
    JOIN pg_catalog.pg_index x ON x.indexrelid = p.oid AND p.word = 'INDEX' AND x.indisclustered
    UNION ALL
    SELECT p.at, p.name, pg_catalog.format('ALTER STATISTICS %s SET STATISTICS %s', p.self, s.stxstattarget)
    FROM view_piece_of p
    JOIN pg_catalog.pg_statistic_ext s ON s.oid = p.oid AND p.word = 'STATISTICS' AND s.stxstattarget >= 0
    UNION ALL
    SELECT p.at, p.name, pg_catalog.format('ALTER STATISTICS %s OWNER TO %I', p.self, pg_catalog.pg_get_userbyid(p.owner))
    FROM view_piece_of p
    WHERE p.word = 'STATISTICS' AND p.owner <> current_user::pg_catalog.regrole
    UNION ALL
    SELECT p.at, p.name, pg_catalog.format('COMMENT ON %s %s IS %L', p.word, p.self, c.description)
    FROM view_piece_of p
    JOIN pg_catalog.pg_description c ON c.classoid = p.classid AND c.objoid = p.oid AND c.objsubid = 0
    UNION ALL
    SELECT v.at, a.attname, pg_catalog.format('ALTER MATERIALIZED VIEW %s ALTER COLUMN %I %s', v.self, a.attname, setting.text)
    FROM view v
    JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    CROSS JOIN LATERAL (
        SELECT pg_catalog.format('SET STATISTICS %s', a.attstattarget) WHERE a.attstattarget >= 0
        UNION ALL
        SELECT pg_catalog.format('SET (%s)', pg_catalog.string_agg(pg_catalog.format('%I=%L', o.option_name, o.option_value), ', '))
        FROM pg_catalog.pg_options_to_table(a.attoptions) o
        HAVING pg_catalog.count(*) > 0
        UNION ALL
        SELECT 'SET STORAGE ' || CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN'
                                                   ELSE 'EXTENDED' END
        WHERE a.attstorage <> t.typstorage
        UNION ALL
        SELECT 'SET COMPRESSION ' || CASE a.attcompression WHEN 'p' THEN 'pglz' ELSE 'lz4' END
        WHERE a.attcompression IN ('p', 'l')
    ) setting (text)
    WHERE v.relkind = 'm'
),
-- functions and procedures
routine AS (
    SELECT d.at, p.oid, p.proacl, p.proowner, p.pronamespace,
           p.oid::pg_catalog.regprocedure::pg_catalog.text AS self,
           pg_catalog.pg_get_userbyid(p.proowner) AS owner,
           pg_catalog.pg_get_functiondef(p.oid) AS definition
    FROM dependent d
    JOIN pg_catalog.pg_proc p ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = d.objid
    WHERE p.prokind <> 'a'
),
-- objects that belong to a relation: rules, triggers, policies
piece AS (
    SELECT d.at, r.ev_class AS relation, 'RULE' AS word, r.rulename AS name, r.oid, d.classid,
           pg_catalog.pg_get_ruledef(r.oid) AS definition, r.ev_enabled AS enabled
    FROM dependent d
    JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid
    UNION ALL
    SELECT d.at, t.tgrelid, 'TRIGGER', t.tgname, t.oid, d.classid, pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled
    FROM dependent d
    JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid
    UNION ALL
    SELECT d.at, p.polrelid, 'POLICY', p.polname, p.oid, d.classid,
           pg_catalog.format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname,
                             (SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
                              FROM pg_catalog.pg_class c
                              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                              WHERE c.oid = p.polrelid),
                             CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
                             CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                                           WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
                             (SELECT pg_catalog.string_agg(CASE WHEN r = 0 THEN 'PUBLIC'
                                                           ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(r)) END,
                                                           ', ')
                              FROM pg_catalog.unnest(p.polroles) r))
           || COALESCE(' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', '')
           || COALESCE(' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''),
           'O'
    FROM dependent d
    JOIN pg_catalog.pg_policy p ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND p.oid = d.objid
),
piece_of AS (
    SELECT p.*, pg_catalog.format('%I.%I', n.nspname, c.relname) AS self, c.relkind, c.relowner
    FROM piece p
    JOIN pg_catalog.pg_class c ON c.oid = p.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
),
-- defaults of columns of other tables
preset AS (
    SELECT d.at, c.oid AS relation, pg_catalog.format('%I.%I', n.nspname, c.relname) AS self, a.attname AS column,
           pg_catalog.pg_get_expr(f.adbin, f.adrelid) AS expression
    FROM dependent d
    JOIN pg_catalog.pg_attrdef f ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND f.oid = d.objid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated = ''
    JOIN pg_catalog.pg_class c ON c.oid = f.adrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
),
-- pg_publication_tables knows the columns and the row filter, from 15 on
member AS (
    SELECT d.at, pg_catalog.quote_ident(p.pubname) AS publication,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS self,
           CASE WHEN pg_catalog.to_jsonb(m) ->> 'prattrs' IS NOT NULL THEN
               (SELECT ' (' || pg_catalog.string_agg(pg_catalog.quote_ident(a), ', ') || ')'
                FROM pg_catalog.jsonb_array_elements_text(pg_catalog.to_jsonb(t) -> 'attnames') a)
           END AS columns,
           ' WHERE (' || (pg_catalog.to_jsonb(t) ->> 'rowfilter') || ')' AS filter
    FROM dependent d
    JOIN pg_catalog.pg_publication_rel m
        ON d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND m.oid = d.objid
    JOIN pg_catalog.pg_publication p ON p.oid = m.prpubid
    JOIN pg_catalog.pg_class c ON c.oid = m.prrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_publication_tables t
        ON t.pubname = p.pubname AND t.schemaname = n.nspname AND t.tablename = c.relname
),
-- objects with privileges of their own: revoke the default privileges, then grant all that exist now
granted AS (
    SELECT v.at, pg_catalog.format('TABLE %s', v.self) AS object, v.owner, v.relowner, v.relacl AS acl,
           pg_catalog.acldefault('r', v.relowner) AS usual, NULL::pg_catalog.text AS column, 'r'::"char" AS kind,
           v.relnamespace AS namespace
    FROM view v
    UNION ALL
    SELECT r.at, pg_catalog.format('ROUTINE %s', r.self), r.owner, r.proowner, r.proacl,
           pg_catalog.acldefault('f', r.proowner), NULL, 'f', r.pronamespace
    FROM routine r
    UNION ALL
    SELECT v.at, pg_catalog.format('TABLE %s', v.self), v.owner, v.relowner, a.attacl, NULL,
           pg_catalog.quote_ident(a.attname), NULL, NULL
    FROM view v
    JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attacl IS NOT NULL
),
grantees_by_default AS (
    SELECT DISTINCT d.defaclobjtype AS kind, d.defaclnamespace AS namespace, a.grantee
    FROM pg_catalog.pg_default_acl d
    CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
    WHERE d.defaclrole = current_user::pg_catalog.regrole
),
statement (at, step, part, name, sql) AS (
    -- this changes nothing, but locks the view without the tables under it, which LOCK TABLE would lock too
    SELECT v.at, 'lock', 0, '', pg_catalog.format('ALTER %s %s OWNER TO %I', v.word, v.self, v.owner) FROM view v
    UNION ALL
    SELECT v.at, 'detach', 0, '', pg_catalog.format('DROP %s %s', v.word, v.self) FROM view v
    UNION ALL
    SELECT v.at, 'replace', 0, '', 'CREATE OR REPLACE VIEW ' || v.definition FROM view v WHERE v.relkind = 'v'
    UNION ALL
    SELECT v.at, 'replace', 0, '', 'CREATE MATERIALIZED VIEW ' || v.definition FROM view v WHERE v.relkind = 'm'
    UNION ALL
    -- the functions of an index run as the owner of the view, also where it is tried out
    SELECT v.at, 'replace', 1, '', pg_catalog.format('ALTER MATERIALIZED VIEW %s OWNER TO %I', v.self, v.owner)
    FROM view v
    WHERE v.relkind = 'm' AND v.relowner <> current_user::pg_catalog.regrole
    UNION ALL
    SELECT p.at, step.name, 4, p.name, p.definition
    FROM view_piece_of p, (VALUES ('attach'), ('replace')) step (name)
    UNION ALL
    SELECT p.at, 'piece', p.number * 3 + part.number, '', part.text
    FROM (SELECT p.*, pg_catalog.row_number() OVER (ORDER BY p.self, p.word) AS number FROM view_piece_of p) p
    CROSS JOIN LATERAL (VALUES (0, p.word), (1, pg_catalog.quote_ident(p.schema)), (2, pg_catalog.quote_ident(p.name)))
        part (number, text)
    UNION ALL
    SELECT t.at, 'attach', 8, t.name, t.sql FROM view_setting t
    UNION ALL
    SELECT v.at, 'attach', 0, '', pg_catalog.format('CREATE %s %s', v.word, v.definition) FROM view v
    UNION ALL
    SELECT v.at, 'attach', 1, '', pg_catalog.format('ALTER %s %s OWNER TO %I', v.word, v.self, v.owner)
    FROM view v
    WHERE v.relowner <> current_user::pg_catalog.regrole
    UNION ALL
    SELECT v.at, 'attach', 5, a.attname,
           pg_catalog.format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', v.self, a.attname,
                             pg_catalog.pg_get_expr(f.adbin, f.adrelid))
    FROM view v
    JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
    JOIN pg_catalog.pg_attrdef f ON f.adrelid = v.oid AND f.adnum = a.attnum
    UNION ALL
    SELECT v.at, 'attach', 6, '', pg_catalog.format('COMMENT ON %s %s IS %L', v.word, v.self, c.description)
    FROM view v
    JOIN pg_catalog.pg_description c
        ON c.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.objoid = v.oid AND c.objsubid = 0
    UNION ALL
    SELECT v.at, 'attach', 7, a.attname,
           pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', v.self, a.attname,
                             pg_catalog.col_description(v.oid, a.attnum))
    FROM view v
    JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
    WHERE pg_catalog.col_description(v.oid, a.attnum) IS NOT NULL
    UNION ALL
    SELECT r.at, 'detach', 0, '', 'DROP ROUTINE ' || r.self FROM routine r
    UNION ALL
    SELECT r.at, step.name, 0, '', r.definition FROM routine r, (VALUES ('attach'), ('replace')) step (name)
    UNION ALL
    SELECT r.at, 'attach', 1, '', pg_catalog.format('ALTER ROUTINE %s OWNER TO %I', r.self, r.owner)
    FROM routine r
    WHERE r.proowner <> current_user::pg_catalog.regrole
    UNION ALL
    SELECT r.at, 'attach', 6, '',
           pg_catalog.format('COMMENT ON ROUTINE %s IS %L', r.self, pg_catalog.obj_description(r.oid, 'pg_proc'))
    FROM routine r
    WHERE pg_catalog.obj_description(r.oid, 'pg_proc') IS NOT NULL
    UNION ALL
    SELECT g.at, 'attach', 2, '', pg_catalog.format('REVOKE ALL ON %s FROM %s', g.object, pg_catalog.string_agg(
               CASE WHEN w.grantee = 0 THEN 'PUBLIC'
               ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(w.grantee)) END, ', ' ORDER BY w.grantee))
    FROM granted g
    CROSS JOIN LATERAL (
        SELECT d.grantee
        FROM grantees_by_default d
        WHERE d.kind = g.kind AND d.namespace IN (0, g.namespace)
        UNION
        SELECT a.grantee FROM pg_catalog.aclexplode(g.usual) a WHERE g.acl IS NOT NULL
    ) w
    WHERE g.column IS NULL
    GROUP BY g.at, g.object
    UNION ALL
    SELECT g.at, 'attach', 3, COALESCE(g.column, ''),
           pg_catalog.format('GRANT %s ON %s TO %s%s',
                             pg_catalog.string_agg(a.privilege_type || COALESCE(' (' || g.column || ')', ''), ', '
                                                   ORDER BY a.privilege_type),
                             g.object,
                             CASE WHEN a.grantee = 0 THEN 'PUBLIC'
                             ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
                             CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM granted g
    CROSS JOIN LATERAL pg_catalog.aclexplode(COALESCE(g.acl, g.usual)) a
    WHERE a.grantor = g.relowner
      AND (g.acl IS NOT NULL OR EXISTS (SELECT FROM grantees_by_default d
                                        WHERE d.kind = g.kind AND d.namespace IN (0, g.namespace)))
    GROUP BY g.at, g.object, g.column, a.grantee, a.is_grantable
    UNION ALL
    SELECT g.at, 'obstacle', 0, '',
           pg_catalog.format('%s has granted a privilege on it, which only that role could do again',
                             pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantor)))
    FROM granted g
    CROSS JOIN LATERAL pg_catalog.aclexplode(g.acl) a
    WHERE a.grantor <> g.relowner
    UNION ALL
    SELECT d.at, 'obstacle', 0, l.provider, pg_catalog.format('its security label (%s) would be lost', l.provider)
    FROM dependent d
    JOIN (SELECT DISTINCT l.classoid, l.objoid, l.provider FROM pg_catalog.pg_seclabel l) l
        ON l.classoid = d.classid AND l.objoid = d.objid
    UNION ALL
    SELECT o.at, 'obstacle', 0, '',
           pg_catalog.format('its owner %I may not create in schema %I', pg_catalog.pg_get_userbyid(o.owner), n.nspname)
    FROM (SELECT v.at, v.relowner, v.relnamespace FROM view v
          UNION ALL
          SELECT r.at, r.proowner, r.pronamespace FROM routine r) o (at, owner, namespace)
    JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
    WHERE NOT pg_catalog.has_schema_privilege(o.owner, o.namespace, 'CREATE')
    UNION ALL
    SELECT p.at, 'obstacle', 2, p.name,
           pg_catalog.format('the session''s role may not create its statistics object %s for role %I', p.self,
                             pg_catalog.pg_get_userbyid(p.owner))
    FROM view_piece_of p
    WHERE p.word = 'STATISTICS'
      AND NOT (pg_catalog.has_schema_privilege(p.schema, 'CREATE')
               AND (p.owner = current_user::pg_catalog.regrole
                    OR pg_catalog.has_schema_privilege(p.owner, p.schema, 'CREATE')
                       AND pg_catalog.pg_has_role(p.owner,
                                                  CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000
                                                       THEN 'SET' ELSE 'MEMBER' END)))
    UNION ALL
    -- from 16 on ALTER ... OWNER TO needs a membership WITH SET
    SELECT o.at, 'obstacle', 1, '',
           pg_catalog.format('the session''s role is a member of its owner %I WITH SET FALSE',
                             pg_catalog.pg_get_userbyid(o.owner))
    FROM (SELECT v.at, v.relowner FROM view v
          UNION ALL
          SELECT r.at, r.proowner FROM routine r) o (at, owner)
    WHERE pg_catalog.pg_has_role(o.owner, 'MEMBER')
      AND NOT pg_catalog.pg_has_role(o.owner, CASE WHEN pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 160000
                                                       THEN 'SET' ELSE 'MEMBER' END)
    UNION ALL
    SELECT p.at, 'lock', 0, '',
           CASE WHEN p.relkind IN ('v', 'm')
               THEN pg_catalog.format('ALTER %s %s OWNER TO %I',
                                      CASE p.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, p.self,
                                      pg_catalog.pg_get_userbyid(p.relowner))
               ELSE pg_catalog.format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', p.self) END
    FROM piece_of p
    WHERE p.relation <> $3::pg_catalog.oid
    UNION ALL
    SELECT p.at, 'detach', 0, '', pg_catalog.format('DROP %s %I ON %s', p.word, p.name, p.self) FROM piece_of p
    UNION ALL
    SELECT p.at, 'attach', 0, '', p.definition FROM piece_of p
    UNION ALL
    SELECT p.at, 'attach', 1, '',
           pg_catalog.format('ALTER TABLE %s %s %s %I', p.self,
                             CASE p.enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA'
                                            ELSE 'ENABLE ALWAYS' END, p.word, p.name)
    FROM piece_of p
    WHERE p.enabled <> 'O'
    UNION ALL
    SELECT p.at, 'attach', 2, '',
           pg_catalog.format('COMMENT ON %s %I ON %s IS %L', p.word, p.name, p.self, c.description)
    FROM piece_of p
    JOIN pg_catalog.pg_description c ON c.classoid = p.classid AND c.objoid = p.oid AND c.objsubid = 0
    UNION ALL
    SELECT f.at, 'lock', 0, '', pg_catalog.format('LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE', f.self) FROM preset f
    UNION ALL
    SELECT f.at, 'detach', 0, '', pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I DROP DEFAULT', f.self, f.column)
    FROM preset f
    UNION ALL
    SELECT f.at, 'attach', 0, '',
           pg_catalog.format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', f.self, f.column, f.expression)
    FROM preset f
    UNION ALL
    SELECT h.at, 'holder', part.number, '', part.text
    FROM (SELECT p.at, p.relation FROM piece_of p
          UNION ALL
          SELECT f.at, f.relation FROM preset f) h
    JOIN pg_catalog.pg_class c ON c.oid = h.relation
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (VALUES (0, c.oid::pg_catalog.text), (1, pg_catalog.quote_ident(n.nspname)),
                               (2, pg_catalog.quote_ident(c.relname))) part (number, text)
    WHERE h.relation <> $3::pg_catalog.oid
    UNION ALL
    SELECT m.at, 'detach', 0, '',
           pg_catalog.format('ALTER PUBLICATION %s DROP TABLE ONLY %s', m.publication, m.self)
    FROM member m
    UNION ALL
    SELECT m.at, 'attach', 0, '',
           pg_catalog.format('ALTER PUBLICATION %s ADD TABLE ONLY %s%s%s', m.publication, m.self, m.columns, m.filter)
    FROM member m
)
SELECT s.at, s.step, piece.sql
FROM statement s
JOIN dependent d ON d.at = s.at
CROSS JOIN LATERAL (VALUES (s.sql, 1), ('SET LOCAL search_path TO ' || d.path, 0),
                           (CASE WHEN d.path IS NOT NULL THEN 'SET LOCAL search_path TO ''''' END, 2)) piece (sql, place)
-- the search_path is set for statements that have expressions: definitions, indexes, and defaults of a view's columns
WHERE piece.sql IS NOT NULL AND (piece.place = 1 OR (s.step IN ('attach', 'replace') AND s.part IN (0, 4, 5)))
ORDER BY s.at, s.step, s.part, s.name, s.sql, piece.place;
