"""Every clause of ALTER TABLE that is about columns and the table's own constraints, and all that a table carries:
the result is that of the plain statement, in a twin database, in schema and in rows."""

import dataclasses

import pytest

import catalogs
import pgrecast
from conftest import MAJORS, MAIN_MAJOR
from tables import assert_clean, describe, relations, row_differences

BASE = """
CREATE TABLE t (
    id integer PRIMARY KEY,
    a integer,
    b text,
    c text NOT NULL DEFAULT 'x',
    d numeric(10,4),
    u integer CONSTRAINT t_u_unique UNIQUE,
    ts timestamp,
    v varchar(20),
    r int4range,
    CONSTRAINT t_a_small CHECK (a < 100000)
);
CREATE INDEX t_b ON t (b);
CREATE INDEX t_lower_b ON t (lower(b)) WHERE a > 5;
INSERT INTO t SELECT g, g % 50, CASE WHEN g % 7 > 0 THEN 'text ' || g END, 'c' || g, g / 3.0, g * 2,
       '2024-01-01'::timestamp + g * interval '1 hour', 'v' || g, int4range(g * 10, g * 10 + 5)
  FROM generate_series(1, 400) g;
"""

# What happens to the table between the start and the cutover; the twin has it before its ALTER TABLE.
CHANGES = """
UPDATE t SET a = a + 1 WHERE id % 5 = 0;
UPDATE t SET b = 'changed' WHERE id % 11 = 0;
UPDATE t SET id = id + 10000 WHERE id % 13 = 0;
DELETE FROM t WHERE id % 17 = 0;
INSERT INTO t (id, a, b, u, ts, v, r)
SELECT g, g % 40, 'new ' || g, g * 2, '2025-01-01', 'n' || g, int4range(g * 10, g * 10 + 5)
  FROM generate_series(1001, 1060) g;
"""


@dataclasses.dataclass
class Case:
    sql: str
    setup: str = ""  # after BASE, as the application's role
    base: str = BASE
    changes: str = CHANGES
    ignore: tuple = ()  # columns whose values are made anew
    unseen: str = ""  # properties (section.key, a pattern) that need not agree
    majors: tuple = (14, 15, 16, 17, 18)
    table: str = "t"  # its name at the end


CASES = {
    # ALTER COLUMN TYPE
    "type_int_to_bigint": Case("ALTER TABLE t ALTER COLUMN id TYPE bigint"),
    "type_bigint_to_int": Case("ALTER TABLE t ALTER a TYPE smallint"),
    "type_set_data": Case("ALTER TABLE t ALTER COLUMN a SET DATA TYPE numeric(20,5)"),
    "type_of_key_to_text": Case("ALTER TABLE t ALTER id TYPE text"),
    "type_of_key_to_numeric": Case("ALTER TABLE t ALTER id TYPE numeric(12,2)"),
    "type_using": Case("ALTER TABLE t ALTER a TYPE text USING 'n' || a::text",
                       setup="ALTER TABLE t DROP CONSTRAINT t_a_small; DROP INDEX t_lower_b"),
    "type_using_other_columns": Case("ALTER TABLE t ALTER a TYPE bigint USING (a::bigint * 2 + length(b) + id)"),
    "type_using_null": Case("ALTER TABLE t ALTER b TYPE integer USING NULL", setup="DROP INDEX t_lower_b"),
    "type_using_of_key": Case("ALTER TABLE t ALTER id TYPE bigint USING (id::bigint + 5000000000)"),
    "type_using_case": Case("ALTER TABLE t ALTER c TYPE integer USING CASE WHEN c ~ '^c' THEN substr(c, 2)::int ELSE 0 END",
                            setup="ALTER TABLE t ALTER c DROP DEFAULT", changes=CHANGES.replace("(id, a, b, u", "(id, a, c, u")),
    "type_text_to_varchar": Case("ALTER TABLE t ALTER b TYPE varchar(50)"),
    "type_varchar_longer": Case("ALTER TABLE t ALTER v TYPE varchar(40)"),
    "type_varchar_shorter": Case("ALTER TABLE t ALTER v TYPE varchar(6)"),
    "type_char": Case("ALTER TABLE t ALTER v TYPE char(12)"),
    "type_numeric_scale": Case("ALTER TABLE t ALTER d TYPE numeric(10,2)"),
    "type_timestamptz": Case("ALTER TABLE t ALTER ts TYPE timestamptz"),
    "type_timestamptz_using": Case("ALTER TABLE t ALTER ts TYPE timestamptz USING ts AT TIME ZONE 'Europe/Zurich'"),
    "type_collation": Case('ALTER TABLE t ALTER b TYPE text COLLATE "C"'),
    "type_collation_icu": Case('ALTER TABLE t ALTER b TYPE text COLLATE "de-x-icu"'),
    "type_same": Case("ALTER TABLE t ALTER a TYPE integer"),
    "type_with_default": Case("ALTER TABLE t ALTER c TYPE varchar(30), ALTER c SET DEFAULT 'y'"),
    "type_keeps_default": Case("ALTER TABLE t ALTER a TYPE bigint", setup="ALTER TABLE t ALTER a SET DEFAULT 5 + 6"),
    "type_of_indexed": Case("ALTER TABLE t ALTER b TYPE varchar(100), ALTER u TYPE bigint"),
    "type_of_checked": Case("ALTER TABLE t ALTER a TYPE bigint"),
    "type_domain": Case("ALTER TABLE t ALTER a TYPE small_number",
                        setup="CREATE DOMAIN small_number AS integer CHECK (VALUE < 99999)"),
    "type_enum": Case("ALTER TABLE t ALTER c TYPE kind USING 'one'::kind, ALTER c SET DEFAULT 'two'",
                      setup="ALTER TABLE t ALTER c DROP DEFAULT; CREATE TYPE kind AS ENUM ('one', 'two')",
                      changes=CHANGES.replace("(id, a, b, u", "(id, a, c, u")),
    "type_composite": Case("ALTER TABLE t ALTER b TYPE pair USING ROW(a, b)::pair",
                           setup="CREATE TYPE pair AS (x int, y text); DROP INDEX t_lower_b"),
    "type_array": Case("ALTER TABLE t ALTER a TYPE integer[] USING ARRAY[a, NULL]",
                       setup="ALTER TABLE t DROP CONSTRAINT t_a_small; DROP INDEX t_lower_b"),
    "type_json_to_jsonb": Case("ALTER TABLE t ALTER j TYPE jsonb",
                               setup="ALTER TABLE t ADD j json; UPDATE t SET j = json_build_object('a', a, 'b', b)"),
    "type_function": Case("ALTER TABLE t ALTER a TYPE bigint USING doubled(a)",
                          setup="CREATE FUNCTION doubled(i int) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT i * 2::bigint'"),

    # ADD COLUMN
    "add_plain": Case("ALTER TABLE t ADD COLUMN n integer"),
    "add_constant": Case("ALTER TABLE t ADD n text NOT NULL DEFAULT 'constant'"),
    "add_if_not_exists": Case("ALTER TABLE t ADD COLUMN IF NOT EXISTS a bigint, ADD COLUMN IF NOT EXISTS n bigint DEFAULT 3"),
    "add_now": Case("ALTER TABLE t ADD n timestamptz DEFAULT now()", ignore=("n",)),
    "add_volatile": Case("ALTER TABLE t ADD n uuid NOT NULL DEFAULT gen_random_uuid()", ignore=("n",)),
    "add_volatile_unique": Case("ALTER TABLE t ADD n uuid UNIQUE DEFAULT gen_random_uuid()", ignore=("n",)),
    "add_random": Case("ALTER TABLE t ADD n double precision DEFAULT random()", ignore=("n",)),
    "add_clock": Case("ALTER TABLE t ADD n timestamptz DEFAULT clock_timestamp(), ALTER id TYPE bigint", ignore=("n",)),
    "add_serial": Case("ALTER TABLE t ADD n serial", ignore=("n",), unseen="sequences.(last_value|is_called)"),
    "add_bigserial_unique": Case("ALTER TABLE t ADD n bigserial UNIQUE", ignore=("n",),
                                 unseen="sequences.(last_value|is_called)"),
    "add_identity": Case("ALTER TABLE t ADD n bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5)", ignore=("n",),
                         unseen="sequences.(last_value|is_called)"),
    "add_generated": Case("ALTER TABLE t ADD n bigint GENERATED ALWAYS AS (a * 2::bigint + id) STORED"),
    "add_check": Case("ALTER TABLE t ADD n integer DEFAULT 5 CHECK (n > 0) CONSTRAINT named CHECK (n < id + 100000)"),
    "add_domain": Case("ALTER TABLE t ADD n small_number DEFAULT 7",
                       setup="CREATE DOMAIN small_number AS integer CHECK (VALUE < 100)"),
    "add_collated": Case('ALTER TABLE t ADD n text COLLATE "C" DEFAULT \'é\''),
    "add_collated_only": Case('ALTER TABLE t ADD n text COLLATE "C"'),
    "add_compressed": Case("ALTER TABLE t ADD n text COMPRESSION pglz, ALTER id TYPE bigint"),

    # DROP, RENAME
    "drop_column": Case("ALTER TABLE t DROP COLUMN v"),
    "drop_indexed_column": Case("ALTER TABLE t DROP b"),
    "drop_checked_column": Case("ALTER TABLE t DROP a"),
    "drop_unique_column": Case("ALTER TABLE t DROP COLUMN u RESTRICT"),
    "drop_if_exists": Case("ALTER TABLE t DROP COLUMN IF EXISTS nothing, DROP COLUMN IF EXISTS v"),
    "drop_key": Case("ALTER TABLE t DROP id"),
    "drop_and_add": Case("ALTER TABLE t DROP a, ADD a text DEFAULT 'again'"),
    "rename_column": Case("ALTER TABLE t RENAME COLUMN a TO a_renamed"),
    "rename_key": Case("ALTER TABLE t RENAME id TO identifier; ALTER TABLE t ALTER identifier TYPE bigint"),
    "rename_exchange": Case("ALTER TABLE t RENAME a TO x; ALTER TABLE t RENAME u TO a; ALTER TABLE t RENAME x TO u"),
    "rename_constraint": Case("ALTER TABLE t RENAME CONSTRAINT t_a_small TO small; ALTER TABLE t ALTER id TYPE bigint"),

    # Properties of columns
    "set_not_null": Case("ALTER TABLE t ALTER a SET NOT NULL"),
    "drop_not_null": Case("ALTER TABLE t ALTER c DROP NOT NULL"),
    "set_default": Case("ALTER TABLE t ALTER a SET DEFAULT 42"),
    "set_default_volatile": Case("ALTER TABLE t ALTER ts SET DEFAULT clock_timestamp()"),
    "drop_default": Case("ALTER TABLE t ALTER c DROP DEFAULT"),
    "set_statistics": Case("ALTER TABLE t ALTER a SET STATISTICS 500"),
    "set_options": Case("ALTER TABLE t ALTER a SET (n_distinct = 50, n_distinct_inherited = -0.5)"),
    "reset_options": Case("ALTER TABLE t ALTER a RESET (n_distinct)", setup="ALTER TABLE t ALTER a SET (n_distinct = 5)"),
    "set_storage": Case("ALTER TABLE t ALTER b SET STORAGE EXTERNAL"),
    "set_compression": Case("ALTER TABLE t ALTER b SET COMPRESSION pglz"),
    "add_generated_identity": Case("ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START 50000)"),
    "set_generated": Case("ALTER TABLE t ALTER id SET GENERATED ALWAYS SET INCREMENT 7",
                          setup="ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY (START 50000)"),
    "drop_identity": Case("ALTER TABLE t ALTER id DROP IDENTITY",
                          setup="ALTER TABLE t ALTER id ADD GENERATED BY DEFAULT AS IDENTITY"),
    "keep_virtual": Case("ALTER TABLE t ALTER id TYPE bigint", majors=(18,),
                         setup="ALTER TABLE t ADD n bigint GENERATED ALWAYS AS (a * 2::bigint) VIRTUAL"),
    "drop_expression": Case("ALTER TABLE t ALTER n DROP EXPRESSION",
                            setup="ALTER TABLE t ADD n integer GENERATED ALWAYS AS (a + 1) STORED"),

    # Constraints
    "add_check_constraint": Case("ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0)"),
    "add_check_unnamed": Case("ALTER TABLE t ADD CHECK (id > 0 AND a >= 0)"),
    "add_check_not_valid": Case("ALTER TABLE t ADD CONSTRAINT later CHECK (a > 20) NOT VALID", changes=""),
    "validate_constraint": Case("ALTER TABLE t VALIDATE CONSTRAINT later",
                                setup="ALTER TABLE t ADD CONSTRAINT later CHECK (a >= 0) NOT VALID"),
    "keep_not_valid": Case("ALTER TABLE t ALTER id TYPE bigint",
                           setup="ALTER TABLE t ADD CONSTRAINT later CHECK (a > 20) NOT VALID", changes=""),
    "drop_constraint": Case("ALTER TABLE t DROP CONSTRAINT t_a_small"),
    "drop_unique": Case("ALTER TABLE t DROP CONSTRAINT t_u_unique"),
    "add_unique": Case("ALTER TABLE t ADD UNIQUE (v, c)"),
    "add_unique_deferrable": Case("ALTER TABLE t ADD CONSTRAINT u2 UNIQUE (v, id) DEFERRABLE INITIALLY DEFERRED"),
    "add_unique_include": Case("ALTER TABLE t ADD CONSTRAINT u2 UNIQUE (v, id) INCLUDE (a) WITH (fillfactor = 70)"),
    "add_unique_nulls": Case("ALTER TABLE t ADD CONSTRAINT u2 UNIQUE NULLS NOT DISTINCT (v, id)", majors=(15, 16, 17, 18)),
    "keep_deferrable": Case("ALTER TABLE t ALTER id TYPE bigint",
                            setup="ALTER TABLE t ADD CONSTRAINT u2 UNIQUE (v, a, id) DEFERRABLE"),
    "change_primary_key": Case("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (v, id)"),
    "change_primary_key_type": Case("ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id TYPE bigint,"
                                    " ADD CONSTRAINT other_key PRIMARY KEY (id)"),
    "primary_key_from_unique": Case("ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (u)"),
    "add_exclusion": Case("ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (r WITH &&)"),
    "keep_exclusion": Case("ALTER TABLE t ALTER id TYPE bigint",
                           setup="ALTER TABLE t ADD CONSTRAINT apart EXCLUDE USING gist (r WITH &&) WHERE (a >= 0)"),
    "keep_not_null_named": Case("ALTER TABLE t ALTER id TYPE bigint", majors=(18,),
                                setup="ALTER TABLE t ADD CONSTRAINT a_there NOT NULL a"),

    "keep_not_enforced": Case("ALTER TABLE t ALTER id TYPE bigint", majors=(18,),
                              setup="ALTER TABLE t ADD CONSTRAINT loose CHECK (a > 3) NOT ENFORCED"),

    # The table
    "set_parameters": Case("ALTER TABLE t SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)"),
    "set_toast_parameters": Case("ALTER TABLE t SET (toast.autovacuum_enabled = false, toast_tuple_target = 1000)"),
    "reset_parameters": Case("ALTER TABLE t RESET (fillfactor)", setup="ALTER TABLE t SET (fillfactor = 50, parallel_workers = 2)"),
    "set_tablespace": Case("ALTER TABLE t SET TABLESPACE other_space"),
    "keep_tablespace": Case("ALTER TABLE t ALTER id TYPE bigint",
                            setup="ALTER TABLE t SET TABLESPACE other_space; ALTER INDEX t_b SET TABLESPACE other_space"),
    "cluster_on": Case("ALTER TABLE t CLUSTER ON t_b"),
    "keep_clustered": Case("ALTER TABLE t ALTER id TYPE bigint", setup="ALTER TABLE t CLUSTER ON t_b"),
    "set_without_cluster": Case("ALTER TABLE t SET WITHOUT CLUSTER", setup="ALTER TABLE t CLUSTER ON t_b"),
    "replica_identity": Case("ALTER TABLE t ALTER id TYPE bigint",
                             setup="ALTER TABLE t ALTER u SET NOT NULL; ALTER TABLE t REPLICA IDENTITY USING INDEX t_u_unique"),
    "replica_identity_full": Case("ALTER TABLE t REPLICA IDENTITY FULL, ALTER id TYPE bigint"),

    # Indexes
    "create_index": Case("CREATE INDEX t_new ON t (a DESC NULLS LAST, v text_pattern_ops) INCLUDE (d) WHERE a > 3;"
                         "ALTER TABLE t ALTER id TYPE bigint"),
    "create_unique_index": Case("CREATE UNIQUE INDEX t_new ON t (v, id); ALTER TABLE t ALTER id TYPE bigint"),
    "create_index_unnamed": Case("ALTER TABLE t ALTER id TYPE bigint; CREATE INDEX ON t (d); CREATE INDEX ON t (d)"),
    "create_index_on_new": Case("ALTER TABLE t ADD n integer DEFAULT 5; CREATE INDEX t_new ON t (n, id)"),
    "create_index_kinds": Case("CREATE INDEX t_hash ON t USING hash (b); CREATE INDEX t_gist ON t USING gist (r);"
                               "CREATE INDEX t_brin ON t USING brin (ts) WITH (pages_per_range = 16);"
                               "CREATE INDEX t_gin ON t USING gin (to_tsvector('english', b));"
                               "CREATE INDEX t_spgist ON t USING spgist (v); ALTER TABLE t ALTER id TYPE bigint"),
    "drop_index": Case("DROP INDEX t_b; ALTER TABLE t ALTER id TYPE bigint"),
    "drop_index_if_exists": Case("DROP INDEX IF EXISTS t_b, t_lower_b; ALTER TABLE t ALTER id TYPE bigint"),

    # Together
    "several_clauses": Case("ALTER TABLE t ALTER id TYPE bigint, ALTER a TYPE bigint USING a * 10, DROP v, ADD n text DEFAULT 'n',"
                            " ALTER c DROP NOT NULL, DROP CONSTRAINT t_a_small, ADD CONSTRAINT big CHECK (a < 10000000)"),
    "several_statements": Case("ALTER TABLE t ADD n bigint; ALTER TABLE t ALTER n SET DEFAULT 9;"
                               "ALTER TABLE t ALTER d TYPE double precision; ALTER TABLE t RENAME d TO measured;"
                               "CREATE INDEX t_measured ON t (measured)"),
    "only": Case("ALTER TABLE ONLY public.t ALTER id TYPE bigint"),
    "if_exists": Case("ALTER TABLE IF EXISTS t ALTER id TYPE bigint"),
}


def cases():
    """Every case on the main major; on the others those that are special to some, and every third."""
    for number, (name, case) in enumerate(CASES.items()):
        for major in MAJORS:
            special = len(case.majors) < 5
            if major in case.majors and (major == MAIN_MAJOR or special or number % 3 == major % 3):
                yield pytest.param(major, case, id=f"pg{major}-{name}")


def prepared(new_database, server, case):
    """Two databases with the case's table; the second, the twin, has the result of the plain statements."""
    if "other_space" in case.sql + case.setup:
        server.tablespace("other_space")
    made = new_database(), new_database()
    for one in made:
        one.execute(case.base)
        if case.setup:
            one.execute(case.setup)
        one.execute("ANALYZE t")
    if case.changes:
        made[1].execute(case.changes)
    for statement in [case.sql]:
        made[1].execute(statement)
    return made


def schema_differences(database, twin, case):
    here, there = describe(database, case.table), describe(twin, case.table)
    if case.unseen:
        here, there = catalogs.without(here, case.unseen), catalogs.without(there, case.unseen)
    return catalogs.differences(there, here)


@pytest.mark.parametrize("major, case", cases())
def test_clause(new_database, server, case):
    database, twin = prepared(new_database, server, case)
    job = pgrecast.start_run(database, case.sql, hold="copy")
    job.wait_phase("copy")
    if case.changes:
        database.execute(case.changes)
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert row_differences(database, twin, case.table, case.ignore) == []
    assert schema_differences(database, twin, case) == []
    assert relations(database) == relations(twin)
    assert_clean(database)


@pytest.mark.parametrize("name", ["add_volatile", "add_serial", "add_identity", "add_volatile_unique"])
def test_values_made_once(new_database, server, name):
    """A volatile default gives each row a value of its own, which a later change of the row does not touch."""
    case = CASES[name]
    database, _ = prepared(new_database, server, case)
    job = pgrecast.start_run(database, case.sql, hold="ready")
    job.wait_phase("ready")
    before = dict(database.execute("SELECT id, n::text FROM t_pgrecast_new"))
    database.execute("UPDATE t SET b = 'touched' WHERE id % 3 = 0")
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    after = dict(database.execute("SELECT id, n::text FROM t"))
    assert after == before
    assert len(set(after.values())) == len(after) and None not in after.values()
    # The next row goes on where the last one ended.
    database.execute("INSERT INTO t (id) VALUES (-1)")
    assert database.value("SELECT count(DISTINCT n) = count(*) FROM t")


CARRIED = """
CREATE TABLE t (
    id integer GENERATED BY DEFAULT AS IDENTITY (START 5 INCREMENT 3 MAXVALUE 1000000 CACHE 10 CYCLE) PRIMARY KEY,
    s serial,
    a integer DEFAULT nextval('free_sequence'),
    b text COLLATE "C" DEFAULT 'it''s' || CURRENT_USER,
    c text NOT NULL,
    d numeric(10,4) CHECK (d > 0),
    e integer GENERATED ALWAYS AS (a + 1) STORED,
    f text,
    CONSTRAINT t_two UNIQUE (a, s) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT t_apart EXCLUDE USING btree (s WITH =)
) WITH (fillfactor = 80, toast.autovacuum_vacuum_threshold = 77);
ALTER SEQUENCE t_s_seq INCREMENT 2 MINVALUE -5;
COMMENT ON TABLE t IS 'the table''s comment';
COMMENT ON COLUMN t.b IS 'a column''s';
COMMENT ON CONSTRAINT t_two ON t IS 'a constraint''s';
COMMENT ON CONSTRAINT t_d_check ON t IS 'a check''s';
COMMENT ON INDEX t_pkey IS 'an index''s';
COMMENT ON SEQUENCE t_s_seq IS 'a sequence''s';
CREATE INDEX t_expression ON t ((a + 1), lower(b) DESC NULLS LAST) INCLUDE (c) WITH (fillfactor = 60) WHERE a > 3;
ALTER INDEX t_expression ALTER COLUMN 1 SET STATISTICS 55;
COMMENT ON INDEX t_expression IS 'comment';
CREATE UNIQUE INDEX t_identity ON t (s);
ALTER TABLE t REPLICA IDENTITY USING INDEX t_identity;
ALTER TABLE t CLUSTER ON t_identity;
CREATE STATISTICS t_st1 (ndistinct, dependencies) ON a, d FROM t;
CREATE STATISTICS t_st2 (mcv) ON (a % 7), b FROM t;
ALTER STATISTICS t_st1 SET STATISTICS 60;
COMMENT ON STATISTICS t_st1 IS 'statistics';
ALTER TABLE t ALTER b SET STATISTICS 20, ALTER b SET (n_distinct = 7), ALTER c SET STORAGE EXTERNAL,
    ALTER f SET COMPRESSION pglz;
GRANT SELECT, INSERT ON t TO reader;
GRANT UPDATE ON t TO reader WITH GRANT OPTION;
GRANT SELECT (b), UPDATE (b) ON t TO PUBLIC;
GRANT USAGE ON SEQUENCE t_s_seq TO reader;
REVOKE DELETE ON t FROM app_owner;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO reader;
INSERT INTO t (c, d) SELECT 'c' || g, g FROM generate_series(1, 300) g;
"""


@pytest.mark.parametrize("alter", [
    "ALTER TABLE t ALTER f TYPE varchar(100)",
    "ALTER TABLE t ALTER id TYPE bigint",
    "ALTER TABLE t ALTER s TYPE bigint",
    "ALTER TABLE t ALTER d TYPE double precision",
    None,
], ids=["other", "identity", "serial", "checked", "rebuild"])
def test_all_is_carried_over(new_database, server, alter):
    """A table with every property, sequences with their values and odd default privileges among them."""
    server.role("reader")
    database, twin = new_database(), new_database()
    for one in (database, twin):
        one.execute("CREATE SEQUENCE free_sequence")
        one.execute(CARRIED)
    change = "INSERT INTO t (c, d) VALUES ('later', 5); UPDATE t SET b = 'changed' WHERE s % 4 = 0"
    twin.execute(change)
    if alter:
        twin.execute(alter)
    job = pgrecast.start_run(database, alter, *([] if alter else ["--rebuild", "-t", "t"]), hold="ready")
    job.wait_phase("ready")
    database.execute(change)
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert catalogs.differences(describe(twin, "t"), describe(database, "t")) == []
    assert row_differences(database, twin, "t") == []
    assert relations(database) == relations(twin)
    assert_clean(database)
    # The sequences go on.
    for one in (database, twin):
        one.execute("INSERT INTO t (c, d) VALUES ('last', 6)")
    assert row_differences(database, twin, "t") == []


def test_owner_is_a_group(new_database, server):
    """The role is a member of the owner, not the owner."""
    server.role("app_group", member=True)
    database, twin = new_database(), new_database()
    for one in (database, twin):
        one.superuser("GRANT CREATE ON SCHEMA public TO app_group")
        one.execute(BASE + "ALTER TABLE t OWNER TO app_group; CREATE STATISTICS st ON a, d FROM t;"
                    "ALTER STATISTICS st OWNER TO app_group")
    alter = "ALTER TABLE t ALTER id TYPE bigint"
    twin.execute(alter)
    outcome = pgrecast.run(database, alter)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert catalogs.differences(describe(twin, "t"), describe(database, "t")) == []
    assert relations(database) == relations(twin)
