"""Writes of unusual kinds and sizes during the run."""

import itertools
import os
import subprocess

import pytest

import oracle
import pgrecast
from conftest import MAIN_MAJOR, spread
from load import Load
from servers import wait_until
from tables import assert_aborts, assert_clean

TABLE = """
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text UNIQUE);
CREATE TABLE m (id integer, a integer, b text);
INSERT INTO t SELECT g, g % 10, 'b' || g FROM generate_series(1, 2000) g;
INSERT INTO m SELECT * FROM t;
"""
ALTER = "ALTER TABLE t ALTER COLUMN id TYPE bigint, ALTER COLUMN a TYPE bigint"


def both(database, sql):
    """One transaction on table and mirror."""
    database.execute(f"BEGIN; {sql.format(t='t')}; {sql.format(t='m')}; COMMIT")


def run_with(database, phase, *statements, timeout=120):
    """A run held at the entry of a phase, in which the statements change table and mirror."""
    job = pgrecast.start_run(database, ALTER, hold=phase)
    job.wait_phase(phase)
    for sql in statements:
        both(database, sql)
    job.release()
    return job.wait(timeout)


def assert_equal(database, outcome):
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert not oracle.compare(database, "t", "m")
    assert_clean(database)


@pytest.fixture
def table(database):
    database.execute(TABLE)
    return database


@pytest.mark.parametrize("phase", ["copy", "catchup", "ready"])
def test_truncate(table, phase):
    """Rows before it go, rows after it stay."""
    outcome = run_with(table, phase,
                       "INSERT INTO {t} VALUES (5000, 1, 'before')",
                       "TRUNCATE {t}",
                       "INSERT INTO {t} VALUES (5, 1, 'after'), (5001, 2, 'after too')",
                       "UPDATE {t} SET a = 3 WHERE id = 5")
    assert_equal(table, outcome)
    assert table.value("SELECT count(*) FROM t") == 2


def test_truncate_and_refill_in_one_transaction(table):
    outcome = run_with(table, "copy",
                       "UPDATE {t} SET a = 77 WHERE id < 10; TRUNCATE {t}; INSERT INTO {t} VALUES (1, 1, 'b1');"
                       "SAVEPOINT s; INSERT INTO {t} VALUES (2, 2, 'gone'); ROLLBACK TO s; INSERT INTO {t} VALUES (2, 3, 'b2')")
    assert_equal(table, outcome)


def test_batches_of_one_session(table):
    """What one batch has left in the session's tables is no part of the next: small ones, large ones."""
    job = pgrecast.start_run(table, ALTER, "--cutover=hold")
    job.wait_phase("ready")
    applied = 0
    for rows in (3, 700, 1, 700, 1500, 2):
        applied += rows
        both(table, f"UPDATE {{t}} SET a = a + 1 WHERE id <= {rows}")
        wait_until(lambda: table.value("SELECT changes_applied FROM pgrecast.position") >= applied, "a batch")
    assert pgrecast.call(table, "cutover", "t").status == pgrecast.DONE
    assert_equal(table, job.wait())


@pytest.mark.timeout(600)
def test_huge_transaction(table, major):
    """One transaction of a million rows (a tenth of that on all majors but one), with less memory than it has rows."""
    rows = 1_000_000 if major == MAIN_MAJOR else 100_000
    job = pgrecast.start_run(table, ALTER, hold="catchup")
    job.wait_phase("catchup")
    both(table, f"INSERT INTO {{t}} SELECT g, g % 10, 'b' || g FROM generate_series(10000, {9999 + rows}) g")
    both(table, "UPDATE {t} SET a = a + 1, b = b || 'x' WHERE id % 10 = 0")
    job.release()
    peak = 0
    while job.poll() is None:
        peak = max(peak, job.peak_memory())
        try:
            job.process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    assert_equal(table, job.wait())
    if "PGRECAST_SANITIZED" not in os.environ:
        assert peak < 100 * 1024 * 1024, f"{peak / 1048576:.0f} MB of client memory"


@pytest.mark.parametrize("phase", ["copy", "catchup", "ready"])
def test_chains_of_one_key(table, phase):
    """Delete and reinsert, key changes in a ring, and back again; all of it in one transaction and in several."""
    ring = ("UPDATE {t} SET id = -1 WHERE id = 1; UPDATE {t} SET id = 1 WHERE id = 2; UPDATE {t} SET id = 2 WHERE id = 3;"
            "UPDATE {t} SET id = 3 WHERE id = -1")
    outcome = run_with(table, phase, ring, ring,
                       "DELETE FROM {t} WHERE id = 10; INSERT INTO {t} VALUES (10, 5, 'b10')",
                       "DELETE FROM {t} WHERE id = 11", "INSERT INTO {t} VALUES (11, 6, 'again')",
                       "UPDATE {t} SET id = 9000 WHERE id = 12", "INSERT INTO {t} VALUES (12, 7, 'new')",
                       "DELETE FROM {t} WHERE id = 9000", "UPDATE {t} SET id = 9000 WHERE id = 13",
                       "INSERT INTO {t} VALUES (9100, 1, 'short-lived')", "DELETE FROM {t} WHERE id = 9100")
    assert_equal(table, outcome)


@pytest.mark.parametrize("phase", ["copy", "catchup", "ready"])
def test_unique_values_change_hands(table, phase):
    swap = ("UPDATE {t} SET b = 'parked' WHERE id = 20; UPDATE {t} SET b = 'b20' WHERE id = 21;"
            "UPDATE {t} SET b = 'b21' WHERE id = 20")
    outcome = run_with(table, phase, swap,
                       "DELETE FROM {t} WHERE id = 30; INSERT INTO {t} VALUES (8000, 1, 'b30')",
                       "UPDATE {t} SET b = NULL WHERE id = 31; UPDATE {t} SET b = 'b31' WHERE id = 32",
                       "UPDATE {t} SET b = 'b32' WHERE id = 33")
    assert_equal(table, outcome)


def test_prepared_across_the_cutover(table):
    """A prepared transaction holds its lock: the swap waits for it, and has its rows."""
    job = pgrecast.start_run(table, ALTER, "--cutover-attempts=1000", hold="ready")
    job.wait_phase("ready")
    gid = f"{table.name}/prepared"
    table.execute(f"BEGIN; UPDATE t SET a = 1234 WHERE id = 7; UPDATE m SET a = 1234 WHERE id = 7; PREPARE TRANSACTION '{gid}'")
    job.release()
    job.wait_phase("cutover", "ready")
    table.execute(f"COMMIT PREPARED '{gid}'")
    assert_equal(table, job.wait())


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_open_across_the_start(table, end):
    """A transaction that wrote before the job began, and ends after: it is waited for, its rows are there (or not)."""
    conn = table.connect(autocommit=True)
    cursor = conn.cursor()
    cursor.execute("BEGIN; UPDATE t SET a = 999 WHERE id = 9; INSERT INTO t VALUES (7000, 1, 'open');"
                   "UPDATE m SET a = 999 WHERE id = 9; INSERT INTO m VALUES (7000, 1, 'open')")
    job = pgrecast.start_run(table, ALTER)
    wait_until(lambda: job.poll() is not None or table.superuser(
        "SELECT 1 FROM pg_stat_activity WHERE application_name ~ 'pgrecast' AND (wait_event_type = 'Lock' OR state = 'active')"),
        "the job to wait for the transaction")
    cursor.execute("DELETE FROM t WHERE id = 10; DELETE FROM m WHERE id = 10")
    cursor.execute(end)
    conn.close()
    assert_equal(table, job.wait())


def test_snapshot_older_than_the_swap(table):
    """A REPEATABLE READ transaction from before the copy never sees an empty table: the swap waits for it."""
    reader = table.connect(autocommit=True)
    cursor = reader.cursor()
    cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM m")
    job = pgrecast.start_run(table, ALTER, "--cutover-attempts=1000")
    wait_until(lambda: job.poll() is not None or pgrecast.job_phase(table) in ("cutover", "finished"), "the cutover")
    cursor.execute("SELECT count(*) FROM t")
    assert cursor.fetchone() == (2000,)
    cursor.execute("COMMIT")
    reader.close()
    assert_equal(table, job.wait())


def test_empty_table(table):
    table.execute("TRUNCATE t, m")
    assert_equal(table, pgrecast.run(table, ALTER))


def test_empty_table_that_fills(table):
    table.execute("TRUNCATE t, m")
    assert_equal(table, run_with(table, "copy", "INSERT INTO {t} SELECT g, g, 'n' || g FROM generate_series(1, 500) g"))


def test_table_that_empties(table):
    assert_equal(table, run_with(table, "copy", "DELETE FROM {t}"))


@pytest.mark.parametrize("phase", ["copy", "catchup"])
def test_table_that_grows(table, phase):
    """It gets many times as large while it is held, and again under load of inserts only."""
    assert_equal(table, run_with(table, phase, "INSERT INTO {t} SELECT g, g, 'n' || g FROM generate_series(3000, 60000) g"))


def test_growing_under_load(database):
    """Inserts as fast as they go from the first block to the swap."""
    weights = {"insert_many": 200, "update": 10}
    load = Load(database, rows=5000, rate=0, writers=2, weights=weights).prepare()
    with load:
        load.wait_for(100)
        outcome = pgrecast.run(database, load.workload.alter)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert load.result.failed == {} and not load.result.broken
    assert not oracle.compare(database, "items", "items_mirror")
    assert_clean(database)


@pytest.mark.parametrize("phase", ["copy", "catchup", "ready"])
@pytest.mark.parametrize("rewrite", ["VACUUM FULL t", "CLUSTER t USING t_pkey", "ALTER TABLE t SET TABLESPACE other_space"],
                         ids=["vacuum_full", "cluster", "tablespace"])
def test_rewritten_during_the_run(server, table, rewrite, phase):
    """Somebody rewrites the table: the job ends well, or names the change and can be aborted, but never loses a row."""
    server.tablespace("other_space")
    both(table, "DELETE FROM {t} WHERE id % 3 = 0")
    job = pgrecast.start_run(table, ALTER, hold=phase)
    job.wait_phase(phase)
    table.execute(rewrite)
    both(table, "UPDATE {t} SET a = 55 WHERE id < 100")
    job.release()
    named = "was changed while the job was running"
    wait_until(lambda: job.poll() is not None or named in job.errors_so_far(), "an end, or the change to be named")
    if named in job.errors_so_far():
        assert "VACUUM" not in rewrite, job.errors_so_far()  # the tablespace, and by which index it is clustered, are part of the definition
        assert_aborts(table, "t")
    outcome = job.wait()
    assert outcome.status == (pgrecast.DONE if "VACUUM" in rewrite else pgrecast.FAILED), str(outcome)
    assert not oracle.compare(table, "t", "m")
    assert_clean(table)


def test_vacuum_goes_on(table):
    """A held job keeps no snapshot: dead rows go. (An ordinary VACUUM, and what it moves, harms nothing.)"""
    both(table, "DELETE FROM {t} WHERE id % 2 = 0")
    job = pgrecast.start_run(table, ALTER, hold="catchup")
    job.wait_phase("catchup")
    both(table, "DELETE FROM {t} WHERE id % 3 = 0")
    table.execute("VACUUM t")
    assert table.value("SELECT count(*) FROM pg_stat_activity WHERE application_name ~ 'pgrecast' AND backend_xmin IS NOT NULL"
                       " AND backend_type = 'client backend'") == 0
    both(table, "INSERT INTO {t} SELECT g, g, 'n' || g FROM generate_series(3000, 4000) g")
    job.release()
    assert_equal(table, job.wait())


LARGE = """
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text);
CREATE TABLE m (id integer, a integer, b text);
ALTER TABLE t ALTER b SET STORAGE EXTERNAL;
INSERT INTO t SELECT g, g, repeat(g || ' ', 4000) FROM generate_series(1, 10) g;
INSERT INTO t SELECT g, g, 'small ' || g FROM generate_series(11, 500) g;
INSERT INTO m SELECT * FROM t;
"""

# Updates that leave a large value as it was, so that the stream has no value for it: (name, transactions).
UNCHANGED = {
    "update": ["UPDATE {t} SET a = -a WHERE id = 1"],
    "key_to_new": ["UPDATE {t} SET id = 1001 WHERE id = 1"],
    "key_to_deleted": ["DELETE FROM {t} WHERE id = 100", "UPDATE {t} SET id = 100, a = 7 WHERE id = 1"],
    "key_to_deleted_at_once": ["DELETE FROM {t} WHERE id = 100; UPDATE {t} SET id = 100, a = 7 WHERE id = 1"],
    "key_to_deleted_large": ["DELETE FROM {t} WHERE id = 2", "UPDATE {t} SET id = 2, a = 7 WHERE id = 1"],
    "key_to_moved": ["UPDATE {t} SET id = 1002 WHERE id = 2", "UPDATE {t} SET id = 2 WHERE id = 1"],
    "keys_exchanged": ["UPDATE {t} SET id = -1 WHERE id = 1; UPDATE {t} SET id = 1 WHERE id = 2;"
                       "UPDATE {t} SET id = 2 WHERE id = -1"],
    "key_there_and_back": ["UPDATE {t} SET id = 1001 WHERE id = 1", "UPDATE {t} SET a = 7 WHERE id = 1001",
                           "UPDATE {t} SET id = 1 WHERE id = 1001"],
    "old_key_filled": ["UPDATE {t} SET id = 1001 WHERE id = 1", "INSERT INTO {t} VALUES (1, 1, 'new')",
                       "UPDATE {t} SET a = 8 WHERE id = 1001"],
    "moved_and_deleted": ["UPDATE {t} SET id = 1001 WHERE id = 1", "DELETE FROM {t} WHERE id = 1001"],
    "new_and_moved": ["INSERT INTO {t} SELECT 1003, 3, b FROM {t} WHERE id = 3", "UPDATE {t} SET id = 1004 WHERE id = 1003",
                      "UPDATE {t} SET a = 9 WHERE id = 1004"],
    "large_then_unchanged": ["UPDATE {t} SET b = repeat('changed ', 2000) WHERE id = 4", "UPDATE {t} SET a = 5 WHERE id = 4",
                             "UPDATE {t} SET id = 1005 WHERE id = 4"],
    "savepoint": ["UPDATE {t} SET a = 1 WHERE id = 5; SAVEPOINT s; UPDATE {t} SET b = 'gone' WHERE id = 5;"
                  "ROLLBACK TO s; UPDATE {t} SET id = 1006 WHERE id = 5"],
}


@pytest.mark.parametrize("major, case", spread(itertools.product(UNCHANGED, ["copy", "index", "catchup", "ready"])))
def test_unchanged_large_value(database, case):
    name, phase = case
    database.execute(LARGE)
    assert_equal(database, run_with(database, phase, *UNCHANGED[name]))


class OpenTransaction:
    """A transaction with a number of its own, open until end()."""

    def __init__(self, database, sql="SELECT 1"):
        self.conn = database.connect()
        self.cursor = self.conn.cursor()
        self.cursor.execute(f"BEGIN; {sql}; SELECT pg_current_xact_id()::text")
        self.number = self.cursor.fetchone()[0]

    def is_waited_for(self, database):
        return bool(database.superuser("SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
                                       " AND transactionid::text = %s", self.number))

    def end(self):
        self.cursor.execute("COMMIT")
        self.conn.close()


def start_with_change_before_the_barrier(database, change, hold):
    """
    A job whose stream begins with a transaction that the copy has too: it starts after the slot can decode it, and
    ends before the job takes the number that divides old rows from new ones as settled.
    """
    first = OpenTransaction(database)
    job = pgrecast.start_run(database, ALTER, hold=hold)
    wait_until(lambda: job.poll() is not None or first.is_waited_for(database), "the slot to wait for the first transaction")
    second = OpenTransaction(database)
    first.end()
    wait_until(lambda: job.poll() is not None or second.is_waited_for(database), "the slot to wait for the second transaction")
    third = OpenTransaction(database, f"{change.format(t='t')}; {change.format(t='m')}")
    second.end()
    wait_until(lambda: job.poll() is not None or database.superuser(
        "SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND confirmed_flush_lsn IS NOT NULL"),
        "the slot to be there")
    third.end()
    job.wait_phase(hold)
    return job


@pytest.mark.main_major
@pytest.mark.parametrize("name", UNCHANGED)
def test_unchanged_large_value_in_a_batch_that_begins_before_the_barrier(database, name):
    """One batch of the apply may hold changes that the copy has and changes that it has not."""
    database.execute(LARGE)
    job = start_with_change_before_the_barrier(database, "UPDATE {t} SET a = 1234 WHERE id = 400", hold="index")
    for sql in UNCHANGED[name]:
        both(database, sql)
    job.release()
    assert_equal(database, job.wait())


def test_unchanged_large_value_after_its_key_went_to_another_row(database):
    """A value read from the source for a row that was changed before it was copied may be that of the key's next row."""
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer, big text);"
                     "ALTER TABLE t ALTER COLUMN big SET STORAGE EXTERNAL;"
                     "CREATE TABLE m (id integer PRIMARY KEY, a integer, big text);"
                     "INSERT INTO t SELECT g, 0, repeat(md5(g::text), 200) FROM generate_series(1, 12000) g;"
                     "INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER COLUMN id TYPE bigint", hold="copy")
    job.wait_phase("copy")
    both(database, "UPDATE {t} SET a = 1 WHERE id = 1")  # newer than the copy takes, and without its large value
    both(database, "UPDATE {t} SET a = a + 1 WHERE id > 1")  # more than goes into one batch
    both(database, "UPDATE {t} SET id = 1000000, a = 2 WHERE id = 1")
    both(database, "INSERT INTO {t} VALUES (1, 7, repeat('other', 2000))")
    job.release()
    assert_equal(database, job.wait())


@pytest.mark.parametrize("first, second", [("1.50", "1.5"), ("1.5", "1.50")])
def test_key_that_is_written_another_way(database, first, second):
    """The row that the shadow has meets the key it had first, whichever of the two sorts before the other."""
    database.execute("CREATE TABLE t (id numeric PRIMARY KEY, a integer, b text); ALTER TABLE t ALTER COLUMN b SET STORAGE EXTERNAL;"
                     f"INSERT INTO t VALUES ({first}, 0, repeat('large', 2000)), (7, 0, repeat('other', 2000));"
                     "CREATE TABLE m (LIKE t INCLUDING ALL); INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER COLUMN a TYPE bigint", hold="ready")
    job.wait_phase("ready")
    both(database, f"UPDATE {{t}} SET id = {second} WHERE id = {first}; UPDATE {{t}} SET a = a + 1 WHERE id = {first}")
    job.release()
    assert_equal(database, job.wait())


@pytest.mark.timeout(300)
@pytest.mark.parametrize("column", ["uuid DEFAULT gen_random_uuid()", "serial", "bigint GENERATED ALWAYS AS IDENTITY"],
                         ids=["volatile", "serial", "identity"])
def test_values_made_once_survive_a_large_transaction(table, column):
    """Rows that are there keep what was made for them, whatever way they go; new ones get a value once."""
    job = pgrecast.start_run(table, ALTER + f", ADD COLUMN made {column} UNIQUE", hold="ready")
    job.wait_phase("ready")
    table.execute("CREATE TABLE before AS SELECT id, made FROM t_pgrecast_new")
    both(table, "INSERT INTO {t} SELECT g, g % 10, 'b' || g FROM generate_series(10000, 69999) g;"
                "UPDATE {t} SET a = a + 1, b = b || 'x' WHERE id < 1000 OR id > 60000;"
                "UPDATE {t} SET id = id - 100000 WHERE id < 500; DELETE FROM {t} WHERE id BETWEEN 1900 AND 2000")
    job.release()
    outcome = job.wait(240)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert not oracle.compare(table, "t", "m", ignore=["made"])
    assert table.value("SELECT count(*) FROM before JOIN t ON t.id IN (before.id, before.id - 100000) "
                       "WHERE t.made = before.made") == 1899
    assert table.value("SELECT count(made) = count(*) AND count(DISTINCT made) = count(*) FROM t")
