"""What is wrong is said clearly, with the exit status of the manual; nothing is left behind, the table is untouched."""

import contextlib
import itertools
import os
import shutil
import subprocess

import pytest

import pgrecast
from conftest import rotate, spread
from pgrecast import DONE, FAILED, NO_LOCK, REFUSED, USAGE
from servers import Server, drop_slot, wait_until
from tables import assert_aborts, assert_resumable, assert_untouched, describe, relations

TABLE = """
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text, c text NOT NULL DEFAULT 'c');
INSERT INTO t SELECT g, g % 10, 'secret ' || g FROM generate_series(1, 300) g;
"""
ALTER = "ALTER TABLE t ALTER COLUMN id TYPE bigint"



def check(outcome, allowed, *words):
    """The exit status, and that the error names these."""
    allowed = allowed if isinstance(allowed, tuple) else (allowed,)
    assert outcome.status in allowed, str(outcome)
    for word in words:
        assert word.lower() in outcome.stderr.lower(), f"{word!r} is not in the error\n{outcome}"


# The command line and the SQL

@pytest.mark.main_major
@pytest.mark.parametrize("arguments", [
    [],
    ["no-such-command"],
    ["run"],
    ["run", "--no-such-option"],
    ["run", "--sql"],
    ["run", "--sql", ALTER, "-f", "/dev/null"],
    ["run", "-f", "/nonexistent/file.sql"],
    ["run", "--sql", ALTER, "--jobs", "0"],
    ["run", "--sql", ALTER, "--jobs", "many"],
    ["run", "--sql", ALTER, "--cutover=perhaps"],
    ["run", "--rebuild"],
    ["run", "--sql", ALTER, "unexpected"],
    ["run", "--sql", ALTER, "--rollback-window=soon"],
    ["run", "--sql", ALTER, "--rollback-window=24"],
    ["plan", "--sql", ALTER, "--rollback-window=24"],
    ["run", "--sql", ALTER, "--lock-timeout=1"],
    ["run", "--sql", ALTER, "--chunk-size=65536"],
    ["resume", "t", "--reconnect-timeout=60"],
    ["run", "--sql", ALTER, "--rollback-window=-1s"],
    ["run", "--sql", ALTER, "--exit-after=copy"],
    ["run", "--sql", ALTER, "--reconnect-timeout=never"],
    ["run", "--sql", ALTER, "--reverse-map", "a"],
    ["abort"],
    ["resume"],
    ["rollback"],
    ["finish"],
    ["resume", "no-such-job"],
    ["rollback", "no-such-job"],
    ["finish", "no-such-job"],
    ["abort", "no-such-job"],
    ["status", "no-such-job"],
    ["verify", "no-such-job"],
    ["cutover", "no-such-job"],
], ids=lambda arguments: " ".join(arguments)[:40] or "nothing")
def test_command_line(database, arguments):
    database.execute(TABLE)
    before = describe(database, "t")
    outcome = pgrecast.call(database, *arguments)
    check(outcome, USAGE)
    assert outcome.stderr.strip()
    assert_untouched(database, before, "t")


@pytest.mark.main_major
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["run", "--help"], ["plan", "--help"], ["status", "--help"],
                                       ["abort", "--help"], ["decode", "--help"], ["resume", "--help"], ["rollback", "--help"],
                                       ["finish", "--help"]], ids=" ".join)
def test_help(database, arguments):
    outcome = pgrecast.call(database, *arguments)
    assert outcome.status == pgrecast.DONE
    assert "pgrecast" in outcome.stdout


@pytest.mark.main_major
@pytest.mark.parametrize("sql, words", [
    ("ALTER TABLE t ALTER COLUM id TYPE bigint", ["syntax error", "TYPE"]),
    ("ALTER TABLE t ALTER COLUMN id TYPE bigint,", ["syntax error", "end of input"]),
    ("", []),
    ("-- only a comment", []),
    ("SELECT 1", []),
    ("UPDATE t SET a = 5", []),
    ("DROP TABLE t", []),
    ("ALTER TABLE t ALTER id TYPE bigint; DELETE FROM t", []),
    ("ALTER TABLE t ALTER id TYPE bigint; ALTER TABLE other ALTER missing TYPE bigint", ["other", "missing"]),
    ("ALTER TABLE t ALTER id TYPE bigint; DROP INDEX t_pkey, other_pkey", ["two tables"]),
    ("ALTER TABLE t ALTER id TYPE bigint USING (SELECT 'unclosed)", []),
])
def test_wrong_sql(database, sql, words):
    database.execute(TABLE + "CREATE TABLE other (id integer PRIMARY KEY)")
    before = describe(database, "t")
    check(pgrecast.run(database, sql), USAGE, *words)
    assert_untouched(database, before, "t")
    check(pgrecast.call(database, "plan", "--sql", sql), USAGE, *words)


@pytest.mark.main_major
@pytest.mark.parametrize("maps, word", [
    (["missing=a"], "missing"),
    (["a=missing"], "missing"),
    (["a=("], "a"),
    (["a=a + 1", "a=a + 2"], "a"),
    (["a=b"], "a"),  # no cast
    (["a=count(*)"], "a"),
    (["a=(random() * 5)::integer"], "volatile"),
])
def test_wrong_reverse_map(database, maps, word):
    database.execute(TABLE)
    before = describe(database, "t")
    arguments = [f"--reverse-map={text}" for text in maps]
    check(pgrecast.run(database, "ALTER TABLE t ALTER a TYPE bigint", *arguments, window=None), (USAGE, REFUSED), word)
    assert_untouched(database, before, "t")
    assert pgrecast.job_rows(database) == 0


@pytest.mark.main_major
def test_position_of_a_syntax_error(database):
    """The place in the SQL is told: a number, or a line that points at it."""
    database.execute(TABLE)
    outcome = pgrecast.run(database, "ALTER TABLE t\n  ALTER COLUMN id TIPE bigint")
    check(outcome, USAGE, "syntax error", "tipe")
    assert "line 2" in outcome.stderr.lower() or "^" in outcome.stderr or "character" in outcome.stderr.lower(), str(outcome)


@pytest.mark.majors((17, 18))
@pytest.mark.parametrize("sql", [
    "ALTER TABLE t ALTER a SET EXPRESSION AS (id * 3)",
    "ALTER TABLE t ADD CONSTRAINT b_there NOT NULL b",
    "ALTER TABLE t ADD CONSTRAINT loose CHECK (a > 3) NOT ENFORCED",
    "ALTER TABLE t ADD n bigint GENERATED ALWAYS AS (a * 2) VIRTUAL",
])
def test_newer_syntax(database, sql):
    """The parser's grammar is that of PostgreSQL 15: what it does not know is named as such."""
    database.execute(TABLE)
    check(pgrecast.run(database, sql), USAGE, "syntax error", "newer syntax")


@pytest.mark.main_major
@pytest.mark.parametrize("sql, word", [
    ("ALTER TABLE t ALTER missing TYPE bigint", "missing"),
    ("ALTER TABLE t ALTER id TYPE no_such_type", "no_such_type"),
    ("ALTER TABLE t DROP COLUMN missing", "missing"),
    ("ALTER TABLE t DROP CONSTRAINT missing", "missing"),
    ("ALTER TABLE t ADD COLUMN a integer", "a"),
    ("ALTER TABLE t ALTER b TYPE integer", "b"),  # cannot be cast automatically
    ("ALTER TABLE t ALTER a TYPE bigint USING missing + 1", "missing"),
    ("ALTER TABLE t SET (no_such_parameter = 5)", "no_such_parameter"),
    ("DROP INDEX missing; ALTER TABLE t ALTER id TYPE bigint", "missing"),
])
def test_sql_that_the_server_rejects(database, sql, word):
    database.execute(TABLE)
    before = describe(database, "t")
    check(pgrecast.run(database, sql), (USAGE, REFUSED), word)
    assert_untouched(database, before, "t")


# Tables that cannot be done

KINDS = {
    "missing": ("", "ALTER TABLE missing ALTER id TYPE bigint", ["missing"]),
    "no_schema": ("", "ALTER TABLE no_schema.t ALTER id TYPE bigint", ["no_schema"]),
    "view": ("CREATE VIEW v AS SELECT * FROM t", "ALTER TABLE v ALTER id SET DEFAULT 5", ["view"]),
    "materialized_view": ("CREATE MATERIALIZED VIEW v AS SELECT * FROM t", "ALTER TABLE v ALTER id SET STATISTICS 5", ["view"]),
    "unlogged": ("CREATE UNLOGGED TABLE u (id int PRIMARY KEY)", "ALTER TABLE u ALTER id TYPE bigint", ["unlogged"]),
    "sequence": ("CREATE SEQUENCE s", "ALTER TABLE s ALTER id TYPE bigint", ["s"]),
    "partitioned": ("CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)", "ALTER TABLE p ALTER id TYPE bigint", ["partition"]),
    "partition": ("CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);"
     "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)", "ALTER TABLE p1 SET (fillfactor = 50)", ["partition"]),
    "child": ("CREATE TABLE child (x int, PRIMARY KEY (id)) INHERITS (t)", "ALTER TABLE child ALTER x TYPE bigint", ["public.t"]),
    "parent": ("CREATE TABLE child () INHERITS (t)", ALTER, ["child"]),
    "typed": ("CREATE TYPE ty AS (id int, x int); CREATE TABLE typed OF ty (PRIMARY KEY (id))",
     "ALTER TABLE typed SET (fillfactor = 50)", ["type"]),
    "catalog": ("", "ALTER TABLE pg_catalog.pg_class ALTER relname TYPE text", ["pg_class"]),
}


@pytest.mark.parametrize("major, name", spread(KINDS))
def test_kind_of_table(database, name):
    setup, sql, words = KINDS[name]
    database.execute(TABLE + setup)
    before, names = describe(database, "t"), relations(database)
    check(pgrecast.run(database, sql), REFUSED, *words)
    assert_untouched(database, before, "t")
    assert relations(database) == names


@pytest.mark.main_major
def test_foreign_table(database):
    database.superuser("CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;"
                       "GRANT USAGE ON FOREIGN SERVER far TO app_owner")
    database.execute("CREATE FOREIGN TABLE f (id int) SERVER far")
    check(pgrecast.run(database, "ALTER TABLE f ALTER id TYPE bigint"), REFUSED, "foreign table")
    assert pgrecast.leftovers(database) == []


def test_temporary_table(database):
    """It is of another session: the program must see that it cannot see it."""
    with database.connect() as conn, conn.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE temporary_one (id int PRIMARY KEY)")
        cursor.execute("SELECT pg_my_temp_schema()::regnamespace::text")
        schema = cursor.fetchone()[0]
        check(pgrecast.run(database, f"ALTER TABLE {schema}.temporary_one ALTER id TYPE bigint"), REFUSED, "temporary")
    conn.close()
    assert pgrecast.leftovers(database) == []


@pytest.mark.parametrize("definition", [
    "(id integer, a integer)",
    "(id integer NOT NULL, a integer); CREATE UNIQUE INDEX ON k (id)",  # not chosen as replica identity
    "(id integer PRIMARY KEY DEFERRABLE, a integer)",
    "(id integer PRIMARY KEY, a integer); ALTER TABLE k REPLICA IDENTITY NOTHING",
], ids=["none", "not_chosen", "deferrable", "nothing"])
def test_no_usable_key(database, definition):
    database.execute(f"CREATE TABLE k {definition}; INSERT INTO k SELECT g, g FROM generate_series(1, 100) g")
    before = describe(database, "k")
    check(pgrecast.run(database, "ALTER TABLE k ALTER a TYPE bigint"), REFUSED, "replica identity")
    assert_untouched(database, before, "k")


NAMES_IN_USE = {
    "type": ("CREATE TYPE t_pgrecast_old AS ENUM ('a')", ALTER, 'a relation or type "t_pgrecast_old" exists already'),
    "column": ("ALTER TABLE t ADD pgrecast_op integer", ALTER, 'column "pgrecast_op" has a name that the program'),
    "new_column": ("SELECT", "ALTER TABLE t ADD pgrecast_seq bigint DEFAULT random()", 'column "pgrecast_seq" has a name'),
}


@pytest.mark.parametrize("major, name", rotate(NAMES_IN_USE))
def test_names_that_the_program_needs(database, name):
    setup, change, words = NAMES_IN_USE[name]
    database.execute(TABLE + ";" + setup)
    before = describe(database, "t")
    check(pgrecast.run(database, change), REFUSED, words)
    assert describe(database, "t") == before
    assert pgrecast.job_rows(database) == 0


DEPENDENTS = {
    "row_type_column": ("CREATE TABLE the_user (id int, x t)", "the_user"),
    "domain": ("CREATE DOMAIN the_domain AS t", "the_domain"),
    "aggregate": ("CREATE FUNCTION f(t, t) RETURNS t LANGUAGE sql AS 'SELECT $1';"
                  "CREATE AGGREGATE the_aggregate(t) (SFUNC = f, STYPE = t)", "the_aggregate"),
    "view_that_does_not_fit": ("CREATE FUNCTION of_int(int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
                               "CREATE VIEW the_view AS SELECT of_int(id) FROM t", "the_view"),
}


@pytest.mark.parametrize("major, name", spread(DEPENDENTS))
def test_dependent_object(database, name):
    """What is not carried over is refused by name."""
    setup, word = DEPENDENTS[name]
    database.execute(TABLE + setup)
    before, names = describe(database, "t"), relations(database)
    check(pgrecast.run(database, ALTER), REFUSED, word)
    assert_untouched(database, before, "t")
    assert relations(database) == names
    assert pgrecast.job_rows(database) == 0


@pytest.mark.main_major
def test_publication_of_all_tables(database):
    database.execute(TABLE)
    database.superuser("CREATE PUBLICATION everything FOR ALL TABLES")
    before = describe(database, "t")
    check(pgrecast.run(database, ALTER), REFUSED, "everything")
    assert_untouched(database, before, "t")


@pytest.mark.main_major
@pytest.mark.parametrize("sql", [
    "ALTER TABLE t SET UNLOGGED",
    "ALTER TABLE t RENAME TO other",
    "ALTER TABLE t SET SCHEMA pg_temp",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t DISABLE TRIGGER ALL",
    "ALTER TABLE t INHERIT other",
    "ALTER TABLE t REPLICA IDENTITY NOTHING",
])
def test_clause_out_of_scope(database, sql):
    """Not one of the clauses that are done here: said so, never half done. Identity is the exception that is done."""
    database.execute(TABLE)
    before = describe(database, "t")
    outcome = pgrecast.run(database, sql)
    if sql.endswith("IDENTITY NOTHING") and outcome.status == pgrecast.DONE:
        return
    check(outcome, (USAGE, REFUSED))
    assert_untouched(database, before, "t")


@pytest.mark.parametrize("major, expression", spread([
    "random() * a", "nextval('s')::integer", "EXTRACT(epoch FROM clock_timestamp())::int", "made_volatile(a)"]))
def test_volatile_using(database, expression):
    """It would give one value in the copy and another in the proof."""
    database.execute(TABLE + "CREATE SEQUENCE s; CREATE FUNCTION made_volatile(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT $1'")
    before = describe(database, "t")
    check(pgrecast.run(database, f"ALTER TABLE t ALTER a TYPE bigint USING {expression}"), REFUSED, "volatile")
    assert_untouched(database, before, "t")


@pytest.mark.main_major
@pytest.mark.parametrize("expression", ["(SELECT 1)", "count(*)", "row_number() OVER ()", "generate_series(1, 2)"])
def test_expression_that_is_not_of_one_row(database, expression):
    database.execute(TABLE)
    before = describe(database, "t")
    check(pgrecast.run(database, f"ALTER TABLE t ALTER a TYPE bigint USING {expression}"), (USAGE, REFUSED))
    assert_untouched(database, before, "t")


# Rows that do not fit

BAD_ROWS = {
    "using_fails": ("ALTER TABLE t ALTER b TYPE integer USING substr(b, 8)::integer",
                    "UPDATE t SET b = 'secret x' WHERE id = 137"),
    "cast_fails": ("ALTER TABLE t ALTER a TYPE smallint", "UPDATE t SET a = 99999 WHERE id = 137"),
    "too_long": ("ALTER TABLE t ALTER b TYPE varchar(12)", "UPDATE t SET b = 'secret and too long' WHERE id = 137"),
    "not_null": ("ALTER TABLE t ALTER b SET NOT NULL", "UPDATE t SET b = NULL WHERE id = 137"),
    "check": ("ALTER TABLE t ADD CONSTRAINT new_check CHECK (a < 100)", "UPDATE t SET a = 777777 WHERE id = 137"),
    "unique": ("ALTER TABLE t ADD CONSTRAINT new_unique UNIQUE (b)", "UPDATE t SET b = 'secret 5' WHERE id = 137"),
    "unique_index": ("CREATE UNIQUE INDEX new_unique ON t (b); ALTER TABLE t ALTER id TYPE bigint",
                     "UPDATE t SET b = 'secret 5' WHERE id = 137"),
    "exclusion": ("ALTER TABLE t ADD CONSTRAINT new_exclusion EXCLUDE USING btree (b WITH =)",
                  "UPDATE t SET b = 'secret 5' WHERE id = 137"),
}


@pytest.mark.parametrize("major, case", spread(itertools.product(BAD_ROWS, ["before", "copy", "ready"])))
def test_row_that_does_not_fit(database, case):
    """There from the start, or written during the run: the error names the row's key and no value."""
    name, when = case
    alter, damage = BAD_ROWS[name]
    database.execute(TABLE)
    before = describe(database, "t")
    if when == "before":
        database.execute(damage)
        outcome = pgrecast.run(database, alter)
    else:
        job = pgrecast.start_run(database, alter, hold=when)
        job.wait_phase(when)
        database.execute(damage)
        job.release()
        outcome = job.wait()
    check(outcome, FAILED)
    if name in ("unique", "unique_index", "exclusion"):
        assert "(b)" in outcome.stderr, str(outcome)  # the columns, not the values that two rows would have in them
    else:
        assert "137" in outcome.stderr, str(outcome)
    for value in ("secret", "777777", "99999"):
        assert value not in outcome.text, str(outcome)
    assert_resumable(database, "t")
    assert_aborts(database, "t")
    assert_untouched(database, before, "t")
    database.execute("INSERT INTO t (id) VALUES (100000)")


@pytest.mark.parametrize("major, name", spread(BAD_ROWS))
def test_row_that_is_made_to_fit(database, name):
    """There from the start: what was copied before it was met is not lost, and resume needs the row put right only."""
    alter, damage = BAD_ROWS[name]
    database.execute(TABLE)
    good = database.execute("SELECT a, b FROM t WHERE id = 137")[0]
    database.execute(damage)
    check(pgrecast.run(database, alter), FAILED)
    database.execute("UPDATE t SET a = %s, b = %s WHERE id = 137", *good)
    outcome = pgrecast.resume(database, "t")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.value("SELECT count(*) FROM t") == 300
    assert pgrecast.leftovers(database) == []


# Rights and settings

@pytest.mark.parametrize("revoke, word", [
    ("ALTER ROLE {role} NOREPLICATION", "replication"),
    ("REVOKE CREATE ON DATABASE {database} FROM {role}", "create"),
    ("REVOKE CREATE ON SCHEMA public FROM {role}", "create"),
    ("ALTER TABLE t OWNER TO postgres; GRANT ALL ON t TO {role}", "owner"),
], ids=["replication", "database", "schema", "owner"])
def test_missing_right(server, database, revoke, word):
    """A role of its own, so that tests beside this one do not lose the right."""
    role = f"app_{os.getpid()}_{database.name.rsplit('_', 1)[1]}"
    server.execute(f"CREATE ROLE {role} LOGIN REPLICATION")
    database.superuser(f'GRANT CREATE ON DATABASE "{database.name}" TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}')
    database.execute(TABLE, user=role)
    before = describe(database, "t")
    if "OWNER" not in revoke:
        database.superuser(revoke.format(role=role, database=f'"{database.name}"'))
    else:
        database.superuser(revoke.format(role=role))
        before = describe(database, "t")
    try:
        check(pgrecast.run(database, ALTER, user=role), REFUSED, word)
        assert_untouched(database, before, "t")
    finally:
        database.superuser(f"DROP OWNED BY {role}")
        server.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize("settings, used, word", [
    ({"wal_level": "replica"}, False, "wal_level"),
    ({"max_replication_slots": 1}, True, "max_replication_slots"),
    ({"max_wal_senders": 0}, False, "max_wal_senders"),
], ids=["wal_level", "slots", "senders"])
def test_server_setting(major, settings, used, word):
    with Server(major, **settings) as server:
        database = server.new_database()
        database.execute(TABLE)
        if used:
            server.execute("SELECT pg_create_physical_replication_slot('taken')")
        before = describe(database, "t")
        check(pgrecast.run(database, ALTER), REFUSED, word)
        assert_untouched(database, before, "t")


@pytest.fixture
def few_locks(major):
    """A server with a small lock table, and in it t with a foreign key of each of 200 partitions."""
    with Server(major, max_connections=30, max_prepared_transactions=0, max_wal_senders=10,
                max_locks_per_transaction=10) as server:
        database = server.new_database()
        database.execute(TABLE)
        database.execute("CREATE TABLE p (n int, t_id int REFERENCES t (id)) PARTITION BY LIST (n)")
        for first in range(0, 200, 25):
            database.execute("; ".join(f"CREATE TABLE p{n} PARTITION OF p FOR VALUES IN ({n})"
                                       for n in range(first, first + 25)))
        yield database


@pytest.mark.main_major
def test_too_few_locks(few_locks):
    """A swap for which the server has no locks is refused before anything is made."""
    before = describe(few_locks, "t")
    for outcome in (pgrecast.run(few_locks, ALTER), pgrecast.call(few_locks, "plan", "--sql", ALTER)):
        check(outcome, REFUSED, "the swap needs more locks than the server has room for", "for 201 foreign keys",
              "Set max_locks_per_transaction to at least")
    assert "foreign key (1 here)" in outcome.stdout and "once for each partition" in outcome.stdout, str(outcome)
    assert_untouched(few_locks, before, "t")


@pytest.mark.main_major
def test_locks_taken_meanwhile(database):
    """Locks that others have taken since the start are counted before the lock is requested; the job stays."""
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, hold="cutover")
    job.wait_phase("cutover")
    most = database.value("SELECT current_setting('max_locks_per_transaction')::int * (SELECT sum(setting::int) + 1"
                          " FROM pg_settings WHERE name IN ('max_connections', 'max_prepared_transactions',"
                          " 'max_worker_processes', 'max_wal_senders', %s))",
                          "autovacuum_worker_slots" if database.server.major >= 18 else "autovacuum_max_workers")
    with database.connect(autocommit=False) as other, other.cursor() as cursor:
        cursor.execute(f"SELECT count(pg_advisory_xact_lock(n)) FROM generate_series(1, {most}) n")
        job.release()
        outcome = job.wait()
        other.rollback()
    check(outcome, NO_LOCK, "the swap needs more locks than the server has room for")
    assert pgrecast.resume(database, "t").status == DONE


@pytest.fixture
def limited(database):
    """A role that owns t and may have as many sessions as limit() says."""
    role = f"few_{database.name}"
    database.superuser(f"CREATE ROLE {role} LOGIN REPLICATION; GRANT CREATE ON DATABASE \"{database.name}\" TO {role};"
                       f"GRANT ALL ON SCHEMA public TO {role}")
    database.execute(TABLE, user=role)

    def limit(sessions):
        database.superuser(f"ALTER ROLE {role} CONNECTION LIMIT {sessions}")
        database.server.close_idle_sessions()
        return role

    yield limit
    database.superuser(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.main_major
def test_too_few_sessions(database, limited):
    before = describe(database, "t")
    outcome = pgrecast.run(database, ALTER, user=limited(7))
    check(outcome, REFUSED, "A job needs up to 8 sessions, and only 7 are free", "CONNECTION LIMIT")
    check(pgrecast.call(database, "plan", "--sql", ALTER, user=limited(7)), REFUSED, "needs up to 8 sessions")
    assert_untouched(database, before, "t")


@pytest.mark.main_major
def test_fewer_sessions(database, limited):
    outcome = pgrecast.run(database, ALTER, "--jobs=4", user=limited(10))
    check(outcome, pgrecast.DONE, "--jobs=2 instead of 4: only 10 sessions are free")


@pytest.mark.main_major
def test_sessions_that_cannot_be_had(database, limited):
    """It connects, but cannot work: that does not last for ever."""
    role = limited(-1)
    job = pgrecast.start_run(database, ALTER, "--reconnect-timeout=2s", hold="copy", user=role)
    copying = "SELECT 1 FROM pg_stat_activity WHERE usename = %s AND application_name = 'pgrecast stream'"
    wait_until(lambda: database.superuser(copying, role), "the job to be on its way")
    limited(3)
    database.superuser(pgrecast.RELEASE)
    outcome = job.wait()
    check(outcome, FAILED, "too many connections")
    assert "no connection has lasted for 2 s" in outcome.stderr or "did not come back within 2 s" in outcome.stderr
    limited(-1)
    assert pgrecast.call(database, "abort", "t", user=role).status == pgrecast.DONE


@pytest.mark.main_major
def test_no_connection(database):
    outcome = pgrecast.run(database, ALTER, environment={"PGHOST": "127.0.0.1", "PGPORT": "1"})
    assert outcome.status not in (pgrecast.DONE, pgrecast.NO_PARITY)
    assert "127.0.0.1" in outcome.stderr


@pytest.mark.main_major
def test_password_stays_secret(database):
    """Not even a wrong connection string shows the password."""
    outcome = pgrecast.call(database, "run", "--sql", ALTER, "-d",
                            "postgresql://someone:hunter2@127.0.0.1:1/nowhere")
    assert outcome.status != pgrecast.DONE
    assert "hunter2" not in outcome.text


# Accidents during the run

LATE_DDL = {
    "add": "ALTER TABLE t ADD COLUMN late integer",
    "drop": "ALTER TABLE t DROP COLUMN a",
    "type": "ALTER TABLE t ALTER a TYPE bigint",
    "rename": "ALTER TABLE t RENAME COLUMN a TO renamed",
    "index": "CREATE UNIQUE INDEX late ON t (id, a)",
    "check": "ALTER TABLE t ADD CONSTRAINT late CHECK (id > 0)",
    "view": "CREATE VIEW late AS SELECT id FROM t",
    "storage": "ALTER TABLE t SET (autovacuum_enabled = off)",
}


@pytest.mark.parametrize("major, case", spread(itertools.product(LATE_DDL, ["copy", "catchup", "ready"])))
def test_ddl_during_the_run(database, case):
    """Somebody changes the table: nothing is swapped, and what somebody did stays."""
    ddl, phase = LATE_DDL[case[0]], case[1]
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, hold=phase)
    job.wait_phase(phase)
    database.execute(ddl)
    changed = describe(database, "t")
    job.release()
    wait_until(lambda: "was changed while the job was running" in job.errors_so_far(), "the change to be named")
    assert_aborts(database, "t")
    assert job.wait().status == FAILED
    assert_untouched(database, changed, "t")


def test_table_dropped_during_the_run(database):
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, hold="copy")
    job.wait_phase("copy")
    database.execute("DROP TABLE t CASCADE")
    job.release()
    check(job.wait(), FAILED)
    assert pgrecast.leftovers(database) == []


def test_table_renamed_during_the_run(database):
    """Nothing is made of a table with another name, and nothing is lost: once it has its name again the job continues."""
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, hold="copy")
    job.wait_phase("copy")
    database.execute("ALTER TABLE t RENAME TO elsewhere")
    job.release()
    check(job.wait(), FAILED, "If it was renamed", "pgrecast resume t")
    assert database.value("SELECT count(*) FROM elsewhere") == 300
    database.execute("ALTER TABLE elsewhere RENAME TO t")
    outcome = pgrecast.resume(database, "t")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.value("SELECT count(*) FROM t") == 300
    assert pgrecast.leftovers(database) == []


def test_second_run_of_the_same_table(database):
    """A job that is under way is not disturbed."""
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, hold="copy")
    job.wait_phase("copy")
    check(pgrecast.run(database, ALTER), REFUSED, "t")
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)


def test_slot_lost_during_the_run(server, database):
    """The slot is dropped, or was invalidated by the server: the changes cannot be had any more."""
    database.execute(TABLE)
    before = describe(database, "t")
    job = pgrecast.start_run(database, ALTER, hold="catchup")
    job.wait_phase("catchup")

    for (slot,) in server.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", database.name):
        drop_slot(server, slot)
    database.execute("UPDATE t SET a = a + 1 WHERE id = 5")
    if job.poll() is None:
        try:
            job.release()
        except Exception:  # it has cleaned up by itself
            pass
    outcome = job.wait()
    check(outcome, FAILED, "slot")
    assert_untouched(database, before, "t")


def small_file_system(folder, size):
    """A command that mounts a small file system on the folder, for itself only, and goes on with its arguments."""
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    prefix = ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    command = [*prefix, "sh", "-c", script, str(folder)]
    works = shutil.which("unshare") and subprocess.run([*command, "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0
    return command if works else None


def fill(path):
    """Write until the file system has no more room: somebody else needs it too."""
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20) if file.tell() < 163 << 20 else bytes(4096))


@pytest.mark.main_major
def test_spool_disk_too_small(database, tmp_path):
    """Before anything is created."""
    command = small_file_system(tmp_path, "192k")
    if command is None:
        pytest.skip("this machine allows no mount, not even in a namespace")
    database.execute(TABLE)
    before = describe(database, "t")
    outcome = pgrecast.Running(database, [*command[1:], pgrecast.PROGRAM, "run", "--sql", ALTER, "--rollback-window=0", "--spool-dir",
                                          tmp_path], program=command[0]).wait()
    check(outcome, REFUSED, "there is no room for the spool", "160 MB at least")
    assert_untouched(database, before, "t")


@pytest.mark.main_major
def test_spool_disk_full(database, tmp_path):
    command = small_file_system(tmp_path, "164m")
    if command is None:
        pytest.skip("this machine allows no mount, not even in a namespace")
    database.execute(TABLE)
    before = describe(database, "t")
    job = pgrecast.Running(database, [*command[1:], pgrecast.PROGRAM, "run", "--sql", ALTER,
                                       "--rollback-window=0", "--spool-dir", tmp_path], hold="copy", program=command[0])
    job.wait_phase("copy")
    fill(f"/proc/{job.process.pid}/root{tmp_path}/filler")
    database.execute("UPDATE t SET b = (SELECT string_agg(md5(g::text || t.id), '') FROM generate_series(1, 300) g)")
    if job.poll() is None:
        try:
            job.release()
        except Exception:  # it has ended by itself
            pass
    outcome = job.wait()
    check(outcome, FAILED, "space")
    assert_resumable(database, "t")
    assert_aborts(database, "t")
    assert_untouched(database, before, "t")


@pytest.mark.main_major
@pytest.mark.parametrize("folder", ["/proc/no/folder", "/dev/null"])
def test_spool_folder_unusable(database, folder):
    database.execute(TABLE)
    before = describe(database, "t")
    outcome = pgrecast.run(database, ALTER, spool=folder)
    check(outcome, (FAILED, USAGE, REFUSED), folder.removesuffix("/folder"))
    assert_untouched(database, before, "t")
