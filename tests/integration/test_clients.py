"""The application's side of a swap: what its clients meet, beside what plain ALTER TABLE has them meet."""

import contextlib
import dataclasses
import itertools
import re

import psycopg2
import pytest

import pgrecast
from clients import (KINDS, OWN, PGBENCH, STAGES, TABLES, Copy, Idle, Node, Pgbench, Plain, Positioned, Rowtype, Session,
                     SqlFunction, Traffic, said)
from conftest import rotate
from pooler import Pooler
from tables import assert_clean, assert_equal, relations


@dataclasses.dataclass(frozen=True)
class Change:
    sql: str  # what ALTER TABLE does …
    back: str  # … and how it is undone
    rebuild: bool = False

    def start(self, database, *arguments, **options):
        if self.rebuild:
            return pgrecast.start_run(database, None, "--rebuild", "-t", "items", *arguments, **options)
        return pgrecast.start_run(database, self.sql, *arguments, **options)


CHANGES = {
    "key": Change("ALTER TABLE items ALTER COLUMN id TYPE bigint", "ALTER TABLE items ALTER COLUMN id TYPE integer"),
    "column": Change("ALTER TABLE items ALTER COLUMN n TYPE bigint", "ALTER TABLE items ALTER COLUMN n TYPE integer"),
    "added": Change("ALTER TABLE items ADD COLUMN added timestamptz DEFAULT clock_timestamp()",
                    "ALTER TABLE items DROP COLUMN added"),
    "rebuild": Change("VACUUM FULL items", "VACUUM FULL items", rebuild=True),
}
CASES = [(change, way) for change in CHANGES for way in ("back", "for good")]
FEWER = [("key", "back"), ("column", "for good"), ("added", "back"), ("rebuild", "for good")]

# Prepared statements that fail: those whose result has another type, or another column.
RESULT_CHANGED = "0A000 cached plan must not change result type"
RESULTS_CHANGED = {"key": {"prepared reads", "prepared keys", "prepared star"},
                   "column": {"prepared reads", "prepared star"}, "added": {"prepared star"}, "rebuild": set()}

# What goes on in any case.
UNHARMED = {"plain", "prepared writes", "sql function", "sql function value", "held cursor", "positioned", "listener",
            "temporary table", "copy", "currval", "repeatable read"}

# What ALTER TABLE does not have them meet: the sequence of an identity column is another one afterwards.
IDENTITY = "pg_get_serial_sequence('items', 'ticket')"
OTHER_SEQUENCE = '55000 currval of sequence "items_ticket_seq" is not yet defined in this session'
# A plan of PL/pgSQL keeps the types of a record's columns. ALTER TABLE has these meet it too, unless an autovacuum has analysed
# the mirror between the swap and the next call: then the plan is made anew.
PARAMETER_CHANGED = "42804 type of parameter does not match that when preparing the plan"
OURS_ALONE = {"session: currval identity": {OTHER_SEQUENCE}, "idle: currval identity": {OTHER_SEQUENCE},
              "session: loop": {PARAMETER_CHANGED}, "session: rowtype": {PARAMETER_CHANGED}}


def by_alter_table(database, change, way, traffic):
    traffic.enter("swap")
    database.execute(change.sql)
    traffic.go_on()
    if way == "back":
        traffic.enter("back")
        database.execute(change.back)
        traffic.go_on()


def by_pgrecast(database, change, way, traffic):
    """There for good: the original is dropped at once. Or there and back: the new table is dropped at the end."""
    traffic.enter("swap")
    run = change.start(database, window=None if way == "back" else "0")
    if way == "back":
        run.wait_phase("reverse")
        traffic.go_on()
        traffic.enter("back")
        command(database, "rollback")
        traffic.go_on()
        traffic.enter("end")
        command(database, "finish")
    outcome = run.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    traffic.go_on()


def command(database, name):
    outcome = pgrecast.call(database, name, "items")
    assert outcome.status == pgrecast.DONE, str(outcome)


# The clients of a database.


def sessions(database):
    """All kinds of sessions, each at work and idle."""
    lows = itertools.count(1, OWN)
    return Traffic([role(database, kind, next(lows)) for role in (Session, Idle) for kind in KINDS])


def drivers(database):
    """Prepared statements of the protocol, as pgbench and node-postgres make them."""
    lows = itertools.count(1, OWN)
    return Traffic([*(Pgbench(database, name, "prepared", script, next(lows)) for name, script in PGBENCH.items()),
                    Node(database, next(lows))])


@contextlib.contextmanager
def pooled(database):
    """Clients of a pooler that hands few sessions from one to the other; pgrecast goes to the server itself."""
    lows = itertools.count(1, OWN)
    with Pooler(database.server) as pooler:
        there = pooler.through(database)
        clients = [Pgbench(there, name, mode, script, next(lows), database)
                   for mode in ("simple", "extended") for name, script in PGBENCH.items()]
        clients += [Session(there, kind, next(lows)) for kind in (Plain, Rowtype, SqlFunction, Positioned, Copy)]
        with Traffic(clients, pooler) as traffic:
            yield traffic


# Comparison


def play(database, act, change, way, make_clients):
    """Clients, and what is done to their table. Returns the clients, as they are at the end."""
    database.execute(TABLES)
    with make_clients(database) as traffic:
        act(database, change, way, traffic)
    assert_equal(database, ignore=("added",))
    return traffic


def compared(new_database, group, case):
    """What was met with pgrecast, which is no worse, and what with ALTER TABLE."""
    change, way = CHANGES[case[0]], case[1]
    plain = play(new_database(), by_alter_table, change, way, group)
    database = new_database()
    ours = play(database, by_pgrecast, change, way, group)
    assert_clean(database)
    assert_no_worse(ours.errors(), plain.errors())
    return ours, plain


def assert_no_worse(ours, plain):
    """Each client meets only what ALTER TABLE has had it meet up to the same stage; and never a wrong answer."""
    for name, stages in ours.items():
        for stage, messages in stages.items():
            known = {message for earlier in STAGES[:STAGES.index(stage) + 1]
                     for message in plain.get(name, {}).get(earlier, ())}
            more = set(messages) - known - OURS_ALONE.get(name, set())
            assert not more, f"{name} met at {stage}: {more}\nours: {ours[name]}\nALTER TABLE: {plain.get(name)}"
            assert not [message for message in messages if message.startswith(("Wrong", "ended"))], (name, messages)


# Tests


@pytest.mark.parametrize("major, case", rotate(CASES))
def test_sessions(major, case, new_database):
    """Sessions with prepared statements, PL/pgSQL, cursors, temporary tables and more."""
    ours, plain = compared(new_database, sessions, case)
    harmed = {name.partition(": ")[2] for name in ours.errors()}
    assert not harmed & UNHARMED
    assert case[0] != "rebuild" or harmed <= {"currval identity"}
    for traffic in (ours, plain):
        # In the idle ones chance has no part. They execute it twice: it fails each time, not once.
        failed = {name.partition(": ")[2]: stages["swap"][RESULT_CHANGED] for name, stages in traffic.errors().items()
                  if name.startswith("idle") and RESULT_CHANGED in stages.get("swap", ())}
        assert failed == {name: 2 for name in RESULTS_CHANGED[case[0]]}


@pytest.mark.parametrize("major, case", rotate([*FEWER, ("key", "for good")]))
def test_drivers(major, case, new_database):
    for traffic in compared(new_database, drivers, case):
        errors = traffic.errors()
        for name in ("pgbench -M prepared: single statements", "pgbench -M prepared: transactions",
                     "node-postgres: unnamed", "node-postgres: named writes"):
            assert name not in errors, errors[name]
        changed = case[0] in ("key", "column")
        assert ("pgbench -M prepared: selected columns" in errors) == changed
        assert ("pgbench -M prepared: all columns" in errors) == (case[0] != "rebuild")

        # A pool drops a connection whose query has failed, but not one that the application gives back as if it were well.
        dropped = errors.get("node-postgres: named, pool.query", {}).get("swap", {})
        kept = errors.get("node-postgres: named, client kept", {}).get("swap", {})
        assert set(dropped) | set(kept) == ({RESULT_CHANGED} if changed else set())
        if changed:
            assert dropped[RESULT_CHANGED] <= 2 < kept[RESULT_CHANGED]  # its pool has two connections

        # An integer is a number, a bigint is a string.
        types = {loop.name: loop.types["swap"] for loop in traffic.clients() if hasattr(loop, "types")}
        widened = {"key": {"string number"}, "column": {"number string"}}.get(case[0], set())
        assert widened <= types["node-postgres: unnamed"] <= {"number number"} | widened


@pytest.mark.parametrize("major, case", rotate(FEWER, 2))
def test_pooled(major, case, new_database):
    """Without prepared statements only PL/pgSQL can fail, and does in the sessions that the pooler keeps."""
    ours, _ = compared(new_database, pooled, case)
    errors = ours.errors()
    assert {name: stages for name, stages in errors.items() if not re.search("functions|rowtype", name)} == {}
    assert case[0] in ("key", "column") or errors == {}


class Answers:
    """One session, and what it is told: rows, or the error."""

    def __init__(self, database):
        self._conn = database.connect()

    def __call__(self, sql):
        with self._conn.cursor() as cursor:
            try:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else None
            except psycopg2.Error as error:
                return said(error)

    def close(self):
        self._conn.close()


@pytest.mark.parametrize("act", [by_alter_table, by_pgrecast])
def test_what_helps(database, act):
    """The ways out that the documentation names, for a session that is to go on."""
    database.execute(TABLES)
    with contextlib.closing(Answers(database)) as say:
        say("PREPARE reads AS SELECT id FROM items WHERE id = $1; PREPARE counts AS SELECT count(*) FROM items WHERE id = $1")
        assert say("EXECUTE reads(5)") == [(5,)] and say("EXECUTE counts(5)") == [(1,)]
        assert say("SELECT bump_row(5)") == [("note 5",)]
        say("SELECT add_row(1)")
        serial, identity = say("SELECT currval('items_id_seq')"), say(f"SELECT currval({IDENTITY})")

        act(database, CHANGES["key"], "for good", Traffic([]))

        # Expressions of PL/pgSQL keep the types of a record's columns until their plans are made anew.
        if act is by_alter_table:
            assert say("SELECT bump_row(5)") == PARAMETER_CHANGED
            assert say("SELECT bump_row(5)") == PARAMETER_CHANGED
        say("DISCARD PLANS")
        assert say("SELECT bump_row(5)") == [("note 5",)]

        # A prepared statement whose result has another type has to be prepared anew.
        assert say("EXECUTE reads(5)") == RESULT_CHANGED
        assert say("EXECUTE reads(5)") == RESULT_CHANGED
        say("DEALLOCATE reads; PREPARE reads AS SELECT id FROM items WHERE id = $1")
        assert say("EXECUTE reads(5)") == [(5,)]

        # So has one whose parameter is to take a value that only the new type can hold.
        assert say("EXECUTE counts(5)") == [(1,)]
        assert say("EXECUTE counts(3000000000)") == "22003 integer out of range"
        say("DEALLOCATE counts; PREPARE counts AS SELECT count(*) FROM items WHERE id = $1")
        assert say("EXECUTE counts(3000000000)") == [(0,)]

        # The sequence of a serial column is the one that it was; that of an identity column goes on in another one.
        assert say("SELECT currval('items_id_seq')") == serial
        assert say(f"SELECT currval({IDENTITY})") == (identity if act is by_alter_table else OTHER_SEQUENCE)
        say("SELECT add_row(1)")
        assert say(f"SELECT currval({IDENTITY})") == [(identity[0][0] + 1,)]


def test_currval_after_a_rollback(database):
    """The original comes back with its sequence, and with what a session has last taken from that one."""
    database.execute(TABLES)
    with contextlib.closing(Answers(database)) as say:
        currval = f"SELECT currval({IDENTITY})"
        say("SELECT add_row(1)")
        ((first,),) = say(currval)
        run = CHANGES["column"].start(database, window=None)
        run.wait_phase("reverse")
        assert say(currval) == OTHER_SEQUENCE
        say("SELECT add_row(1)")
        assert say(currval) == [(first + 1,)]
        command(database, "rollback")
        assert say(currval) == [(first,)]
        say("SELECT add_row(1)")
        assert say(currval) == [(first + 2,)]
        command(database, "finish")
        assert run.wait().status == pgrecast.DONE


@pytest.mark.main_major
@pytest.mark.parametrize("act, rows", [(by_alter_table, 0), (by_pgrecast, 1)])
def test_serializable(database, act, rows):
    """A conflict across the swap is not found; with ALTER TABLE the later transaction does not even see its row."""
    database.execute(TABLES)
    with contextlib.closing(database.connect()) as one, contextlib.closing(database.connect()) as other:
        first, second = one.cursor(), other.cursor()
        for cursor in (first, second):
            cursor.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")

        def conflict():
            second.execute("SELECT n FROM items_mirror WHERE id = 5")
            first.execute("SELECT n FROM items WHERE id = 5; UPDATE items_mirror SET n = n + 1 WHERE id = 5; COMMIT")

        if act is by_alter_table:
            conflict()
            act(database, CHANGES["column"], "for good", Traffic([]))
        else:
            second.execute("ROLLBACK")
            run = CHANGES["column"].start(database, "--cutover=hold", window="0")
            run.wait_phase("ready")
            second.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            conflict()
            command(database, "cutover")
            assert run.wait().status == pgrecast.DONE
        second.execute("UPDATE items SET n = n + 1 WHERE id = 5")
        assert second.rowcount == rows
        second.execute("COMMIT")


COMMANDS = (["plan", "--sql", CHANGES["key"].sql], ["run", "--sql", CHANGES["key"].sql, "--rollback-window=0"], ["status"],
            ["jobs"], *([name, "items"] for name in ("resume", "cutover", "verify", "rollback", "finish", "abort", "forget")))


@pytest.mark.main_major
@pytest.mark.parametrize("settings", [{}, {"ignore_startup_parameters": "replication"}, {"pool_mode": "session"}],
                         ids=["transactions", "replication_ignored", "sessions"])
def test_through_a_pooler(database, settings):
    """Every command says that it needs the server itself; nothing is made, nor left in a session that others use."""
    database.execute(TABLES)
    before = relations(database)
    with Pooler(database.server, default_pool_size=1, **settings) as pooler:
        there = pooler.through(database)
        for words in COMMANDS:
            outcome = pgrecast.call(there, *words)
            assert outcome.status == pgrecast.REFUSED, str(outcome)
            assert "connection pooler" in outcome.stderr and "Connect to the server itself" in outcome.stderr
        assert there.value("SELECT count(*) FROM items") == there.value("SELECT count(*) FROM items_mirror")
        for setting in ("search_path", "row_security", "lock_timeout", "jit", "xmloption"):
            assert there.value(f"SHOW {setting}") == database.value(f"SHOW {setting}")
    assert relations(database) == before
    assert pgrecast.job_rows(database) == 0
    assert_clean(database)
