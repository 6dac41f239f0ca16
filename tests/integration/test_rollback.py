"""Rollback: after the cutover the original is kept in sync, and rollback returns to it with every write."""

import dataclasses
import signal
import threading

import psycopg2
import pytest

import catalogs
import pgrecast
from conftest import MAIN_MAJOR, rotate, spread
from load import Load
from pgrecast import DONE, NO_LOCK
from rewrite import JOB, NEW, OLD, Rewrite
from servers import wait_until
from tables import assert_aborts, assert_clean, assert_equal, assert_follows, assert_same, assert_unharmed, describe, relations
from workloads import WORKLOADS

ALL = [*WORKLOADS, "workloads:Paced"]


# Under load

@pytest.mark.parametrize("major, workload", spread(ALL))
def test_rollback_under_load(database, workload):
    """Nothing of what was written after the cutover is lost, and the table is the one it was before."""
    rewrite = Rewrite(database, workload, rows=8000)
    with rewrite.load:
        rewrite.to_reverse()
        rewrite.load.wait_for(150)
        rewrite.assert_serves()
        rewrite.roll_back()
        rewrite.load.wait_for(100)
        rewrite.assert_serves()
    rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over_with_original()


def test_rollback_of_a_smaller_table(database):
    """Another primary key, a dropped column: rows that were there keep its values, new ones take its default."""
    rewrite = Rewrite(database, "workloads:Shrunk", rows=8000)
    with rewrite.load:
        rewrite.to_reverse()
        rewrite.load.wait_for(300)
        rewrite.roll_back()
        rewrite.load.wait_for(100)
    rewrite.finish()
    rewrite.assert_over_with_original()


def can_be_read(database):
    """Once the lock is given back."""
    return database.superuser("SET statement_timeout = '60s'; SELECT count(*) > 0 FROM items") == [(True,)]


@pytest.mark.parametrize("swap", ["cutover", "rollback"])
@pytest.mark.majors((15, 18))
def test_paused_under_the_lock(database, swap):
    """The program is paused while it holds the lock: the server gives the lock back, and the attempt is one that failed."""
    rewrite = Rewrite(database, rows=1000)
    point = f"{swap}-swapped"
    with rewrite.load:
        rewrite.run(*() if swap == "cutover" else ["--cutover=hold"], pause=point)
        if swap == "rollback":
            rewrite.instance.wait_phase("ready")
            rewrite.command("cutover")
            rewrite.instance.wait_phase("reverse")
            asked = pgrecast.Running(database, ["rollback", JOB])
        rewrite.instance.wait_paused()
        assert can_be_read(database)
        rewrite.instance.kill(signal.SIGCONT)
        if swap == "rollback":
            assert asked.wait().status == DONE
        rewrite.instance.wait_phase("reverse" if swap == "cutover" else "rolled_back")
    attempts = database.execute("SELECT message FROM pgrecast.event WHERE kind = 'attempt' ORDER BY id")
    assert any("idle-in-transaction timeout" in message for (message,) in attempts), attempts
    assert database.value("SELECT lock_attempts FROM pgrecast.progress") >= 2
    rewrite.assert_serves()
    rewrite.finish()
    rewrite.assert_gone()


def test_a_lost_attempt_is_the_last(database):
    """It counts: with one attempt there is no second one."""
    rewrite = Rewrite(database, rows=1000)
    rewrite.run("--cutover-attempts=1", pause="cutover-swapped").wait_paused()
    assert can_be_read(database)
    rewrite.instance.kill(signal.SIGCONT)
    outcome = rewrite.instance.wait()
    assert outcome.status == NO_LOCK, str(outcome)
    assert "no cutover within 1 attempt" in outcome.stderr, str(outcome)
    assert_aborts(database, JOB)
    rewrite.assert_over_with_original()


FUNCTIONS = """
    CREATE FUNCTION reads(key bigint) RETURNS bigint LANGUAGE sql
        BEGIN ATOMIC SELECT id FROM items WHERE id = key; END;
    CREATE FUNCTION rows_of(key bigint) RETURNS SETOF bigint LANGUAGE sql STABLE
        BEGIN ATOMIC SELECT id FROM items WHERE id = key; END;
    CREATE FUNCTION adds(key bigint) RETURNS bigint LANGUAGE sql
        BEGIN ATOMIC INSERT INTO items (id) VALUES (key); SELECT key; END;
    CREATE FUNCTION adds_text(key bigint) RETURNS bigint LANGUAGE sql
        AS 'INSERT INTO items (id) VALUES (key); SELECT key;';
    CREATE FUNCTION adds_plpgsql(key bigint) RETURNS bigint LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO items (id) VALUES (key); RETURN key; END $$;
"""
# (role, call): what a call that waits for the table during the swap gets. A body in SQL (BEGIN ATOMIC) names its tables by
# their oids, so such a call comes to the table that is no longer used. Its owner may read that, which gives the rows of
# the moment before the swap. Nobody may write it, and nobody else may read it: such a call fails.
CALLS = {("app_owner", "reads(5)"): (5,),
         ("app_owner", "rows_of(5)"): (5,),
         ("app_owner", "adds(900001)"): 'PGRG1 table public.{gone} is kept in sync by pgrecast job "items": nobody else may write it',
         ("app_owner", "adds_text(900002)"): (900002,),
         ("app_owner", "adds_plpgsql(900003)"): (900003,),
         ("clerk", "reads(5)"): "42501 permission denied for table {gone}",
         ("clerk", "rows_of(5)"): "42501 permission denied for table {gone}",
         ("clerk", "adds(900004)"): "42501 permission denied for table {gone}",
         ("clerk", "adds_text(900005)"): (900005,)}
ITEMS = """
    CREATE TABLE items (id int PRIMARY KEY, note text);
    INSERT INTO items SELECT i, 'note ' || i FROM generate_series(1, 100) AS i;
"""


class Call:
    """A call of a function by a session of the application, in a thread of its own."""

    def __init__(self, database, role, call):
        self._conn, self._call = database.connect("postgres"), call
        with self._conn.cursor() as cursor:
            cursor.execute(f"SET SESSION AUTHORIZATION {role}")
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.result = None
        self._thread.start()

    def _run(self):
        try:
            with self._conn.cursor() as cursor:
                cursor.execute(f"SELECT * FROM {self._call}")
                self.result = cursor.fetchone()
        except psycopg2.Error as error:
            self.result = f"{error.pgcode} {error.diag.message_primary}"

    def end(self):
        self._thread.join(60)
        assert not self._thread.is_alive(), f"{self._call} does not end"
        self._conn.close()
        return self.result


@pytest.mark.parametrize("major, swap", rotate(["cutover", "rollback"]))
def test_calls_that_wait_for_the_swap(database, swap):
    """Functions whose call waits for the table while it is swapped: no write goes to the table that is no longer used."""
    database.execute(ITEMS + FUNCTIONS)
    database.server.role("clerk")
    database.execute("GRANT SELECT, INSERT ON items TO clerk")
    run = pgrecast.start_run(database, "ALTER TABLE items ALTER id TYPE bigint", "--cutover=hold", window=None,
                             pause=f"{swap}-swapped")
    run.wait_phase("ready")
    if swap == "rollback":
        assert pgrecast.call(database, "cutover", JOB).status == DONE
        run.wait_phase("reverse")
    asked = pgrecast.Running(database, [swap, JOB])
    run.wait_paused()
    calls = {call: Call(database, *call) for call in CALLS}
    wait_until(lambda: database.superuser("SELECT count(*) FROM pg_locks WHERE NOT granted") == [(len(CALLS),)], "the calls to wait")
    run.kill(signal.SIGCONT)
    assert asked.wait().status == DONE
    gone = OLD if swap == "cutover" else NEW
    assert {call: waiting.end() for call, waiting in calls.items()} == {
        call: result.format(gone=gone) if isinstance(result, str) else result for call, result in CALLS.items()}
    # The next call comes to the table in use.
    again = [call for call, result in CALLS.items() if isinstance(result, str)]
    assert [Call(database, *call).end() for call in again] == [(900001,), (5,), (5,), (900004,)]
    assert database.value("SELECT array_agg(id ORDER BY id) FROM items WHERE id > 900000") == list(range(900001, 900006))
    assert pgrecast.call(database, "finish", JOB).status == DONE
    assert run.wait().status == DONE


def test_there_and_back_again(database):
    """Cutover, rollback, cutover, rollback, cutover: the load sees no difference, the tables neither."""
    rewrite = Rewrite(database, rows=5000)
    with rewrite.load:
        rewrite.to_reverse()
        for swaps in (1, 3):
            assert rewrite.status["swaps"] == swaps
            rewrite.load.wait_for(60)
            rewrite.assert_follows()
            rewrite.roll_back()
            assert rewrite.status["swaps"] == swaps + 1
            assert id_type(database) == "integer"
            rewrite.load.wait_for(60)
            rewrite.assert_follows()
            rewrite.roll_forward()
            assert id_type(database) == "bigint"
            rewrite.assert_serves()
        rewrite.load.wait_for(60)
        rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over()


def id_type(database, table="items"):
    return database.value("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass"
                          " AND attname = 'id'", table)


@pytest.mark.parametrize("end", ["finish", "abort", "resume"])
def test_rollback_without_an_instance(database, end):
    """The program was killed; any host can roll back all the same, with what was written since."""
    rewrite = Rewrite(database, rows=5000)
    with rewrite.load:
        rewrite.to_reverse()
        rewrite.load.wait_for(50)
        rewrite.kill()
        rewrite.load.wait_for(150)
        outcome = pgrecast.call(database, "rollback", "items")
        assert outcome.status == pgrecast.DONE, str(outcome)
        assert "rolled back" in outcome.text and "lock held" in outcome.text
        assert rewrite.phase == "rolled_back" and not rewrite.status["running"]
        assert database.superuser("SELECT 1 FROM pg_replication_slots WHERE database = current_database()")
        rewrite.assert_serves()
        rewrite.load.wait_for(50)
        if end == "resume":
            rewrite.resume()
            rewrite.assert_follows()
    if end == "resume":
        rewrite.finish()
    else:
        rewrite.command(end)
    rewrite.assert_over_with_original()


@pytest.mark.parametrize("major, end", rotate(["finish", "abort"]))
def test_end_of_a_job_that_was_rolled_back(database, end):
    """With an instance that is running: it is asked, and the command waits for its end."""
    rewrite = Rewrite(database, rows=2000).to_reverse()
    rewrite.roll_back()
    rewrite.command(end)
    rewrite.end_of_instance(pgrecast.DONE, pgrecast.FAILED)
    assert database.value("SELECT to_regclass('items_pgrecast_new')") is None
    rewrite.assert_original()
    rewrite.assert_gone()


# The window, and where the run ends

def test_window_ends(database):
    """The job finishes by itself."""
    rewrite = Rewrite(database, rows=2000)
    with rewrite.load:
        rewrite.run(window="4s").wait_phase("reverse")
        assert rewrite.status["window_ends_at"] is not None
        ends = database.value("SELECT to_char(ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC' FROM pgrecast.job")
        assert f"rollback     possible until {ends}\n" in rewrite.command("status").stdout
        rewrite.load.wait_for(50)
        rewrite.end_of_instance(pgrecast.DONE)
    assert f"Rollback is possible until {ends}. " in rewrite.instance.outcome().stderr
    assert rewrite.phase == "finished"
    rewrite.assert_over()
    refused = pgrecast.call(database, "rollback", "items")
    assert refused.status in (pgrecast.NO_ROLLBACK, pgrecast.FAILED), str(refused)


@pytest.mark.main_major
def test_no_window(database):
    rewrite = Rewrite(database, rows=1000)
    outcome = rewrite.run(window="0").wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert rewrite.phase == "finished"
    outcome = pgrecast.call(database, "rollback", "items")
    assert outcome.status in (pgrecast.NO_ROLLBACK, pgrecast.FAILED), str(outcome)
    rewrite.assert_gone()


@pytest.fixture
def limited(server):
    """A server whose slots hold no log without end, as a program that goes away asks for."""
    server.configure(max_slot_wal_keep_size="2GB")
    yield
    server.configure(max_slot_wal_keep_size="-1")


@pytest.mark.main_major
@pytest.mark.parametrize("when", ["sync", "cutover"])
def test_exit_without_a_limit_is_refused(database, when):
    """Nobody would read the slot, and nothing would limit what it holds."""
    rewrite = Rewrite(database, rows=500)
    outcome = rewrite.run(f"--exit-after={when}").wait()
    assert outcome.status == pgrecast.REFUSED and "max_slot_wal_keep_size" in outcome.stderr, str(outcome)
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0


def test_exit_after_cutover(limited, database):
    """The program may go; what is written meanwhile is in the original once somebody resumes the job."""
    rewrite = Rewrite(database, rows=5000)
    with rewrite.load:
        outcome = rewrite.run("--exit-after=cutover").wait()
        assert outcome.status == pgrecast.DONE, str(outcome)
        assert rewrite.phase == "reverse" and not rewrite.status["running"]
        assert "  rollback  possible until `finish`\n" in outcome.stdout, str(outcome)
        rewrite.load.wait_for(150)
        rewrite.resume()
        rewrite.assert_follows()
        rewrite.load.wait_for(50)
        rewrite.roll_back()
    rewrite.finish()
    rewrite.assert_over_with_original()


def test_exit_after_sync(limited, database):
    """It ends in sync; resume goes on to the cutover."""
    rewrite = Rewrite(database, rows=3000)
    with rewrite.load:
        outcome = rewrite.run("--exit-after=sync").wait()
        assert outcome.status == pgrecast.DONE, str(outcome)
        assert rewrite.phase == "ready" and not rewrite.status["running"]
        assert id_type(database) == "integer"
        rewrite.load.wait_for(100)
        rewrite.resume().wait_phase("reverse")
        rewrite.load.wait_for(50)
    rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.parametrize("major, phase, end", [(MAIN_MAJOR, "copy", "sync"), (MAIN_MAJOR, "ready", "cutover"),
                                               (MAIN_MAJOR, "reverse", "cutover")])
def test_resume_exit_after(limited, database, phase, end):
    """The resumed run ends there, the job remains, and the next run goes on to the end."""
    rewrite = Rewrite(database, rows=2000)
    with rewrite.load:
        rewrite.run(hold=phase).wait_phase(phase)
        rewrite.instance.kill()
        wait_until(lambda: not rewrite.status["running"], "its session to end")
        outcome = rewrite.resume(f"--exit-after={end}").wait()
        assert outcome.status == pgrecast.DONE and "left as it stands" in outcome.stdout, str(outcome)
        assert rewrite.phase == ("ready" if end == "sync" else "reverse")
        rewrite.resume().wait_phase("reverse")
        rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
def test_resume_exit_without_a_limit_is_refused(database):
    """The job is not harmed: it can be resumed without the option."""
    rewrite = Rewrite(database, rows=500)
    rewrite.run(hold="copy").wait_phase("copy")
    rewrite.instance.kill()
    wait_until(lambda: not rewrite.status["running"], "its session to end")
    outcome = rewrite.resume("--exit-after=sync").wait()
    assert outcome.status == pgrecast.REFUSED and "max_slot_wal_keep_size" in outcome.stderr, str(outcome)
    assert rewrite.status["error"] is None and rewrite.phase == "copy"
    rewrite.resume().wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


# What changes between the two tables

TABLE = """
CREATE TABLE t (
    id integer PRIMARY KEY, tenant integer NOT NULL DEFAULT 1, a integer, b text, c numeric(12,3), d text DEFAULT 'fresh',
    v varchar(20), CONSTRAINT t_v UNIQUE (v), CONSTRAINT a_small CHECK (a < 1000));
ALTER TABLE t ALTER b SET STORAGE EXTERNAL;
INSERT INTO t SELECT g, g % 3, g % 10, 'b' || g, g / 8.0, 'old ' || g, 'v' || g FROM generate_series(1, 600) g;
UPDATE t SET b = repeat(id || ' ', 3000) WHERE id % 50 = 0;
CREATE TABLE m (LIKE t INCLUDING DEFAULTS);
INSERT INTO m SELECT * FROM t;
"""

# Written after the cutover, to the new table and to the mirror; a pair where the two have other names for things.
WRITES = (
    "INSERT INTO {t} (id, tenant, a, v) SELECT g, 1, 5, 'n' || g FROM generate_series(1001, 1050) g",
    "UPDATE {t} SET a = a + 100 WHERE id % 7 = 0",
    "UPDATE {t} SET c = -c, tenant = tenant + 1 WHERE id % 11 = 0",
    "DELETE FROM {t} WHERE id % 13 = 0",
    "UPDATE {t} SET id = id + 5000 WHERE id BETWEEN 91 AND 110",  # large values among them
    "UPDATE {t} SET id = id + 5000 WHERE id BETWEEN 1001 AND 1010",
    "UPDATE {t} SET v = 'parked' WHERE id = 20; UPDATE {t} SET v = 'v20' WHERE id = 21; UPDATE {t} SET v = 'v21' WHERE id = 20",
    "UPDATE {t} SET id = -1 WHERE id = 30; UPDATE {t} SET id = 30 WHERE id = 31; UPDATE {t} SET id = 31 WHERE id = -1",
    "UPDATE {t} SET a = NULL WHERE id = 40; SAVEPOINT s; DELETE FROM {t} WHERE id < 40; ROLLBACK TO s",
)


@dataclasses.dataclass
class Way:
    """A change, and what must be true of the rollback of it."""

    alter: str
    writes: tuple = WRITES  # while the new table serves
    arguments: tuple = ()
    transformation: dict = dataclasses.field(default_factory=dict)  # of the mirror to the new table
    ignore: tuple = ()  # columns of the new table that the mirror knows nothing of
    setup: str = ""
    kept: str = ""  # columns of the new table whose values live through a rollback and the next cutover
    again: bool = True  # after a rollback the new table can be kept in sync


RENAMED = ("UPDATE {t} SET label = 'changed' WHERE id < 50", "UPDATE {t} SET b = 'changed' WHERE id < 50")

WAYS = {
    "bigint": Way("ALTER TABLE t ALTER id TYPE bigint, ALTER a TYPE bigint"),
    "varchar": Way("ALTER TABLE t ALTER b TYPE varchar(20000), ALTER v TYPE text"),
    "numeric": Way("ALTER TABLE t ALTER c TYPE numeric(20,6), ALTER a TYPE numeric"),
    "numeric_key": Way("ALTER TABLE t ALTER id TYPE numeric(12,2)", again=False),
    "collation_of_key": Way('ALTER TABLE t ALTER code TYPE text COLLATE "POSIX", DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (code)', again=False,
                            setup="""CREATE SEQUENCE one; CREATE SEQUENCE two;
                            ALTER TABLE t ADD code text COLLATE "C"; UPDATE t SET code = md5(id::text);
                            ALTER TABLE t ALTER code SET NOT NULL, ALTER code SET DEFAULT 'c' || nextval('one'), ADD UNIQUE (code);
                            ALTER TABLE m ADD code text COLLATE "C"; UPDATE m SET code = md5(id::text);
                            ALTER TABLE m ALTER code SET DEFAULT 'c' || nextval('two')""",
                            writes=("UPDATE {t} SET a = a + 100 WHERE id % 7 = 0", "UPDATE {t} SET code = 'Ä' || id WHERE id % 9 = 0",
                                    "DELETE FROM {t} WHERE id % 13 = 0",
                                    "INSERT INTO {t} (id, code) SELECT g, 'ß' || g FROM generate_series(1001, 1020) g")),
    "double_precision": Way("ALTER TABLE t ALTER a TYPE double precision"),
    "using": Way("ALTER TABLE t ALTER a TYPE text USING 'n' || a", arguments=("--reverse-map", "a=substr(a, 2)::integer"),
                 writes=(*(sql for sql in WRITES if "a + 100" not in sql and "SELECT g, 1, 5" not in sql),
                         ("UPDATE {t} SET a = 'n77' WHERE id % 7 = 0", "UPDATE {t} SET a = 77 WHERE id % 7 = 0"),
                         ("INSERT INTO {t} (id, a) VALUES (1001, 'n-5')", "INSERT INTO {t} (id, a) VALUES (1001, -5)")),
                 transformation={"a": "'n' || a"}, setup="ALTER TABLE t DROP CONSTRAINT a_small"),
    "dropped": Way("ALTER TABLE t DROP COLUMN d"),
    "dropped_with_map": Way("ALTER TABLE t DROP COLUMN d", arguments=("--reverse-map", "d='of ' || v"),
                            writes=(("INSERT INTO {t} (id, v) SELECT g, 'n' || g FROM generate_series(1001, 1050) g",
                                     "INSERT INTO {t} (id, v, d) SELECT g, 'n' || g, 'of n' || g FROM generate_series(1001, 1050) g"),
                                    "UPDATE {t} SET a = 7 WHERE id > 1020", "DELETE FROM {t} WHERE id % 13 = 0")),
    "added": Way("ALTER TABLE t ADD COLUMN extra integer DEFAULT 7", ignore=("extra",), kept="extra",
                 writes=(*WRITES, ("UPDATE {t} SET extra = id WHERE id % 5 = 0", "SELECT 1"))),
    "added_volatile": Way("ALTER TABLE t ADD COLUMN token uuid DEFAULT gen_random_uuid(), ADD COLUMN n serial",
                          ignore=("token", "n"), kept="token, n"),
    "added_generated": Way("ALTER TABLE t ADD COLUMN twice integer GENERATED ALWAYS AS (a * 2) STORED",
                           transformation={"twice": "a * 2"}),
    "renamed": Way("ALTER TABLE t RENAME COLUMN b TO label", writes=(*WRITES, RENAMED),
                   transformation={"label": "b"}),
    "renamed_key": Way("ALTER TABLE t RENAME COLUMN id TO number; ALTER TABLE t ALTER number TYPE bigint",
                       writes=(("UPDATE {t} SET number = number + 5000 WHERE number BETWEEN 91 AND 110",
                                "UPDATE {t} SET id = id + 5000 WHERE id BETWEEN 91 AND 110"),
                               ("DELETE FROM {t} WHERE number % 13 = 0", "DELETE FROM {t} WHERE id % 13 = 0"),
                               "UPDATE {t} SET a = 500 WHERE v LIKE '%5'"),
                       transformation={"number": "id"}),
    "key": Way("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (tenant, id)", again=False),
    "key_to_bigint": Way("ALTER TABLE t DROP CONSTRAINT t_pkey, ALTER id TYPE bigint, ADD PRIMARY KEY (tenant, id)",
                         again=False),
    "key_and_unique": Way("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (tenant, id), ADD UNIQUE (id)"),
    "fewer_constraints": Way("ALTER TABLE t DROP CONSTRAINT t_v, DROP CONSTRAINT a_small; CREATE INDEX t_a ON t (a)"),
    "not_null": Way("ALTER TABLE t ALTER v SET NOT NULL, ALTER tenant DROP NOT NULL, ALTER d SET DEFAULT 'other'",
                    writes=tuple(sql.replace("(id, tenant, a, v) SELECT g, 1, 5, 'n' || g",
                                             "(id, tenant, a, v, d) SELECT g, 1, 5, 'n' || g, 'told'") for sql in WRITES)),
    "truncated": Way("ALTER TABLE t ALTER id TYPE bigint", writes=(*WRITES, "TRUNCATE {t}", WRITES[0],
                                                                   "INSERT INTO {t} (id, v) VALUES (1, 'first')")),
    "all": Way("ALTER TABLE t ALTER id TYPE bigint, ALTER c TYPE numeric, DROP COLUMN d, ADD COLUMN extra text DEFAULT 'x';"
               "ALTER TABLE t RENAME COLUMN b TO label; CREATE INDEX t_label ON t (left(label, 20))",
               writes=(*WRITES, RENAMED), transformation={"label": "b"}, ignore=("extra",), kept="extra"),
}

# Written to the original after the rollback, and by then to the mirror.
WRITES_BACK = (
    "INSERT INTO {t} (id, tenant, v) SELECT g, 2, 'again ' || g FROM generate_series(2001, 2030) g",
    "UPDATE {t} SET tenant = tenant + 1 WHERE id % 3 = 0",
    "DELETE FROM {t} WHERE id % 17 = 0",
    "UPDATE {t} SET id = id + 7000 WHERE id BETWEEN 141 AND 160",
)


def both(database, sql):
    """One transaction on table and mirror."""
    here, there = (sql, sql) if isinstance(sql, str) else sql
    database.execute(f"BEGIN; {here.format(t='t')}; {there.format(t='m')}; COMMIT")


def start(database, way, **options):
    """Start the job of the way."""
    database.execute(TABLE + way.setup)
    return pgrecast.start_run(database, way.alter, *way.arguments, window=None, **options)


def command(database, name, *arguments, status=pgrecast.DONE):
    outcome = pgrecast.call(database, name, "t", *arguments)
    assert outcome.status == status, str(outcome)
    return outcome


@pytest.mark.parametrize("major, name", rotate(WAYS))
def test_rollback_keeps_every_write(database, name):
    """After the cutover, after the rollback and after the next cutover the table is what the mirror says."""
    way = WAYS[name]
    database.execute(TABLE + way.setup)
    before, there_before = describe(database, "t"), relations(database)
    job = pgrecast.start_run(database, way.alter, *way.arguments, window=None)
    job.wait_phase("reverse")
    for sql in way.writes:
        both(database, sql)
    assert_equal(database, "t", "m", way.transformation, way.ignore)
    assert_follows(database, "t_pgrecast_old", "m")
    kept = way.kept and dict(database.execute(f"SELECT id, ROW({way.kept})::text FROM t"))
    command(database, "rollback")
    assert_equal(database, "t", "m")
    assert_same(before, describe(database, "t"))
    for sql in WRITES_BACK:
        both(database, sql)
    if way.again:
        there_and_back(database, way, job, kept)
    else:
        outcome = job.wait()  # there is nothing more to do
        assert outcome.status == pgrecast.DONE and "no longer kept in sync" in outcome.stderr, str(outcome)
        command(database, "cutover", status=pgrecast.FAILED)
    assert_equal(database, "t", "m")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_same(before, describe(database, "t"))
    assert relations(database) == there_before
    assert_clean(database)


def there_and_back(database, way, job, kept):
    """Once more to the new table, which was kept in sync, and back."""
    assert_follows(database, "t_pgrecast_new", "m", way.transformation, way.ignore)
    command(database, "cutover")
    job.wait_phase("reverse")
    assert_equal(database, "t", "m", way.transformation, way.ignore)
    if way.kept:
        now = dict(database.execute(f"SELECT id, ROW({way.kept})::text FROM t"))
        assert {key: value for key, value in now.items() if key in kept} == \
            {key: value for key, value in kept.items() if key in now}
    command(database, "rollback")


ZONES = {  # the type that the column has, a quarter of an hour in each row over two days, and the type that it gets
    "to_local": ("timestamptz", "timestamp", "2024-10-26 00:00Z"),  # 02:00 to 03:00 on the 27th are there twice
    "to_instant": ("timestamp", "timestamptz", "2024-03-30 00:00"),  # 02:00 to 03:00 on the 31st are not there
}


@pytest.mark.parametrize("major, name", rotate(ZONES))
def test_rollback_of_a_time_zone(database, name):
    """AT TIME ZONE is turned around by itself. Two values that became one cannot both come back: those rows block the rollback."""
    type_, new, start = ZONES[name]
    forth = "at AT TIME ZONE 'Europe/Berlin'"
    database.execute(f"CREATE TABLE t (id integer PRIMARY KEY, at {type_}, n integer);"
                     f"INSERT INTO t SELECT g, '{start}'::{type_} + g * interval '15 min', g FROM generate_series(1, 190) g;"
                     "INSERT INTO t VALUES (0, NULL, 0), (-1, 'infinity', 0); CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, f"ALTER TABLE t ALTER at TYPE {new} USING {forth}", window=None)
    job.wait_phase("reverse")
    twice = f"SELECT id FROM (SELECT id, count(*) OVER (PARTITION BY {forth}) AS n FROM m WHERE at IS NOT NULL) AS x WHERE n > 1"
    expected = {f"({key})" for key, in database.execute(twice)}
    assert len(expected) == 8
    both(database, "UPDATE {t} SET n = n + 1")
    assert set(wait_blocked(database, 8)["blocked_keys"]) == expected
    rest = f"SELECT id, at, n FROM {{}} WHERE id NOT IN ({twice}) ORDER BY id"
    wait_until(lambda: database.execute(rest.format("t_pgrecast_old")) == database.execute(rest.format("m")),
               "the other rows to be as they were")
    keys = [key.strip("()") for key in expected]
    both(database, f"DELETE FROM {{t}} WHERE id IN ({', '.join(keys)})")
    wait_open(database)
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


@pytest.mark.parametrize("major, together", spread(["together", "apart"]))
def test_row_that_comes_back_is_new(database, together):
    """A key that is deleted and inserted again has the dropped column's default, not what the old row had."""
    job = start(database, WAYS["dropped"])
    job.wait_phase("reverse")
    steps = ("DELETE FROM {t} WHERE id = 5", "INSERT INTO {t} (id, v) VALUES (5, 'back')")
    for sql in ["; ".join(steps)] if together == "together" else steps:
        both(database, sql)
    assert_follows(database, "t_pgrecast_old", "m", timeout=20)
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "finish")


WITHOUT_INVERSE = {
    "no_default": ("ALTER TABLE t DROP COLUMN x", "x", "ALTER TABLE t ADD COLUMN x text; UPDATE t SET x = 'x';"
                   "ALTER TABLE t ALTER x SET NOT NULL", ("--reverse-map", "x='none'")),
    "using": ("ALTER TABLE t ALTER a TYPE text USING 'n' || a", "a", "ALTER TABLE t DROP CONSTRAINT a_small",
              ("--reverse-map", "a=substr(a, 2)::integer")),
}


@pytest.mark.parametrize("major, name", rotate(WITHOUT_INVERSE))
def test_impossible_rollback_is_refused(database, name):
    """Where the values of the original cannot be had from the new table: before anything is created, with the way out."""
    alter, column, setup, cure = WITHOUT_INVERSE[name]
    database.execute(TABLE + setup)
    outcome = pgrecast.run(database, alter, window=None)
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert f'"{column}"' in outcome.stderr
    assert "--reverse-map" in outcome.stderr and "--rollback-window=0" in outcome.stderr, str(outcome)
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0
    job = pgrecast.start_run(database, alter, *cure, window=None)
    job.wait_phase("reverse")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


@pytest.mark.main_major
def test_change_without_rollback_is_not_refused(database):
    alter, _, setup, _ = WITHOUT_INVERSE["using"]
    database.execute(TABLE + setup)
    assert pgrecast.run(database, alter).status == pgrecast.DONE
    assert_clean(database)


# Rows that the original cannot take

@dataclasses.dataclass
class Block:
    alter: str
    damage: str  # to the new table only
    key: str
    cure: str  # of the new table; after it, table and mirror agree again
    cure_of_mirror: str = "SELECT 1"
    secret: str = "the value that is not to be told"


BLOCKS = {
    "key": Block("ALTER TABLE t ALTER id TYPE bigint", "INSERT INTO t (id, v) VALUES (5000000000, 'secret')", "(5000000000)",
                 "DELETE FROM t WHERE id = 5000000000", secret="secret"),
    "key_changed": Block("ALTER TABLE t ALTER id TYPE bigint", "INSERT INTO t (id, v) VALUES (5000000000, 'secret')",
                         "(5000000000)", "UPDATE t SET id = 4711 WHERE id = 5000000000",
                         "INSERT INTO m (id, v) VALUES (4711, 'secret')", secret="secret"),
    "value": Block("ALTER TABLE t ALTER a TYPE bigint, DROP CONSTRAINT a_small", "UPDATE t SET a = 3000000000 WHERE id = 5",
                   "(5)", "UPDATE t SET a = 3 WHERE id = 5", "UPDATE m SET a = 3 WHERE id = 5", secret="3000000000"),
    "value_deleted": Block("ALTER TABLE t ALTER a TYPE bigint, DROP CONSTRAINT a_small",
                           "UPDATE t SET a = 3000000000 WHERE id = 5", "(5)", "DELETE FROM t WHERE id = 5",
                           "DELETE FROM m WHERE id = 5", secret="3000000000"),
    "fraction": Block("ALTER TABLE t ALTER c TYPE numeric(20,6)", "UPDATE t SET c = 0.123456 WHERE id = 5", "(5)",
                      "UPDATE t SET c = 7.125 WHERE id = 5", "UPDATE m SET c = 7.125 WHERE id = 5", secret="0.123456"),
    "length": Block("ALTER TABLE t ALTER v TYPE text", "UPDATE t SET v = repeat('secret', 10) WHERE id = 5", "(5)",
                    "UPDATE t SET v = 'short' WHERE id = 5", "UPDATE m SET v = 'short' WHERE id = 5", secret="secret"),
    "blanks": Block("ALTER TABLE t ALTER v TYPE text", "UPDATE t SET v = 'x' || repeat(' ', 30) WHERE id = 5", "(5)",
                    "UPDATE t SET v = 'short' WHERE id = 5", "UPDATE m SET v = 'short' WHERE id = 5"),
    "not_null": Block("ALTER TABLE t ALTER tenant DROP NOT NULL", "UPDATE t SET tenant = NULL WHERE id = 5", "(5)",
                      "UPDATE t SET tenant = 9 WHERE id = 5", "UPDATE m SET tenant = 9 WHERE id = 5"),
    "check": Block("ALTER TABLE t DROP CONSTRAINT a_small, ALTER id TYPE bigint", "UPDATE t SET a = 777777 WHERE id = 5",
                   "(5)", "UPDATE t SET a = 9 WHERE id = 5", "UPDATE m SET a = 9 WHERE id = 5", secret="777777"),
    "unique": Block("ALTER TABLE t DROP CONSTRAINT t_v, ALTER id TYPE bigint", "INSERT INTO t (id, v) VALUES (4711, 'v7')",
                    "(4711)", "UPDATE t SET v = 'w7' WHERE id = 4711", "INSERT INTO m (id, v) VALUES (4711, 'w7')"),
    "same_key": Block("ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (tenant, id)",
                      "INSERT INTO t (id, tenant, v) VALUES (5, 77, 'n5')", "(77, 5)",
                      "UPDATE t SET id = 4711 WHERE id = 5 AND tenant = 77",
                      "INSERT INTO m (id, tenant, v) VALUES (4711, 77, 'n5')"),
}


def rollback_status(database):
    return pgrecast.the_job(database)["rollback"]


def wait_blocked(database, rows=1):
    wait_until(lambda: rollback_status(database)["blocked_rows"] == rows, f"{rows} rows to block the rollback", timeout=20)
    return rollback_status(database)


def wait_open(database):
    wait_until(lambda: rollback_status(database)["possible"], "the rollback to be possible", timeout=20)


@pytest.mark.parametrize("major, name", rotate(BLOCKS))
def test_blocked_rollback(database, name):
    """Named at once; the new table serves on, and with the row put right the way is open again."""
    block = BLOCKS[name]
    job = start(database, Way(block.alter))
    job.wait_phase("reverse")
    wait_open(database)
    database.execute(block.damage)
    found = wait_blocked(database)
    assert not found["possible"] and found["blocked_keys"] == [block.key] and found["reason"]
    both(database, "UPDATE {t} SET a = 8 WHERE id = 9")  # what comes after it is applied
    wait_until(lambda: database.value("SELECT a FROM t_pgrecast_old WHERE id = 9") == 8, "the next change to be applied")
    outcome = command(database, "rollback", status=pgrecast.NO_ROLLBACK)
    assert block.key in outcome.stderr and "1 row" in outcome.stderr, str(outcome)
    for text in (outcome.text, str(pgrecast.status(database)), pgrecast.call(database, "status").stdout):
        assert block.secret not in text
    assert job.poll() is None and pgrecast.job_phase(database) == "reverse"
    database.execute(f"BEGIN; {block.cure}; {block.cure_of_mirror}; COMMIT")
    wait_open(database)
    assert rollback_status(database)["blocked_rows"] == 0
    assert_follows(database, "t_pgrecast_old", "m")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "finish")
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert block.secret not in outcome.text
    assert_clean(database)


def test_many_blocked_rows(database):
    """All are counted, ten are named; one statement puts them right."""
    job = start(database, WAYS["bigint"])
    job.wait_phase("reverse")
    database.execute("INSERT INTO t (id) SELECT 5000000000 + g FROM generate_series(1, 25) g")
    found = wait_blocked(database, 25)
    assert len(found["blocked_keys"]) == 10
    outcome = command(database, "rollback", status=pgrecast.NO_ROLLBACK)
    assert "25 rows" in outcome.stderr and "(5000000001)" in outcome.stderr, str(outcome)
    database.execute("DELETE FROM t WHERE id > 5000000000")
    wait_open(database)
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


def test_blocked_by_another_row(database):
    """A unique value that two rows of the new table have: the way is open when either of them lets go of it."""
    job = start(database, Way("ALTER TABLE t DROP CONSTRAINT t_v"))
    job.wait_phase("reverse")
    database.execute("INSERT INTO t (id, v) VALUES (4711, 'v7')")
    wait_blocked(database)
    both(database, "UPDATE {t} SET v = 'w7' WHERE id = 7")
    database.execute("INSERT INTO m (id, v) VALUES (4711, 'v7')")
    wait_open(database)
    assert_follows(database, "t_pgrecast_old", "m")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE


@pytest.mark.parametrize("major, fits", rotate(["fits", "does not fit"]))
def test_blocked_row_that_moves_while_it_is_tried(database, fits):
    """The try finds nothing under the key, as the stream has yet to bring where it went: what only it had goes with it."""
    job = start(database, Way("ALTER TABLE t ALTER id TYPE bigint, DROP COLUMN d, DROP CONSTRAINT a_small"))
    job.wait_phase("reverse")
    database.execute("UPDATE t SET a = 777777 WHERE id = 5")
    wait_blocked(database)
    with database.connect(autocommit=False) as mover, mover.cursor() as cursor:
        cursor.execute("LOCK TABLE t")
        wait_until(lambda: database.superuser("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgrecast apply'"
                                              " AND wait_event_type = 'Lock'"), "the row to be tried")
        cursor.execute("UPDATE t SET id = 4711, a = %s WHERE id = 5" % (3 if fits == "fits" else 777778))
        cursor.execute("UPDATE m SET id = 4711, a = 3 WHERE id = 5")
        mover.commit()
    mover.close()
    if fits != "fits":
        wait_until(lambda: rollback_status(database)["blocked_keys"] == ["(4711)"], "the old key to be given up", timeout=20)
        database.execute("UPDATE t SET a = 3 WHERE id = 4711; UPDATE m SET d = 'fresh' WHERE id = 4711")
    wait_open(database)
    assert_follows(database, "t_pgrecast_old", "m", timeout=20)
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE


@pytest.mark.parametrize("major, remap", rotate([(), ("--reverse-map", "d='other'")]))
def test_key_that_is_only_missing_does_not_block(database, remap):
    """A rollback looks twice: its row went where it did not fit, and is deleted by now."""
    job = start(database, Way("ALTER TABLE t ALTER id TYPE bigint, DROP COLUMN d"))
    job.wait_phase("reverse")
    wait_open(database)
    database.execute("UPDATE t SET id = id + 5000000000 WHERE id IN (5, 6)")
    wait_until(lambda: database.value("SELECT count(*) FROM pgrecast.blocked") == 4, "both keys of both to be set aside",
               interval=0.01)
    job.kill()
    database.execute("DELETE FROM t WHERE id > 5000000000; DELETE FROM m WHERE id IN (5, 6)")
    command(database, "rollback", *remap)
    assert_equal(database, "t", "m")
    command(database, "abort")
    assert_clean(database)


@pytest.mark.main_major
def test_blocked_without_an_instance(database):
    """Found by the rollback itself, which leaves everything as it was."""
    job = start(database, WAYS["bigint"])
    job.wait_phase("reverse")
    job.kill()
    database.execute("INSERT INTO t (id) VALUES (5000000000)")
    outcome = command(database, "rollback", status=pgrecast.NO_ROLLBACK)
    assert "(5000000000)" in outcome.stderr, str(outcome)
    assert pgrecast.job_phase(database) == "reverse" and id_type(database, "t") == "bigint"
    database.execute("DELETE FROM t WHERE id = 5000000000")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "abort")
    assert_clean(database)


@pytest.mark.main_major
def test_rollback_is_not_asked_for_again(database):
    """One that was refused is over: it does not happen later, when the way is open."""
    job = start(database, WAYS["bigint"])
    job.wait_phase("reverse")
    database.execute("INSERT INTO t (id) VALUES (5000000000)")
    command(database, "rollback", status=pgrecast.NO_ROLLBACK)
    database.execute("DELETE FROM t WHERE id = 5000000000")
    wait_open(database)
    both(database, "UPDATE {t} SET a = 8 WHERE id = 9")
    assert_follows(database, "t_pgrecast_old", "m")
    assert pgrecast.job_phase(database) == "reverse"
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE


# Sequences

SEQUENCES = {
    "serial": ("id serial PRIMARY KEY", "ALTER TABLE t ALTER id TYPE bigint"),
    "always": ("id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "ALTER TABLE t ALTER id TYPE bigint"),
    "by_default": ("id integer GENERATED BY DEFAULT AS IDENTITY (INCREMENT 3 CACHE 5) PRIMARY KEY",
                   "ALTER TABLE t ALTER id TYPE bigint"),
    "free": ("id integer DEFAULT nextval('free_sequence') PRIMARY KEY", "ALTER TABLE t ALTER id TYPE bigint"),
    "downward": ("id integer GENERATED ALWAYS AS IDENTITY (INCREMENT -2 MAXVALUE 1000) PRIMARY KEY",
                 "ALTER TABLE t ALTER id TYPE bigint"),
    "dropped": ("id integer PRIMARY KEY DEFAULT nextval('free_sequence'), n serial", "ALTER TABLE t DROP COLUMN n"),
}


@pytest.mark.parametrize("major, name", spread(SEQUENCES))
def test_sequences_go_on(database, name):
    """No number is handed out twice, whichever table serves; an unused one that is skipped does no harm."""
    column, alter = SEQUENCES[name]
    database.execute(f"CREATE SEQUENCE free_sequence; CREATE TABLE t ({column}, a integer)")
    before, there_before = describe(database, "t"), relations(database)
    seen = []

    def insert(count=20):
        for _ in range(count):
            seen.append(database.value("INSERT INTO t (a) VALUES (1) RETURNING id"))
        assert len(set(seen)) == len(seen), seen

    insert()
    job = pgrecast.start_run(database, alter, window=None)
    job.wait_phase("reverse")
    insert()
    command(database, "rollback")
    insert()
    assert_same(before, describe(database, "t"))
    if name == "dropped":
        assert database.value("SELECT count(DISTINCT n) = count(*) AND count(n) = count(*) FROM t")
    command(database, "cutover")
    job.wait_phase("reverse")
    insert()
    command(database, "rollback")
    insert()
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    insert()
    assert sorted(seen) == [key for (key,) in database.execute("SELECT id FROM t ORDER BY 1")]
    assert_same(before, describe(database, "t"))
    assert relations(database) == there_before
    assert_clean(database)


@pytest.mark.main_major
def test_sequence_past_the_original(database):
    """The new table has handed out numbers that the original's column cannot have."""
    database.execute("CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a integer);"
                     "INSERT INTO t (a) SELECT 1 FROM generate_series(1, 100)")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER id TYPE bigint", window=None)
    job.wait_phase("reverse")
    database.execute("SELECT setval(pg_get_serial_sequence('t', 'id'), 2147483640);"
                     "INSERT INTO t (a) SELECT 2 FROM generate_series(1, 12)")
    wait_until(lambda: rollback_status(database)["blocked_rows"] > 0, "the rollback to be blocked")
    command(database, "rollback", status=pgrecast.NO_ROLLBACK)
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert database.value("SELECT max(id) FROM t") > 2147483647
    assert_clean(database)


# The end of a job, and what is refused

@pytest.mark.parametrize("major, case", rotate([(keep, running) for keep in ("keep", "drop") for running in ("running", "stopped")]))
def test_finish(database, case):
    keep, running = case
    rewrite = Rewrite(database, rows=2000).to_reverse()
    if running == "stopped":
        rewrite.kill()
    rewrite.finish(*(["--keep-original"] if keep == "keep" else []))
    assert rewrite.phase == "finished"
    rewrite.assert_serves()
    assert (database.value("SELECT to_regclass('items_pgrecast_old')") is not None) == (keep == "keep")
    if keep == "keep":
        assert_equal(database, OLD)
        database.execute("DROP TABLE items_pgrecast_old")
    rewrite.assert_gone()


@pytest.mark.parametrize("major, running", rotate(["running", "stopped"]))
def test_abort_after_the_cutover_is_refused(database, running):
    rewrite = Rewrite(database, rows=1000).to_reverse()
    if running == "stopped":
        rewrite.kill()
    outcome = rewrite.command("abort", status=pgrecast.FAILED)
    assert "rollback" in outcome.stderr and "finish" in outcome.stderr, str(outcome)
    assert rewrite.phase == "reverse" and rewrite.status["error"] is None
    rewrite.assert_serves()
    rewrite.roll_back()
    rewrite.command("abort")
    rewrite.end_of_instance(pgrecast.DONE, pgrecast.FAILED)
    rewrite.assert_original()
    rewrite.assert_gone()


@pytest.mark.main_major
@pytest.mark.parametrize("running", ["running", "stopped"])
def test_rollback_before_the_cutover_is_refused(database, running):
    rewrite = Rewrite(database, rows=1000)
    rewrite.run("--cutover=hold").wait_phase("ready")
    if running == "stopped":
        rewrite.kill()
    outcome = pgrecast.call(database, "rollback", "items")
    assert outcome.status in (pgrecast.FAILED, pgrecast.NO_ROLLBACK), str(outcome)
    assert rewrite.phase == "ready"
    outcome = pgrecast.call(database, "finish", "items")
    assert outcome.status == pgrecast.FAILED, str(outcome)
    rewrite.command("abort")
    rewrite.end_of_instance(pgrecast.DONE, pgrecast.FAILED)
    rewrite.assert_original()
    rewrite.assert_gone()


@pytest.mark.main_major
def test_no_lock_for_the_rollback(database):
    """Exit status 5, still in reverse; and later it works."""
    rewrite = Rewrite(database, rows=1000).to_reverse("--cutover-attempts=2", "--lock-timeout=50ms")
    with database.connect(autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT 1 FROM items LIMIT 1")
        rewrite.command("rollback", status=pgrecast.NO_LOCK)
        assert rewrite.phase == "reverse" and rewrite.instance.poll() is None
        reader.commit()
    reader.close()
    rewrite.roll_back()
    rewrite.finish()
    rewrite.assert_original()
    rewrite.assert_gone()


@pytest.mark.main_major
def test_definition_changed_in_reverse(database):
    """Somebody alters the new table: it serves on, and a rollback is refused by name, never wrong."""
    rewrite = Rewrite(database, rows=1000).to_reverse()
    database.execute("ALTER TABLE items ADD COLUMN late integer DEFAULT 3")
    database.execute("UPDATE items SET n = 77 WHERE id = 7; UPDATE items_mirror SET n = 77 WHERE id = 7")
    outcome = pgrecast.call(database, "rollback", "items")
    assert outcome.status in (pgrecast.FAILED, pgrecast.NO_ROLLBACK), str(outcome)
    assert "definition" in outcome.stderr and "items" in outcome.stderr, str(outcome)
    rewrite.ignore = ("late",)
    rewrite.assert_serves()
    rewrite.command("finish")
    rewrite.end_of_instance(pgrecast.DONE, pgrecast.FAILED)
    rewrite.assert_serves()
    rewrite.assert_gone()


@pytest.mark.parametrize("phase", ["reverse", "rolled_back"])
def test_verify_during_a_rollback(database, phase):
    """Parity can be proven at any time, and damage of the inactive table is found."""
    rewrite = Rewrite(database, rows=2000)
    with rewrite.load:
        rewrite.to_reverse()
        if phase == "rolled_back":
            rewrite.roll_back()
        rewrite.load.wait_for(50)
        outcome = rewrite.command("verify")
    followed = OLD if phase == "reverse" else NEW
    rewrite.assert_follows()
    key = database.value(f"SELECT max(id) FROM {followed}")
    pgrecast.damage(database, f"UPDATE {followed} SET note = 'damaged' WHERE id = {key}")
    outcome = pgrecast.call(database, "verify", "items")
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    assert str(key) in outcome.text and "damaged" not in outcome.text
    rewrite.assert_serves()
    rewrite.instance.kill()
    rewrite.command("finish")
    rewrite.assert_gone()


def test_status_in_reverse(database):
    rewrite = Rewrite(database, rows=1000).to_reverse()
    found = rewrite.status
    assert found["phase"] == "reverse" and found["running"] and found["swaps"] == 1
    assert found["rollback"] == {"possible": True, "blocked_rows": 0, "blocked_keys": [], "reason": None}
    assert found["window_ends_at"] is None and found["wal_retained_bytes"] is not None
    rewrite.assert_named()
    rewrite.roll_back()
    assert rewrite.status["swaps"] == 2
    rewrite.assert_named()
    rewrite.finish()
    rewrite.assert_gone()


def test_schema_after_a_rollback(database):
    """Every property of the table, its sequences among them, is what it was; so are the names."""
    database.execute("CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, a integer NOT NULL,"
                     " b text COLLATE \"C\" DEFAULT 'x', c numeric(10,2) CHECK (c > 0), e integer GENERATED ALWAYS AS (a + 1) STORED,"
                     " CONSTRAINT two UNIQUE (a, s) DEFERRABLE) WITH (fillfactor = 80);"
                     "COMMENT ON TABLE t IS 'comment'; COMMENT ON COLUMN t.b IS 'another'; COMMENT ON INDEX t_pkey IS 'key';"
                     "CREATE INDEX expression ON t (lower(b)) WHERE a > 3; CREATE STATISTICS st ON a, c FROM t;"
                     "ALTER TABLE t ALTER b SET STATISTICS 20; GRANT SELECT ON t TO PUBLIC; GRANT UPDATE (b) ON t TO PUBLIC;"
                     "INSERT INTO t (a, c) SELECT g, g FROM generate_series(1, 300) g")
    before, there_before = describe(database, "t"), relations(database)
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER id TYPE bigint, ALTER s TYPE bigint, ALTER c TYPE numeric,"
                             " ADD COLUMN x integer; ALTER TABLE t RENAME COLUMN b TO bb; DROP INDEX expression;"
                             " CREATE INDEX another ON t (bb)", window=None)
    job.wait_phase("reverse")
    after = describe(database, "t")
    assert catalogs.differences(before, after) != []
    command(database, "rollback")
    assert_same(before, describe(database, "t"))
    command(database, "cutover")
    job.wait_phase("reverse")
    assert_same(after, describe(database, "t"))
    command(database, "rollback")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_same(before, describe(database, "t"))
    assert relations(database) == there_before
    assert_clean(database)


@pytest.mark.main_major
def test_rollback_of_a_rebuild(database):
    """Without a change of the schema too; the file of the table is the old one again."""
    load = Load(database, rows=2000).prepare()
    before, file_before = describe(database, "items"), database.value("SELECT pg_relation_filenode('items')")
    with load:
        job = pgrecast.start_run(database, None, "--rebuild", "-t", "items", window=None)
        job.wait_phase("reverse")
        load.wait_for(50)
        assert database.value("SELECT pg_relation_filenode('items')") != file_before
        assert pgrecast.call(database, "rollback", "items").status == pgrecast.DONE
    assert database.value("SELECT pg_relation_filenode('items')") == file_before
    assert pgrecast.call(database, "finish", "items").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE
    assert_unharmed(load)
    assert_equal(database)
    assert_same(before, describe(database, "items"))
    assert_clean(database)
