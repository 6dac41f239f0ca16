"""Materialized views over the table: what the new one shows, while the table is written and whatever stops the program."""

import contextlib
import threading

import psycopg2
import pytest

import pgrecast
from conftest import spread
from database import describe, differences
from servers import wait_until

TOTAL = 3000

# Each transaction moves something from a row of the one table to a row of the other: the sum over both is always the same.
TABLES = f"""
CREATE TABLE debit (id integer PRIMARY KEY, n integer NOT NULL);
CREATE TABLE credit (id integer PRIMARY KEY, n integer NOT NULL);
INSERT INTO debit SELECT g, 3 FROM generate_series(1, {TOTAL // 3}) g;
INSERT INTO credit SELECT g, 0 FROM generate_series(1, {TOTAL // 3}) g;
CREATE VIEW both_sides AS SELECT 'debit' AS side, id, n FROM debit UNION ALL SELECT 'credit', id, n FROM credit;
CREATE MATERIALIZED VIEW by_side AS SELECT side, count(*) AS entries, sum(n) AS n FROM both_sides GROUP BY side;
CREATE UNIQUE INDEX by_side_key ON by_side (side);
CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM by_side;
CREATE VIEW shown AS SELECT n FROM total;
"""
ALTER = "ALTER TABLE debit ALTER id TYPE bigint, ALTER n TYPE bigint; ALTER TABLE credit ALTER id TYPE bigint, ALTER n TYPE bigint"
MOVE = "UPDATE debit SET n = n - 1 WHERE id = %s; UPDATE credit SET n = n + 1 WHERE id = %s"
SHOWN = "SELECT (SELECT n FROM shown), (SELECT sum(n) FROM by_side), (SELECT sum(entries) FROM by_side)"


class Movers:
    """Writers, of which no statement may fail."""

    def __init__(self, database, count=2):
        self.database, self.stopping, self.done, self.errors = database, threading.Event(), [0] * count, []
        self.threads = [threading.Thread(target=self.move, args=(number,), daemon=True) for number in range(count)]

    def move(self, number):
        try:
            with contextlib.closing(self.database.connect(autocommit=False)) as connection, connection.cursor() as cursor:
                while not self.stopping.is_set():
                    row = 1 + (self.done[number] * len(self.done) + number) % (TOTAL // 3)
                    cursor.execute(MOVE, (row, row))
                    connection.commit()
                    self.done[number] += 1
        except psycopg2.Error as error:
            self.errors.append(error)

    def wait(self, more=30):
        target = sum(self.done) + more
        wait_until(lambda: self.errors or sum(self.done) >= target, "more transactions", timeout=60)
        assert self.errors == []

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.wait()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def command(database, name, job="money"):
    outcome = pgrecast.call(database, name, job)
    assert outcome.status == pgrecast.DONE, str(outcome)


def assert_exact(database):
    """What the views show was true at one moment, of both tables; and so are the tables themselves."""
    assert database.execute(SHOWN) == [(TOTAL, TOTAL, TOTAL // 3 * 2)]
    assert database.execute("SELECT sum(n) FROM both_sides") == [(TOTAL,)]


def column_type(database):
    return database.value("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'by_side'::regclass AND attname = 'n'")


@pytest.mark.parametrize("major, point", spread(["catchup-shadow", "view-filling", "cutover-swapped"]))
def test_under_load(database, point):
    """Killed on the way, cut over, rolled back, cut over again, and finished."""
    database.execute(TABLES)
    with Movers(database) as movers:
        pgrecast.start_run(database, ALTER, "--job", "money", window=None, kill=point).wait_killed()
        assert column_type(database) == "bigint"  # sum(integer)
        job = pgrecast.start_resume(database, "money")
        with contextlib.ExitStack() as after:
            after.callback(job.kill)
            job.wait_phase("reverse")
            assert column_type(database) == "numeric"
            assert_exact(database)
            movers.wait()
            assert pgrecast.call(database, "verify", "money").status == pgrecast.DONE
            command(database, "rollback")
            assert column_type(database) == "bigint"
            assert_exact(database)
            movers.wait()
            command(database, "cutover")
            job.wait_phase("reverse")
            assert column_type(database) == "numeric"
            assert_exact(database)
            command(database, "finish")
            assert job.wait().status == pgrecast.DONE
        movers.wait()
    assert_exact(database)
    assert pgrecast.leftovers(database) == []
    database.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY by_side; REFRESH MATERIALIZED VIEW total")
    assert_exact(database)


@pytest.mark.parametrize("major, point", spread(["catchup-shadow", "view-filling"]))
def test_abort_after_a_kill(database, point):
    """Nothing of them is left."""
    database.execute(TABLES)
    before = whole(database)
    pgrecast.start_run(database, ALTER, "--job", "money", kill=point).wait_killed()
    assert "by_side_pgrecast_new" in pgrecast.call(database, "status", "money").stdout
    command(database, "abort")
    assert pgrecast.leftovers(database) == []
    assert differences(before, whole(database)) == []


def whole(database):
    with contextlib.closing(database.connect("postgres")) as connection:
        found = describe(connection)
    found.pop("schemas", None)  # pgrecast's own stays
    return found


REFRESHED = {  # the statement, and what the view then shows
    "plain": ("REFRESH MATERIALIZED VIEW counted", [(2,)]),
    "concurrently": ("REFRESH MATERIALIZED VIEW CONCURRENTLY counted", [(2,)]),
    "with no data": ("REFRESH MATERIALIZED VIEW counted WITH NO DATA", None),
}


@pytest.mark.parametrize("major, how", spread(list(REFRESHED)))
def test_refreshed_meanwhile(database, how):
    """Nobody sees less after the cutover than before it: the new one is filled again."""
    statement, expected = REFRESHED[how]
    database.execute("CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1);"
                     "CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM t; CREATE UNIQUE INDEX ON counted (n)")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER id TYPE bigint", hold="ready")
    job.wait_phase("ready")
    assert database.execute("SELECT n FROM counted_pgrecast_new") == [(1,)]
    database.execute("INSERT INTO t VALUES (2)")
    database.execute(statement)
    job.release()
    assert job.wait().status == pgrecast.DONE
    assert database.value("SELECT relispopulated FROM pg_class WHERE oid = 'counted'::regclass") == (expected is not None)
    if expected:
        assert database.execute("SELECT n FROM counted") == expected
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_two_jobs_and_one_view(database):
    """A view that another job has made, or keeps for a rollback, is not carried; it is when that job has ended."""
    database.execute(TABLES)
    debit, credit = ALTER.split("; ")
    job = pgrecast.start_run(database, debit, "--job", "money", window=None)
    job.wait_phase("reverse")
    outcome = pgrecast.run(database, credit)
    assert outcome.status == pgrecast.REFUSED and "both_sides_pgrecast_old: another job has made or kept it" in outcome.stderr, str(outcome)
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    outcome = pgrecast.run(database, credit)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_exact(database)
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_plan(database):
    """It names them, and says as of when the rows are, and that nobody knows how long it takes."""
    database.execute(TABLES)
    outcome = pgrecast.call(database, "plan", "--sql", ALTER)
    text = " ".join(outcome.stdout.split())
    assert outcome.status == pgrecast.DONE, str(outcome)
    for name in ("by_side", "total"):
        assert f"materialized view public.{name} (" in text, text
    assert "it shows the rows as of that time, not as of its last REFRESH" in text
    assert "how long that is, is not known" in text
    assert "4. build the indexes" in text and "materialized views" in text
    assert "CREATE MATERIALIZED VIEW pgrecast_plan_" in text
    assert pgrecast.things_made(database) == []
