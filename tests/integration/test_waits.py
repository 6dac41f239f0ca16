"""What the job waits for has a name in `status` and in the log, with who is in the way."""

import contextlib

import pytest

import oracle
import pgrecast
from servers import Server, wait_until

TABLE = """
CREATE TABLE t (id integer PRIMARY KEY, a integer);
CREATE TABLE m (id integer, a integer);
INSERT INTO t SELECT g, g % 10 FROM generate_series(1, 1000) g;
INSERT INTO m SELECT * FROM t;
"""
ALTER = "ALTER TABLE t ALTER COLUMN id TYPE bigint"
CHANGE = "UPDATE t SET a = 99 WHERE id = 5; UPDATE m SET a = 99 WHERE id = 5"


def wait_named(database, job, kind, *words):
    """Until `status` (JSON) says so; the same is in its text and in the log. The wait."""
    def named():
        assert job.poll() is None, str(job.wait())
        for wait in (wait for found in pgrecast.status(database) for wait in found["waits"]):
            if wait["kind"] == kind and all(word in wait["text"] for word in words):
                return wait
        return None

    wait = wait_until(named, f"a wait of kind {kind}, with {words}")
    assert wait["since"].endswith("Z")
    return wait


def wait_in_text(database, start):
    wait_until(lambda: f"waits        for {start}" in pgrecast.call(database, "status", "t").stdout, "the text of status")


def wait_logged(job, start):
    wait_until(lambda: f"waiting for {start}" in job.errors_so_far(), "the line in the log")


def wait_over(database, job, start):
    """It is no longer listed, and the log says so."""
    wait_until(lambda: f"no longer waiting for {start}" in job.errors_so_far(), "the end in the log")
    wait_until(lambda: not pgrecast.the_job(database)["waits"], "nothing to be waited for")


@pytest.fixture
def table(database):
    database.execute(TABLE)
    return database


@pytest.mark.majors({15, 18})
def test_a_transaction_at_the_start(table):
    """The slot is made when it ends: process, role, age and time of the last statement are named."""
    with contextlib.closing(table.connect(autocommit=False)) as other:
        other.cursor().execute("SET application_name = 'report'; " + CHANGE)
        start = f"the end of process {other.info.backend_pid} (role app_owner, report, transaction open for "
        job = pgrecast.start_run(table, ALTER, window=None)
        wait = wait_named(table, job, "transaction", start, " s, last statement at 2")
        assert wait["session"] == "pgrecast control"
        wait_in_text(table, start)
        wait_logged(job, start)
        other.commit()
    job.wait_phase("reverse")
    wait_over(table, job, start)
    assert pgrecast.call(table, "finish", "t").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE
    assert not oracle.compare(table, "t", "m")


@pytest.mark.main_major
def test_a_prepared_transaction_at_the_start(table):
    """It has no process, and is named by its identifier."""
    table.execute(f"BEGIN; {CHANGE}; PREPARE TRANSACTION 'later'")
    job = pgrecast.start_run(table, ALTER)
    wait_named(table, job, "transaction", "the prepared transaction")
    table.execute("COMMIT PREPARED 'later'")
    assert job.wait().status == pgrecast.DONE
    assert not oracle.compare(table, "t", "m")


@pytest.mark.majors({15, 18})
def test_a_lock_on_the_inactive_table(table):
    """The apply waits for it, and with it the whole program."""
    job = pgrecast.start_run(table, ALTER, window=None)
    job.wait_phase("reverse")
    with contextlib.closing(table.connect(autocommit=False)) as other:
        other.cursor().execute("LOCK TABLE t_pgrecast_old IN SHARE MODE")
        table.execute(CHANGE)
        start = f"a lock on public.t_pgrecast_old: process {other.info.backend_pid} (role app_owner"
        wait = wait_named(table, job, "lock", start)
        assert wait["session"] == "pgrecast apply"
        wait_in_text(table, start)
        wait_logged(job, start)
        other.rollback()
    wait_over(table, job, start)
    assert pgrecast.call(table, "rollback", "t").status == pgrecast.DONE
    assert not oracle.compare(table, "t", "m")
    assert pgrecast.call(table, "finish", "t").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE


@pytest.mark.main_major
def test_the_lock_of_the_cutover(table):
    """Between two attempts `status` says what the last one has failed of."""
    job = pgrecast.start_run(table, ALTER, "--cutover-attempts=100000", hold="cutover")
    job.wait_phase("cutover")
    with contextlib.closing(table.connect(autocommit=False)) as other:
        other.cursor().execute("SELECT count(*) FROM t")
        job.release()
        wait_named(table, job, "lock", "the next attempt of the cutover; the last one: the lock on",
                   f"Process {other.info.backend_pid} holds AccessShareLock on ")
        other.rollback()
    assert job.wait().status == pgrecast.DONE


@pytest.mark.majors({17})
def test_a_standby_that_has_to_have_the_log_first(major):
    """synchronized_standby_slots names a slot that nobody uses: no changes come."""
    with Server(major) as server:
        database = server.new_database()
        database.execute(TABLE)
        database.superuser("SELECT pg_create_physical_replication_slot('absent')")
        job = pgrecast.start_run(database, ALTER, hold="catchup")
        job.wait_phase("catchup")
        server.configure(synchronized_standby_slots="absent")
        database.execute(CHANGE)
        job.release()
        start = "the standby of replication slot absent, which is not connected"
        wait = wait_named(database, job, "standby_slot", start)
        assert wait["session"] == "pgrecast stream"
        wait_logged(job, start)
        server.configure(synchronized_standby_slots="")
        assert job.wait().status == pgrecast.DONE
        assert not oracle.compare(database, "t", "m")
