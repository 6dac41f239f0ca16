"""The description of a database, which judges the program: it is stable, and it sees every small change."""

import re

import pytest

import dependents
from conftest import MAIN_MAJOR, MAJORS
from database import describe, differences, dump, dump_differences, without_kept, without_values

# One thing each. A list: (oldest major, statement). All are rolled back.
CHANGES = [(14, statement) for statement in (
    # Relations and columns
    "ALTER TABLE t RENAME TO renamed",
    "ALTER TABLE t SET SCHEMA side",
    "ALTER TABLE log SET UNLOGGED",
    "ALTER TABLE log OWNER TO friend",
    "ALTER TABLE other SET (fillfactor = 71)",
    "ALTER TABLE other SET (toast.autovacuum_enabled = off)",
    "ALTER TABLE other SET TABLESPACE other_space",
    "ALTER TABLE other REPLICA IDENTITY FULL",
    "ALTER TABLE t ALTER d TYPE numeric(10,3)",
    "ALTER TABLE t ALTER f TYPE text COLLATE \"C\"",
    "ALTER TABLE t ALTER f SET DEFAULT 'f'",
    "ALTER TABLE t ALTER e SET NOT NULL",
    "ALTER TABLE t ALTER f SET STORAGE EXTERNAL",
    "ALTER TABLE t ALTER f SET COMPRESSION pglz",
    "ALTER TABLE t ALTER e SET STATISTICS 50",
    "ALTER TABLE t ALTER e SET (n_distinct = 5)",
    "ALTER TABLE t ALTER g DROP EXPRESSION",
    "ALTER TABLE t ALTER id SET GENERATED ALWAYS",
    "ALTER TABLE t ALTER id DROP IDENTITY",
    "ALTER TABLE t DROP e",
    "ALTER TABLE t ADD n integer",
    "ALTER TABLE other INHERIT others",
    "CREATE TABLE more ()",
    # Sequences
    "ALTER SEQUENCE t_s_seq CYCLE",
    "ALTER SEQUENCE t_s_seq OWNED BY NONE",
    # Access
    "GRANT DELETE ON t TO reader",
    "GRANT SELECT ON t TO reader WITH GRANT OPTION",
    "REVOKE ALL ON t FROM app_owner",
    "GRANT UPDATE (f) ON t TO reader",
    "REVOKE GRANT OPTION FOR UPDATE (c) ON t FROM reader",
    "SET LOCAL ROLE friend; GRANT SELECT ON t TO writer; RESET ROLE",
    "GRANT USAGE ON SCHEMA side TO reader",
    "GRANT SELECT ON SEQUENCE t_id_seq TO reader",
    "GRANT USAGE ON TYPE mood TO reader; REVOKE USAGE ON TYPE mood FROM PUBLIC",
    "REVOKE EXECUTE ON FUNCTION atomic(integer) FROM reader",
    "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public GRANT SELECT ON TABLES TO reader",
    "ALTER DEFAULT PRIVILEGES FOR ROLE app_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC",
    # Comments
    "COMMENT ON TABLE t IS NULL",
    "COMMENT ON COLUMN t.b IS 'new'",
    "COMMENT ON INDEX t_hash IS 'another'",
    "COMMENT ON CONSTRAINT t_a_parent ON t IS 'another'",
    "COMMENT ON TRIGGER t_before ON t IS 'another'",
    "COMMENT ON RULE t_also ON t IS 'another'",
    "COMMENT ON POLICY p_tenant ON t IS NULL",
    "COMMENT ON COLUMN v_plain.a IS NULL",
    "COMMENT ON STATISTICS t_statistics IS NULL",
    "COMMENT ON FUNCTION row_in(t) IS NULL",
    "COMMENT ON PUBLICATION in_list IS NULL",
    "COMMENT ON TYPE t IS 'a row'",
    # Constraints
    "ALTER TABLE t RENAME CONSTRAINT t_a_parent TO another",
    "ALTER TABLE t DROP CONSTRAINT t_boss",
    "ALTER TABLE child_null ALTER CONSTRAINT child_null_t_id_fkey NOT DEFERRABLE",
    "ALTER TABLE child_null ALTER CONSTRAINT child_null_t_id_fkey INITIALLY DEFERRED",
    "UPDATE t SET q = NULL; SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE t VALIDATE CONSTRAINT t_q_parent",
    "ALTER TABLE t DISABLE TRIGGER ALL; ALTER TABLE t ENABLE TRIGGER USER; ALTER TABLE t DISABLE TRIGGER t_disabled",
    "ALTER TABLE parent DISABLE TRIGGER ALL",
    "ALTER TABLE t ADD CHECK (e > 0) NOT VALID",
    "ALTER TABLE others ADD CONSTRAINT c CHECK (id > 0) NO INHERIT",
    # Triggers, rules, policies
    "ALTER TABLE t ENABLE TRIGGER t_disabled",
    "ALTER TABLE t ENABLE ALWAYS TRIGGER t_replica",
    "ALTER TRIGGER t_before ON t RENAME TO t_first",
    "CREATE OR REPLACE TRIGGER t_before BEFORE INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION log_row('one')",
    "DROP TRIGGER t_truncate ON t",
    "ALTER TABLE t ENABLE RULE t_disabled",
    "CREATE OR REPLACE RULE t_also AS ON INSERT TO t DO ALSO NOTHING",
    "ALTER RULE other_writes ON other RENAME TO another",
    "ALTER TABLE t DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE t FORCE ROW LEVEL SECURITY",
    "ALTER POLICY p_tenant ON t TO reader",
    "ALTER POLICY p_tenant ON t USING (tenant = 'x')",
    "ALTER POLICY p_tenant ON t WITH CHECK (a > 1)",
    "ALTER POLICY p_other ON other RENAME TO another",
    "DROP POLICY p_restrictive ON t; CREATE POLICY p_restrictive ON t FOR DELETE USING (a IS NOT NULL)",
    "DROP POLICY p_insert ON t; CREATE POLICY p_insert ON t FOR ALL WITH CHECK (b <> '')",
    # Indexes and statistics
    "ALTER INDEX t_hash RENAME TO another",
    "ALTER INDEX t_expression SET (fillfactor = 61)",
    "ALTER INDEX t_expression ALTER COLUMN 1 SET STATISTICS 56",
    "ALTER INDEX t_hash SET TABLESPACE other_space",
    "DROP INDEX t_gin",
    "DROP INDEX t_pattern; CREATE INDEX t_pattern ON t (b, a DESC) WITH (deduplicate_items = off); ALTER TABLE t CLUSTER ON t_pattern",
    "ALTER TABLE t SET WITHOUT CLUSTER",
    "ALTER TABLE t CLUSTER ON t_pkey",
    "ALTER TABLE t REPLICA IDENTITY USING INDEX t_id_a_key",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 't_brin'::regclass",
    "ALTER STATISTICS t_statistics SET STATISTICS 61",
    "ALTER STATISTICS t_expressions SET SCHEMA side",
    "ALTER STATISTICS t_expressions OWNER TO friend",
    # Views
    "CREATE OR REPLACE VIEW v_plain AS SELECT id, a, b, lower(b) AS small FROM t WHERE c > 4",
    "ALTER VIEW v_barrier RESET (security_barrier)",
    "ALTER VIEW v_local SET (check_option = cascaded)",
    "ALTER VIEW v_aliased ALTER one DROP DEFAULT",
    "ALTER VIEW v_aliased RENAME one TO eins",
    "ALTER VIEW v_plain OWNER TO friend",
    "GRANT SELECT (b) ON v_plain TO writer",
    "DROP TRIGGER v_insert ON v_over",
    "DROP RULE v_deleted ON v_aliased",
    "REFRESH MATERIALIZED VIEW filled WITH NO DATA",
    "DROP INDEX filled_n",
    # Functions, types and the like
    "ALTER FUNCTION row_in(t) STRICT",
    "ALTER FUNCTION row_out(integer) OWNER TO app_owner",
    "ALTER FUNCTION all_out() ROWS 78",
    "CREATE OR REPLACE FUNCTION row_in(t) RETURNS integer LANGUAGE sql STABLE AS 'SELECT 5'",
    "DROP FUNCTION atomic_over()",
    "ALTER AGGREGATE total(integer) RENAME TO sum_of",
    "ALTER TYPE mood RENAME VALUE 'fair' TO 'fine'",
    "ALTER DOMAIN small SET DEFAULT 5",
    "ALTER DOMAIN small ADD CONSTRAINT c CHECK (VALUE > 1) NOT VALID",
    "ALTER TYPE pair ADD ATTRIBUTE z integer",
    "ALTER TYPE pair OWNER TO friend",
    "DROP CAST (pair AS mood)",
    "ALTER OPERATOR === (integer, integer) SET (RESTRICT = eqsel)",
    # Publications, extensions and the like
    "ALTER PUBLICATION in_list ADD TABLE log",
    "ALTER PUBLICATION in_list_too SET (publish = 'insert')",
    "ALTER PUBLICATION in_list_too SET (publish_via_partition_root = false)",
    "ALTER PUBLICATION in_list OWNER TO friend",
    "CREATE PUBLICATION every FOR ALL TABLES",
    "ALTER EVENT TRIGGER watch DISABLE",
    "ALTER EXTENSION plpgsql ADD TABLE other",
    "ALTER SCHEMA side OWNER TO friend",
    "ALTER INDEX t_hash DEPENDS ON EXTENSION plpgsql",
    # Partitions
    "ALTER TABLE pieces DETACH PARTITION pieces_2",
    "ALTER TABLE pieces_1 ADD CHECK (n > -1)",
)] + [(15, statement) for statement in (
    "ALTER PUBLICATION of_rows SET TABLE t WHERE (id > 4)",
    "ALTER PUBLICATION of_columns SET TABLE t (id, a, b), other WHERE (id > 5)",
    "ALTER PUBLICATION in_list ADD TABLES IN SCHEMA side",
    "ALTER VIEW v_invoker SET (security_invoker = false)",
    "ALTER TABLE t DROP CONSTRAINT t_nulls_constraint; ALTER TABLE t ADD CONSTRAINT t_nulls_constraint UNIQUE (s, a)",
)] + [(18, statement) for statement in (
    "ALTER PUBLICATION of_generated SET (publish_generated_columns = none)",
    "ALTER TABLE t RENAME CONSTRAINT t_a_not_null TO a_there",
    "ALTER TABLE child_cascade ALTER CONSTRAINT child_cascade_t_id_fkey NOT ENFORCED",
)]

# What the sink lacks.
MORE = """
CREATE TABLE others (id integer NOT NULL, note text);
CREATE TABLE pieces (n integer PRIMARY KEY) PARTITION BY RANGE (n);
CREATE TABLE pieces_1 PARTITION OF pieces FOR VALUES FROM (0) TO (50);
CREATE TABLE pieces_2 PARTITION OF pieces FOR VALUES FROM (50) TO (100);
CREATE MATERIALIZED VIEW filled AS SELECT 1 AS n;
CREATE INDEX filled_n ON filled (n);
CREATE TYPE mood AS ENUM ('fair', 'foul');
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN small AS integer CHECK (VALUE < 10);
CREATE FUNCTION moody(pair) RETURNS mood LANGUAGE sql IMMUTABLE AS 'SELECT ''fair''::public.mood';
CREATE CAST (pair AS mood) WITH FUNCTION moody(pair);
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE AGGREGATE total(integer) (SFUNC = int4pl, STYPE = integer);
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
"""


@pytest.fixture
def sink(server, new_database):
    """A function that makes a database with everything in it."""
    dependents.Schema.prepare(server)

    def make():
        database = dependents.Schema("sink", server.major).build(new_database())
        database.execute(MORE)
        database.superuser("CREATE EVENT TRIGGER watch ON sql_drop WHEN TAG IN ('DROP SEQUENCE') EXECUTE FUNCTION public.watch()")
        return database

    return make


def description(database):
    connection = database.connect("postgres")
    try:
        return describe(connection)
    finally:
        connection.close()


def test_the_same_twice(sink, server):
    """Two databases made by the same statements are described alike, in the description and in the dump."""
    first, second = sink(), sink()
    found = description(first)
    assert differences(found, description(second)) == []
    assert differences(found, without_kept(found)) == []
    assert len(found["dependencies"]) > 100 and len(found["relations"]) > 20  # there is something to see
    if server.major in (14, 15):
        text = dump(server, first.name)
        assert dump_differences(text, dump(server, second.name)) == []
        assert any("CREATE RULE t_also" in line for line in text)


def changes(major):
    """All that this major knows on the main one; on the others what is new since 14, and some of the rest."""
    for number, (oldest, statement) in enumerate(CHANGES):
        if major >= oldest and (major == MAIN_MAJOR or oldest > 14 or number % 4 == major % 4):
            yield statement


@pytest.mark.parametrize("major", MAJORS)
def test_sees_every_change(sink, major):
    database = sink()
    connection = database.connect("postgres", autocommit=False)
    before = without_values(describe(connection))
    unseen = []
    for statement in changes(major):
        with connection.cursor() as cursor:
            cursor.execute(statement)
        if not differences(before, without_values(describe(connection))):
            unseen.append(statement)
        connection.rollback()
    connection.close()
    assert unseen == []
    assert differences(before, without_values(description(database))) == []
    before = description(database)
    database.execute("SELECT nextval('t_s_seq')")
    assert len(differences(before, description(database))) == 1


def test_what_a_job_keeps_is_left_out(sink):
    """The other table of a job and its publications, but nothing that is named like them in the user's own objects."""
    database = sink()
    before = description(database)
    database.execute("CREATE TABLE t_pgrecast_old (LIKE t INCLUDING ALL); CREATE PUBLICATION pgrecast_t FOR TABLE t, t_pgrecast_old;"
                     "CREATE INDEX ON t_pgrecast_old (f); COMMENT ON TABLE t_pgrecast_old IS 'kept';"
                     "ALTER TABLE t_pgrecast_old ADD FOREIGN KEY (p) REFERENCES parent")
    assert differences(before, description(database)) != []
    assert differences(before, without_kept(description(database))) == []
    database.execute("ALTER TABLE t ADD CONSTRAINT t_pgrecast_new CHECK (id > 0)")
    found = differences(before, without_kept(description(database)))
    assert found and all(re.match("unexpected: .*t_pgrecast_new", line) for line in found), found


@pytest.mark.majors((14, 15))
def test_dump_sees_a_change(sink, server):
    """Grants may come in any order, but not be others."""
    database = sink()
    before = dump(server, database.name)
    database.execute("REVOKE ALL ON t FROM reader CASCADE; GRANT UPDATE (c) ON t TO reader WITH GRANT OPTION;"
                     "GRANT INSERT, SELECT ON t TO reader; SET ROLE friend; GRANT SELECT ON t TO reader")
    assert dump_differences(before, dump(server, database.name)) == []
    database.execute("GRANT DELETE ON t TO reader")
    assert any("GRANT" in line for line in dump_differences(before, dump(server, database.name)))
