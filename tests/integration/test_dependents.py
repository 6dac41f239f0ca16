"""Everything that depends on a table goes through the swap: the database is then described and dumped as after plain ALTER
TABLE in a twin, as before after a rollback, and the application has noticed nothing of it.

Where PostgreSQL itself refuses, the twin shows what a person would do: drop what is in the way, alter, make it again.
"""

import contextlib
import dataclasses
import json
import threading

import psycopg2
import pytest

import dependents
import pgrecast
from conftest import MAJORS, spread
from database import describe, differences, dump, dump_differences, without_kept, without_values
from dependents import CHANGES, KEYS_CHANGED, KINDS, MORE_WRITES, WRITES, Schema, write
from servers import APP_ROLE, wait_until

ENDS = ("back", "again")  # finished after the rollback, or after one more cutover

# Kinds (or "sink-CHANGE") that the program still refuses, or gets wrong. Strict: whoever teaches it one takes the name from here.
NOT_CARRIED = set()


def carried(name):
    """The marks of a case of this name."""
    return [pytest.mark.xfail(strict=True, raises=AssertionError, reason="not carried over yet")] if name in NOT_CARRIED else []


def whole(database):
    connection = database.connect("postgres")
    try:
        return describe(connection)
    finally:
        connection.close()


def rows(database, renamed=None, left_out=()):
    """
    The rows of every table but the job's, without their order. renamed, left_out: columns of t, so that it can be compared
    with the original. The log's numbers are left out: the triggers of one event have no order among foreign keys.
    """
    found = {}
    connection = database.connect("postgres")
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                       " WHERE c.relkind = 'r' AND n.nspname IN ('public', 'side') AND c.relname !~ '_pgrecast_'")
        for (name,) in cursor.fetchall():
            cursor.execute(f"SELECT to_jsonb(one_row) FROM ONLY {name} AS one_row")
            found[name] = [row for (row,) in cursor.fetchall()]
    for row in found["log"]:
        del row["n"]
    for row in found["t"]:
        for old, new in (renamed or {}).items():
            row[new] = row.pop(old, row.get(new))
        for column in left_out:
            row.pop(column, None)
    return {name: sorted(json.dumps(row, sort_keys=True) for row in values) for name, values in found.items()}


def constraints(description):
    return {(name, constraint["name"], constraint["validated"], constraint["inherited"])
            for name, relation in description["relations"].items() for constraint in relation["constraints"]}


def await_validated(database, expected):
    """Foreign keys are made whole after the swap. The comparison tells what is wrong where they never are."""
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: constraints(without_kept(whole(database))) == constraints(expected), "constraints to be validated", 30,
                   interval=0.2)


@dataclasses.dataclass
class Trial:
    """A schema in a database, in which the program makes a change, and in a twin, in which a person does."""

    database: object
    twin: object
    schema: Schema
    change: dependents.Change
    job: pgrecast.Running = None

    def __post_init__(self):
        self.before = whole(self.database)
        self.assert_same(self.before, whole(self.twin))
        self.dump_before = self.dump(self.database)

    @staticmethod
    def dump(database):
        """Where the client knows the server."""
        return dump(database.server, database.name) if database.major in (14, 15) else []

    @staticmethod
    def assert_same(expected, found):
        found = differences(expected, found)
        assert not found, "\n".join(found)

    def run(self):
        """Start the job, and let it copy; the outcome, if it is refused instead."""
        how = [] if self.change.sql else ["--rebuild", "-t", "t"]
        self.job = pgrecast.start_run(self.database, self.change.sql, *how, *self.schema.arguments, window=None, hold="copy")
        wait_until(lambda: self.job.poll() is not None or pgrecast.job_phase(self.database) == "copy", "phase copy")
        return self.job.wait() if self.job.poll() is not None else None

    def assert_refused(self, outcome):
        """It may be, with nothing done, by the name of what is in the way. The SQL may be wrong where PostgreSQL says so too."""
        wrong = [pgrecast.USAGE] if self.change.dropped and self.schema.drops else []
        assert outcome.status in [pgrecast.REFUSED, *wrong] and self.schema.may_refuse, str(outcome)
        for word in self.schema.may_refuse:
            assert word in outcome.stderr, str(outcome)
        assert pgrecast.leftovers(self.database) == [] and pgrecast.job_rows(self.database) == 0
        self.assert_same(self.before, whole(self.database))

    def both(self, sql, a="a"):
        for database in (self.database, self.twin):
            write(database, sql, a)

    def cut_over(self):
        """With writes before and after, in the twin too."""
        self.both(WRITES)
        self.schema.alter(self.twin, self.change)
        self.job.release()
        self.job.wait_phase("reverse")
        self.both(MORE_WRITES, self.change.a)

    def assert_altered(self, kept=True):
        """As in the twin; kept: but for the other table, which is there until the job is finished."""
        expected = whole(self.twin)
        await_validated(self.database, expected)
        found = whole(self.database)
        self.assert_same(expected, without_kept(found) if kept else found)
        self.assert_same(rows(self.twin), rows(self.database))

    def assert_as_before(self, kept=True):
        await_validated(self.database, self.before)
        found = whole(self.database)
        self.assert_same(without_values(self.before), without_values(without_kept(found) if kept else found))
        common = {"renamed": {"a_new": "a"}, "left_out": ("e", "m", "n")}
        self.assert_same(rows(self.twin, **common), rows(self.database, **common))

    def command(self, name):
        outcome = pgrecast.call(self.database, name, "t")
        assert outcome.status == pgrecast.DONE, str(outcome)

    def finish(self):
        self.command("finish")
        outcome = self.job.wait()
        assert outcome.status == pgrecast.DONE, str(outcome)
        assert pgrecast.leftovers(self.database) == []


@pytest.fixture
def trial(server, new_database):
    """A function that makes the trial of a kind (or of the sink) and a change."""
    with contextlib.ExitStack() as after:

        def make(name, change):
            Schema.prepare(server)
            schema = Schema(name, server.major)
            if schema.bypass:
                server.execute(f"ALTER ROLE {APP_ROLE} BYPASSRLS")
                after.callback(server.execute, f"ALTER ROLE {APP_ROLE} NOBYPASSRLS")
            return Trial(schema.build(new_database()), schema.build(new_database()), schema, CHANGES[change] if isinstance(change, str) else change)

        yield make


def there_and_back(trial, end):
    refused = trial.run()
    if refused:
        trial.assert_refused(refused)
        return
    trial.cut_over()
    trial.assert_altered()
    trial.command("rollback")
    trial.assert_as_before()
    if end == "again":
        trial.command("cutover")
        trial.job.wait_phase("reverse")
        trial.assert_altered()
    trial.finish()
    if end == "again":
        trial.assert_altered(kept=False)
        assert dump_differences(trial.dump(trial.twin), trial.dump(trial.database)) == []
    else:
        trial.assert_as_before(kept=False)
        assert dump_differences(trial.dump_before, trial.dump(trial.database)) == []


def cases():
    """Each kind with the change of types that all depend on; those that are not in the sink with one of the others too."""
    for number, (name, kind) in enumerate(KINDS.items()):
        majors = [major for major in MAJORS if major in kind.majors]
        others = [change for change in kind.changes if change != "retype"]
        chosen = [*("retype" for change in kind.changes if change == "retype"), *([] if kind.in_sink else [others[number % len(others)]])]
        for turn, change in enumerate(chosen):
            if majors:
                major, end = majors[(number + turn) % len(majors)], ENDS[(number + turn) % 2]
                yield pytest.param(major, name, change, end, id=f"pg{major}-{name}-{change}-{end}", marks=carried(name))


@pytest.mark.parametrize("major, name, change, end", cases())
def test_kind(trial, name, change, end):
    there_and_back(trial(name, change), end)


def sinks():
    """The types are changed on every major, the rest on one of them in turn."""
    for number, major in enumerate(MAJORS):
        yield pytest.param(major, "retype", ENDS[number % 2], id=f"pg{major}-retype", marks=carried("sink-retype"))
    for number, change in enumerate(change for change in CHANGES if change != "retype"):
        major = MAJORS[(number + 1) % len(MAJORS)]
        yield pytest.param(major, change, ENDS[(number + 1) % 2], id=f"pg{major}-{change}", marks=carried(f"sink-{change}"))


@pytest.mark.parametrize("major, change, end", sinks())
def test_kitchen_sink(trial, change, end):
    """All kinds at once, as a database has them."""
    there_and_back(trial("sink", change), end)


@pytest.mark.parametrize("major, end", spread(ENDS))
def test_keys_that_the_statements_add_and_drop(trial, end):
    """The same keys as plain ALTER TABLE makes, all of them valid that are valid there; a rollback brings the old ones back."""
    there_and_back(trial("foreign_keys_out", KEYS_CHANGED), end)


# What cannot be done right: how it is made, the statement (None: a rebuild), what the refusal names, who makes it.

RETYPE = CHANGES["retype"].sql
DROP = "ALTER TABLE t DROP e, ALTER f TYPE varchar(100)"

REFUSED = {
    "typed_table": ("CREATE TYPE kind_of_t AS (id integer, f text); DROP TABLE t; CREATE TABLE t OF kind_of_t (PRIMARY KEY (id))",
                    None, ["kind_of_t"]),
    "parent": ("CREATE TABLE kid () INHERITS (t)", None, ["kid"]),
    "child": ("CREATE TABLE ancestor (c integer); ALTER TABLE t INHERIT ancestor", None, ["ancestor"]),
    "partition": ("CREATE TABLE whole (LIKE t) PARTITION BY RANGE (id); DROP TABLE t;"
                  "CREATE TABLE t PARTITION OF whole (PRIMARY KEY (id)) DEFAULT", None, ["whole"]),
    "column_of_its_type": ("CREATE TABLE holder (held t)", None, ["holder"]),
    "column_of_its_array": ("CREATE TABLE holder (held t[])", None, ["holder"]),
    "domain": ("CREATE DOMAIN domain_of_t AS t CHECK ((VALUE).id > 0)", None, ["domain_of_t"]),
    "composite": ("CREATE TYPE pair_of_t AS (one t, two t)", None, ["pair_of_t"]),
    "materialized_view_of_another_role": ("CREATE MATERIALIZED VIEW m_of_t AS SELECT a FROM t; GRANT SELECT ON t TO friend;"
                                          "ALTER MATERIALIZED VIEW m_of_t OWNER TO friend",
                                          RETYPE, ["m_of_t", 'role friend, which may not read the new table before the swap']),
    "materialized_view_with_row_security_forced": ("CREATE MATERIALIZED VIEW m_of_t AS SELECT a FROM t; ALTER TABLE t FORCE ROW LEVEL"
                                                   " SECURITY", None, ["m_of_t", "row security is forced"]),
    "materialized_view_over_a_function": ("CREATE FUNCTION f_of_t() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM t; END;"
                                          "CREATE MATERIALIZED VIEW m_of_t AS SELECT a, f_of_t() AS f FROM t",
                                          None, ["m_of_t", "f_of_t", "uses the original until the swap"]),
    "materialized_view_over_an_empty_one": ("CREATE MATERIALIZED VIEW m_of_t AS SELECT a FROM t; CREATE MATERIALIZED VIEW m_of_m AS"
                                            " SELECT a FROM m_of_t; REFRESH MATERIALIZED VIEW m_of_t WITH NO DATA",
                                            RETYPE, ["m_of_m", "is not populated"]),
    "materialized_view_of_whole_rows": ("CREATE MATERIALIZED VIEW m_of_t AS SELECT to_jsonb(t) AS r FROM t",
                                        "ALTER TABLE t DROP CONSTRAINT t_pkey, DROP id, ADD PRIMARY KEY (b)", ["m_of_t", "as a whole"]),
    # Nothing takes the new type.
    "view_that_no_longer_fits": ("CREATE FUNCTION small(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';"
                                 "CREATE VIEW v_small AS SELECT small(a) AS s FROM t", RETYPE, ["v_small"]),
    "function_that_no_longer_fits": ("CREATE FUNCTION sum_of_t() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(a) FROM t; END",
                                     "ALTER TABLE t ALTER a TYPE text", ["sum_of_t"]),
    "policy_that_no_longer_fits": ("CREATE FUNCTION small(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
                                   "CREATE POLICY p_small ON t USING (small(a))", RETYPE, ["p_small"]),
    "trigger_that_no_longer_fits": ("CREATE FUNCTION small(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
                                    "CREATE TRIGGER t_small BEFORE UPDATE ON t FOR EACH ROW WHEN (small(NEW.a))"
                                    " EXECUTE FUNCTION suppress_redundant_updates_trigger()", RETYPE, ["t_small"]),
    "foreign_key_that_no_longer_fits": ("ALTER TABLE t ADD CONSTRAINT t_p_parent FOREIGN KEY (p) REFERENCES parent",
                                        "ALTER TABLE t ALTER p TYPE text", ["t_p_parent"]),
    # PostgreSQL would not drop these columns.
    "column_of_a_view": ("CREATE VIEW v_of_e AS SELECT id, e FROM t", DROP, ["v_of_e"]),
    "column_of_a_view_and_another_of_its_name": ("CREATE VIEW v_of_e AS SELECT id, e FROM t",
                                                 "ALTER TABLE t DROP e, ADD e text", ["v_of_e"]),
    "column_of_a_policy": ("CREATE POLICY p_of_e ON t USING (e > 0)", DROP, ["p_of_e"]),
    "column_of_a_trigger": ("CREATE TRIGGER t_of_e BEFORE UPDATE OF e ON t FOR EACH ROW"
                            " EXECUTE FUNCTION suppress_redundant_updates_trigger()", DROP, ["t_of_e"]),
    "column_of_a_rule": ("CREATE RULE r_of_e AS ON DELETE TO t WHERE OLD.e = -1 DO INSTEAD NOTHING", DROP, ["r_of_e"]),
    "column_of_a_function": ("CREATE FUNCTION f_of_e() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT max(e) FROM t; END",
                             DROP, ["f_of_e"]),
    "column_of_a_child": ("ALTER TABLE t ADD CONSTRAINT e_key UNIQUE (e);"
                          "CREATE TABLE child (e integer CONSTRAINT child_of_e REFERENCES t (e))", DROP, ["child_of_e"]),
    "extension_member": ("ALTER EXTENSION plpgsql ADD TABLE t", None, ["plpgsql"], "postgres"),
}


def refusals():
    for number, name in enumerate(REFUSED):
        major = MAJORS[number % len(MAJORS)]
        yield pytest.param(major, name, id=f"pg{major}-{name}", marks=carried(name))


def accepted(database, sql):
    """Whether PostgreSQL takes the plain statement; it is rolled back."""
    with contextlib.closing(database.connect(autocommit=False)) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(sql)
        except psycopg2.Error:
            return False
        finally:
            connection.rollback()
    return True


@pytest.mark.parametrize("major, name", refusals())
def test_refused(server, new_database, name):
    """By name, before anything is made."""
    Schema.prepare(server)
    database = Schema("nothing", server.major).build(new_database())
    sql, alter, words, *user = REFUSED[name]
    database.execute(sql, user=user[0] if user else APP_ROLE)
    before = whole(database)
    outcome = pgrecast.run(database, alter) if alter else pgrecast.rebuild(database, "t")
    expected = [pgrecast.REFUSED, pgrecast.USAGE] if alter and not accepted(database, alter) else [pgrecast.REFUSED]
    assert outcome.status in expected, str(outcome)
    for word in words:
        assert word in outcome.stderr, str(outcome)
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0
    assert differences(before, whole(database)) == []


PARTITIONED = """
CREATE TABLE o (id integer PRIMARY KEY, v integer DEFAULT 0); INSERT INTO o SELECT generate_series(1, 50);
CREATE TABLE ev (n integer, o_id integer CONSTRAINT to_o REFERENCES o) PARTITION BY RANGE (n);
CREATE TABLE ev_1 PARTITION OF ev FOR VALUES FROM (0) TO (100);
CREATE TABLE ev_2 PARTITION OF ev FOR VALUES FROM (100) TO (200);
INSERT INTO ev SELECT g, 1 + g % 50 FROM generate_series(0, 199) g;
"""


def test_partitions_come_and_go(database):
    """Those of a table that refers to this one, while the job runs and in the window: all have its key in the end."""
    database.execute(PARTITIONED)
    job = pgrecast.start_run(database, "ALTER TABLE o ALTER id TYPE bigint", window=None, hold="copy")
    job.wait_phase("copy")
    database.execute("DROP TABLE ev_1; CREATE TABLE ev_3 PARTITION OF ev FOR VALUES FROM (200) TO (300)")
    job.release()
    job.wait_phase("reverse")
    assert_keys(database, ["ev", "ev_2", "ev_3"])
    database.execute("DROP TABLE ev_2; CREATE TABLE ev_4 PARTITION OF ev FOR VALUES FROM (300) TO (400)")
    outcome = pgrecast.call(database, "rollback", "o")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_keys(database, ["ev", "ev_3", "ev_4"])
    pgrecast.call(database, "finish", "o")
    assert job.wait().status == pgrecast.DONE
    assert pgrecast.leftovers(database) == []


class Upgrade(threading.Thread):
    """
    An application that reads the table and then writes it, in one transaction, and in between waits until somebody
    stands in the queue for the whole of it: who has a lock there already that forbids the write makes that a deadlock.
    """

    WAITING = "SELECT FROM pg_locks WHERE relation = 'o'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted"

    def __init__(self, database):
        super().__init__(daemon=True)
        self.conn = database.connect(autocommit=False)
        self.stopping = threading.Event()
        self.done, self.error = 0, None
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.read_and_write()
        except psycopg2.Error as error:
            self.error = error

    def read_and_write(self):
        with self.conn, self.conn.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM o")
            while not self.stopping.wait(0.005):
                cursor.execute(self.WAITING)
                if cursor.rowcount:
                    cursor.execute("UPDATE o SET v = v + 1 WHERE id = 7")
                    self.done += 1
                    return

    def stop(self):
        self.stopping.set()
        self.join()
        self.conn.close()


def test_key_taken_over_while_the_table_is_read_and_written(database):
    """A partitioned table's own key is made of its partitions' without a deadlock with who reads and then writes."""
    database.execute(PARTITIONED)
    application = Upgrade(database)
    outcome = pgrecast.run(database, "ALTER TABLE o ALTER id TYPE bigint")
    application.stop()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert application.error is None
    assert_keys(database, ["ev", "ev_1", "ev_2"])
    by_parts = database.server.major < 18  # else the table itself takes it NOT VALID: a lock for the swap alone
    assert database.value("SELECT v FROM o WHERE id = 7") == application.done >= 1 + by_parts


@pytest.mark.majors({14, 17})
def test_key_waits_for_a_long_transaction(database):
    """It is told what stands in the way of what, and tried again."""
    database.execute(PARTITIONED)
    job = pgrecast.start_run(database, "ALTER TABLE o ALTER id TYPE bigint", window=None, hold="reverse")
    job.wait_phase("reverse")
    with contextlib.closing(database.connect(autocommit=False)) as report:
        report.cursor().execute("SELECT count(*) FROM o")
        job.release()
        wait_until(lambda: "a lock stands in the way of this, which is tried again: ALTER TABLE public.ev ADD"
                   in job.errors_so_far(), "the reason", timeout=30)
        holder = f"process {report.info.backend_pid} "
        wait_until(lambda: any(wait["kind"] == "lock" and holder in wait["text"] for wait in pgrecast.the_job(database)["waits"]),
                   "status to name who holds the lock")
        report.rollback()
    assert_keys(database, ["ev", "ev_1", "ev_2"])
    assert pgrecast.call(database, "finish", "o").status == pgrecast.DONE
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE
    assert outcome.stderr.count("foreign keys validated: 1\n") == outcome.stderr.count("foreign keys validated") == 1


def assert_keys(database, relations):
    """Each has the key, valid, and only that; a row without its like is refused."""
    def keys():
        return database.execute("SELECT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND convalidated"
                                " AND confrelid = 'o'::regclass ORDER BY 1")

    wait_until(lambda: [name for name, in keys()] == relations, f"a valid key on each of {relations}", timeout=30, interval=0.1)
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        database.execute(f"INSERT INTO {relations[-1]} SELECT (regexp_match(pg_get_expr(relpartbound, oid), '\\d+'))[1]::integer, 999"
                         f" FROM pg_class WHERE relname = '{relations[-1]}'")


@pytest.mark.main_major
def test_a_broken_twin_is_seen(trial):
    """The comparison of this file finds what a swap could lose."""
    found = trial("sink", "retype")
    found.schema.alter(found.database, found.change)
    found.schema.alter(found.twin, found.change)
    found.assert_altered(kept=False)
    for sql in ("ALTER TABLE t DISABLE TRIGGER t_always", "REVOKE SELECT (a) ON v_plain FROM writer",
                "COMMENT ON CONSTRAINT both_of_t ON side.child_both IS NULL", "DROP POLICY p_other ON other",
                "ALTER FUNCTION row_out(integer) OWNER TO app_owner", "INSERT INTO log (what) VALUES ('a row')"):
        found.database.superuser(sql)
        with pytest.raises(AssertionError):
            found.assert_altered(kept=False)
        found.twin.superuser(sql)
    found.assert_altered(kept=False)
