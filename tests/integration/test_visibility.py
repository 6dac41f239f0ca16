"""Commits that are in the log but not yet visible: the hole through which rows are lost, and that it is closed.

With synchronous_standby_names naming a standby that is not there, a commit is written, flushed and decoded, while
it hangs waiting for the standby and no snapshot sees it.
"""

import threading

import pytest

import oracle
import pgrecast
from lost_answer import LostAnswer
from servers import Server, wait_until
from tables import assert_clean, assert_follows

TABLE = """
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text);
CREATE TABLE m (id integer, a integer, b text);
INSERT INTO t SELECT g, g % 10, 'b' || g FROM generate_series(1, 1000) g;
INSERT INTO m SELECT * FROM t;
"""
ALTER = "ALTER TABLE t ALTER COLUMN id TYPE bigint"
CHANGE = "INSERT INTO {t} VALUES (5000, 1, 'hangs'); UPDATE {t} SET a = 77 WHERE id = 5; DELETE FROM {t} WHERE id = 6"


@pytest.fixture
def own_server(major):
    with Server(major) as server:
        yield server


class HangingCommit:
    """A transaction on table and mirror whose commit waits for the absent standby, in a thread of its own."""

    def __init__(self, database, change=CHANGE, name="hanging"):
        self.database, self.change, self.name = database, change, name
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        conn = self.database.connect()
        with conn.cursor() as cursor:
            cursor.execute(f"SET synchronous_commit = on; SET application_name = '{self.name}'")
            cursor.execute(f"BEGIN; {self.change.format(t='t')}; {self.change.format(t='m')}; COMMIT")
        conn.close()

    def wait_until_it_hangs(self):
        wait_until(self._pid, "the commit to hang")

    def _pid(self):
        return self.database.superuser("SELECT pid FROM pg_stat_activity WHERE application_name = %s"
                                       " AND wait_event = 'SyncRep'", self.name)

    def let_go(self):
        """It no longer waits, and is visible; others go on to wait."""
        self.database.superuser("SELECT pg_cancel_backend(%s)", self._pid()[0][0])
        self.join()

    def join(self):
        self.thread.join(60)
        assert not self.thread.is_alive()


def absent_standby(server, names="nobody_is_here"):
    server.configure(synchronous_standby_names=names)


def prepared(server):
    database = server.new_database()
    database.execute(TABLE)
    # What the tests and the tool do themselves need not wait.
    database.superuser(f'ALTER DATABASE "{database.name}" SET synchronous_commit = local')
    return database


def test_the_hole_is_real(own_server):
    """The premise: such a commit comes out of a slot while a new snapshot does not see it."""
    database = prepared(own_server)
    database.execute("SELECT pg_create_logical_replication_slot('premise', 'test_decoding')")
    absent_standby(own_server)
    hanging = HangingCommit(database)
    hanging.wait_until_it_hangs()
    changes = [data for (data,) in database.execute("SELECT data FROM pg_logical_slot_peek_changes('premise', NULL, NULL)")]
    assert any("hangs" in data for data in changes)
    assert database.value("SELECT count(*) FROM t WHERE id = 5000") == 0
    own_server.configure(synchronous_standby_names="")
    hanging.join()
    assert database.value("SELECT count(*) FROM t WHERE id = 5000") == 1


def test_commit_that_hangs_across_the_start(own_server):
    """It began before the slot and is visible only after: copied, not streamed, and there."""
    database = prepared(own_server)
    absent_standby(own_server)
    hanging = HangingCommit(database)
    hanging.wait_until_it_hangs()
    job = pgrecast.start_run(database, ALTER)
    # It must not get to the copy while the commit hangs.
    wait_until(lambda: job.poll() is not None or database.superuser(
        "SELECT 1 FROM pg_stat_activity WHERE application_name ~ 'pgrecast'"), "the job to begin")
    wait_until(lambda: job.poll() is not None or pgrecast.job_phase(database) == "init", "the job to be entered")
    assert job.poll() is None, str(job.outcome())
    own_server.configure(synchronous_standby_names="")
    hanging.join()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert not oracle.compare(database, "t", "m")
    assert_clean(database)


def test_commit_that_hangs_from_the_slot_on(own_server):
    """It begins when the slot is made and commits, unseen, before the copy would begin."""
    database = prepared(own_server)
    open_one = database.connect()
    cursor = open_one.cursor()
    cursor.execute("BEGIN; SELECT pg_current_xact_id()")  # makes the slot wait
    job = pgrecast.start_run(database, ALTER)
    wait_until(lambda: database.superuser("SELECT 1 FROM pg_replication_slots WHERE database = current_database()"),
               "the slot to be under way")
    absent_standby(own_server)
    hanging = HangingCommit(database)
    hanging.wait_until_it_hangs()
    cursor.execute("ROLLBACK")
    open_one.close()
    wait_until(lambda: job.poll() is not None or database.superuser(
        "SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND confirmed_flush_lsn IS NOT NULL"
        ) or pgrecast.job_phase(database) == "init", "the slot to be there")
    assert job.poll() is None, str(job.outcome())
    own_server.configure(synchronous_standby_names="")
    hanging.join()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert not oracle.compare(database, "t", "m")
    assert_clean(database)


@pytest.mark.parametrize("phase", ["copy", "catchup", "verify", "ready"])
def test_commit_that_hangs_during_the_run(own_server, phase):
    """It is streamed before it is visible; the unchanged large value of its row included."""
    database = prepared(own_server)
    for table in ("t", "m"):
        database.execute(f"ALTER TABLE {table} ALTER b SET STORAGE EXTERNAL;"
                         f"UPDATE {table} SET b = repeat('large', 2000) WHERE id BETWEEN 5 AND 9")
    job = pgrecast.start_run(database, ALTER, hold=phase)
    job.wait_phase(phase)
    absent_standby(own_server)
    hanging = HangingCommit(database)
    hanging.wait_until_it_hangs()
    job.release()
    wait_until(lambda: job.poll() is not None or pgrecast.job_phase(database) != phase
               or database.superuser("SELECT 1 FROM pg_locks WHERE NOT granted"), "the job to go on", timeout=30)
    own_server.configure(synchronous_standby_names="")
    hanging.join()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert not oracle.compare(database, "t", "m")
    assert_clean(database)


# Keys that move. What only the original has goes along, and none of it must show that a move was applied before.
MOVES = (
    "UPDATE {t} SET id = 1105 WHERE id = 105",
    "UPDATE {t} SET id = 1106 WHERE id = 106; INSERT INTO {t} (id, a) VALUES (106, 1)",
    "UPDATE {t} SET id = 1108 WHERE id = 108; UPDATE {t} SET id = 108 WHERE id = 107",
    "UPDATE {t} SET id = -1 WHERE id = 109; UPDATE {t} SET id = 109 WHERE id = 110; UPDATE {t} SET id = 110 WHERE id = -1",
    "UPDATE {t} SET id = 1200 WHERE id = 200",
    "UPDATE {t} SET id = 1201 WHERE id = 1200",
    "UPDATE {t} SET id = 1200 WHERE id = 202",
    "DELETE FROM {t} WHERE id = 203",
    "INSERT INTO {t} (id, a) VALUES (203, 2)",
)


@pytest.mark.main_major
@pytest.mark.parametrize("again", [False, True], ids=["once", "twice"])
def test_crash_while_commits_are_held_back(own_server, again):
    """For a verification, which sees later ones: those are applied, and not once more when the job goes on before them."""
    database = prepared(own_server)
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER id TYPE bigint, DROP COLUMN b", "--no-verify", window=None,
                             kill="verify-aligned")
    job.wait_phase("reverse")
    absent_standby(own_server)
    before = HangingCommit(database, "UPDATE {t} SET a = 77 WHERE id = 1", "before")
    before.wait_until_it_hangs()
    wait_until(lambda: database.value("SELECT a FROM t_pgrecast_old WHERE id = 1") == 77, "it to be applied")
    verify = pgrecast.Running(database, ["verify", "t"])
    wait_until(lambda: database.superuser("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgrecast snapshot'"),
               "a snapshot to be tried")  # again and again, until it sees that commit; nothing is applied meanwhile
    held = HangingCommit(database, "UPDATE {t} SET a = 78 WHERE id = 2; DELETE FROM {t} WHERE id = 3", "held")
    held.wait_until_it_hangs()
    for sql in MOVES:
        database.execute(f"BEGIN; {sql.format(t='t')}; {sql.format(t='m')}; COMMIT")
    before.let_go()
    job.wait_killed()
    verify.kill()
    assert database.value("SELECT a FROM t_pgrecast_old WHERE id = 203") == 2  # applied …
    assert database.value("SELECT a FROM t_pgrecast_old WHERE id = 2") != 78  # … and that is not
    if again:  # the commit is still not visible
        job = pgrecast.start_resume(database, "t")
        wait_until(lambda: database.value("SELECT a FROM t_pgrecast_old WHERE id = 2") == 78, "it to be applied")
        job.kill()
    own_server.configure(synchronous_standby_names="")
    held.join()
    job = pgrecast.start_resume(database, "t")
    assert_follows(database, "t_pgrecast_old", "m")
    outcome = pgrecast.call(database, "verify", "t")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.value("SELECT count(*) FROM pgrecast.position WHERE beyond_lsn IS NOT NULL") == 0
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert not oracle.compare(database, "t", "m")
    assert pgrecast.call(database, "finish", "t").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


def test_never_becomes_the_synchronous_standby(own_server):
    """synchronous_standby_names = '*' matches every walsender: the tool refuses, or acknowledges so that nothing waits."""
    database = prepared(own_server)
    absent_standby(own_server, "*")
    job = pgrecast.start_run(database, ALTER, hold="ready")
    wait_until(lambda: job.poll() is not None or pgrecast.job_phase(database) == "ready", "the job to be in sync or refused")
    if job.poll() is None:
        assert not database.superuser("SELECT 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')")
        job.release()
    outcome = job.wait()
    own_server.configure(synchronous_standby_names="")
    if outcome.status == pgrecast.REFUSED:
        assert "synchronous_standby_names" in outcome.stderr, str(outcome)
    else:
        assert outcome.status == pgrecast.DONE, str(outcome)
    assert not oracle.compare(database, "t", "m")
    assert_clean(database)


@pytest.mark.main_major
@pytest.mark.parametrize("keep", [(), ("--keep-original",)], ids=["dropped", "kept"])
def test_connection_lost_at_the_commit_of_the_cutover(database, keep):
    """The answer to the commit is lost: it is committed all the same."""
    database.execute(TABLE)
    with LostAnswer(database) as proxy:
        outcome = pgrecast.run(database, ALTER, *keep, environment=proxy.arm().environment)
    assert proxy.lost.is_set()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert "the server says that it is committed" in outcome.stderr, str(outcome)
    kind = database.value("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 't'::regclass"
                          " AND attname = 'id'")
    assert kind == "bigint"
    assert (database.value("SELECT to_regclass('t_pgrecast_old')") is not None) == bool(keep)


@pytest.mark.main_major
def test_no_standby_is_waited_for_under_the_lock(own_server):
    """The swap is committed without the absent standby; its answer is given once the standby has it."""
    database = own_server.new_database()
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, hold="cutover")
    job.wait_phase("cutover")
    absent_standby(own_server)
    database.superuser("SET synchronous_commit = local; " + pgrecast.RELEASE)
    wait_until(lambda: "has not confirmed it yet" in job.errors_so_far(), "the wait for the standby to be named")
    wait_until(lambda: [wait["kind"] for wait in pgrecast.the_job(database)["waits"]] == ["standby"], "status to name it")
    assert job.poll() is None
    kind = database.superuser("SET lock_timeout = '200ms'; SELECT pg_typeof(id)::text FROM t LIMIT 1")
    assert kind == [("bigint",)]
    own_server.configure(synchronous_standby_names="")
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert "the synchronous standbys have confirmed the swap" in outcome.stderr, str(outcome)
