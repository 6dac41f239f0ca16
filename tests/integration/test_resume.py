"""A job goes on after any stop: the program killed at any point, connections lost, the server crashed, a signal. What
cannot go on says so, and abort removes it."""

import contextlib
import pathlib
import shutil
import signal
import threading
import time

import pytest

import pgrecast
from campaign import KILLS_ONLY, Campaign
from conftest import rotate, spread
from pgrecast import DONE, FAILED, POINTS_BACK, POINTS_BEFORE_SWAP, POINTS_END, POINTS_FORWARD
from rewrite import JOB, Rewrite
from servers import Server, drop_slot, wait_until
from tables import assert_aborts, assert_resumable

PHASES = ("copy", "index", "catchup", "verify", "ready", "cutover")
SMALL_CHUNKS = ["--chunk-size=64kB"]


def assert_stopped(rewrite):
    """The program is dead, the application goes on, and status knows what there is."""
    rewrite.wait_traffic(10)
    rewrite.assert_serves()
    if rewrite.phase in pgrecast.ENDED:
        rewrite.assert_named()
    elif rewrite.phase is not None:
        assert_resumable(rewrite.database, JOB)


def to_the_point(rewrite, point):
    """Have the program killed there, from wherever the job stands."""
    if point in POINTS_FORWARD:
        rewrite.go_on(kill=point).wait_killed()
    elif point in POINTS_BACK:
        if rewrite.phase == "rolled_back":
            rewrite.resume(kill=point)
        else:
            rewrite.instance = pgrecast.Running(rewrite.database, ["rollback", JOB], kill=point)
            if point == "rolled-back" and rewrite.instance.wait().status == DONE:
                rewrite.resume(kill=point)  # it is passed when the job is followed on
        rewrite.instance.wait_killed()
    else:
        rewrite.instance = pgrecast.Running(rewrite.database, ["finish", JOB], kill=point)
        rewrite.instance.wait_killed()


def roll_back(rewrite):
    """The request of a command that was killed may be carried out before another comes."""
    outcome = pgrecast.call(rewrite.database, "rollback", JOB)
    assert outcome.status == DONE or rewrite.phase == "rolled_back", str(outcome)


def test_asked_while_an_instance_begins(database):
    """It forgets what was asked of the one before it, but not what is asked of itself."""
    rewrite = Rewrite(database, arguments=["--cutover=hold"])
    with rewrite.load:
        rewrite.go_on().wait_phase("ready")
        rewrite.kill()
        # In the midst of taking the job over, before the job's row is locked.
        database.superuser("""
            CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
                'BEGIN PERFORM pg_catalog.pg_advisory_xact_lock_shared(4711); RETURN NULL; END';
            CREATE TRIGGER wait BEFORE UPDATE OF instance ON pgrecast.job FOR EACH STATEMENT EXECUTE FUNCTION wait()""")
        with contextlib.closing(database.connect("postgres")) as conn:
            conn.cursor().execute("SELECT pg_advisory_lock(4711)")
            rewrite.go_on()
            wait_until(lambda: database.superuser("SELECT 1 FROM pg_locks WHERE objid = 4711 AND NOT granted"), "the instance")
            request = pgrecast.Running(database, ["cutover", JOB])
            wait_until(lambda: request.poll() is not None or asks(database), "the request")
        assert request.wait().status == DONE
        rewrite.instance.wait_phase("reverse")
        database.superuser("DROP FUNCTION wait CASCADE")
        assert pgrecast.call(database, "finish", JOB).status == DONE
    rewrite.assert_over()


def asks(database):
    """A command looks, in vain, whether an instance will read what it asks for."""
    return database.superuser("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
                              " AND application_name = 'pgrecast control' AND query LIKE '%pg_locks%'")


# Killed at a point of the program's own choice

@pytest.mark.timeout(600)
def test_killed_at_every_point(database):
    """One job, killed at all of them one after another, there and back and there again."""
    rewrite = Rewrite(database, rows=5000, arguments=SMALL_CHUNKS)
    with rewrite.load:
        for point in POINTS_FORWARD:
            to_the_point(rewrite, point)
            assert_stopped(rewrite)
        rewrite.resume().wait_phase("reverse")
        rewrite.assert_follows()
        rewrite.kill()
        for point in POINTS_BACK:
            to_the_point(rewrite, point)
            assert_stopped(rewrite)
        rewrite.resume().wait_phase("rolled_back")
        rewrite.assert_follows()
        rewrite.kill()
        for point in ("cutover-locked", "cutover-swapped", "cutover-committed"):
            rewrite.resume(kill=point)
            wait_until(lambda: rewrite.instance.poll() is not None or rewrite.status["running"], "the instance to be there")
            pgrecast.call(database, "cutover", JOB)  # the one before it may still be asked for
            rewrite.instance.wait_killed()
            assert_stopped(rewrite)
        rewrite.resume().wait_phase("reverse")
        rewrite.assert_follows()
        rewrite.kill()
        for point in POINTS_END:
            to_the_point(rewrite, point)
            assert_stopped(rewrite)
        rewrite.command("finish")
    rewrite.assert_over()


@pytest.mark.parametrize("major, point", rotate([*POINTS_FORWARD, *POINTS_BACK, *POINTS_END]))
def test_killed_once(database, point):
    """Killed there and nowhere else, resumed by another process, to the end."""
    rewrite = Rewrite(database, "composite_key", rows=10000, arguments=SMALL_CHUNKS)
    with rewrite.load:
        if point not in POINTS_FORWARD:
            rewrite.to_reverse().kill()
        to_the_point(rewrite, point)
        assert_stopped(rewrite)
        if point in POINTS_FORWARD:
            rewrite.resume().wait_phase("reverse")
        elif point in POINTS_BACK:
            roll_back(rewrite)
            rewrite.resume().wait_phase("rolled_back")
        if point not in POINTS_END:
            rewrite.assert_follows()
    rewrite.finish()
    if point in POINTS_BACK:
        rewrite.assert_over_with_original()
    else:
        rewrite.assert_over()


@pytest.mark.parametrize("major, case", rotate([(point, spool) for spool in ("spool", "no_spool") for point in POINTS_BEFORE_SWAP]))
def test_killed_and_aborted(database, case):
    """Abort removes everything at any point before the swap; also without the spool, on another host."""
    point, spool = case
    rewrite = Rewrite(database, rows=1000)
    with rewrite.load:
        to_the_point(rewrite, point)
        assert_stopped(rewrite)
        if spool == "no_spool":
            shutil.rmtree(rewrite.spool)
        assert_aborts(database, JOB)
    rewrite.assert_over_with_original()
    assert spool == "no_spool" or not list(pathlib.Path(rewrite.spool).iterdir())
    again = pgrecast.run(database, rewrite.workload.alter)  # and it can be started again
    assert again.status == DONE, str(again)


# Killed at random

@pytest.mark.timeout(600)
def test_killed_at_random(database, major):
    Campaign(database, seed=major, accidents=12, kinds=KILLS_ONLY).run()


@pytest.mark.timeout(600)
@pytest.mark.main_major
def test_accidents_at_random(database):
    Campaign(database, seed=7, accidents=12, kinds={"terminate": 3, "interrupt": 2, "crash": 1}).run()


# The server crashes

def paced(database, rows=3000):
    """A rewrite that can be met in the act. Its load is a light one: each change of it takes time as well."""
    return Rewrite(database, "workloads:Paced", rows=rows, rate=20)


def to_phase(rewrite, phase):
    """A job under way in the phase: in the midst of it where it takes its time, at its entry where it is short."""
    if phase == "copy":
        rewrite.pace(0.002)
        rewrite.run().wait_phase("copy")
        rewrite.wait_copied(2)
    elif phase == "ready":
        rewrite.run("--cutover=hold").wait_phase("ready")
    elif phase in ("reverse", "rolled_back"):
        rewrite.to_reverse()
        if phase == "rolled_back":
            rewrite.roll_back()
    else:
        rewrite.run(hold=phase).wait_phase(phase)
        if phase == "verify":
            rewrite.pace(0.001)
            rewrite.instance.release()
            rewrite.wait_for("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgrecast verify'"
                             " AND datname = current_database()", "the verification to begin")
    return rewrite


def to_the_end(rewrite, phase, resumed=False):
    """From that phase, when nothing is in the way any more."""
    rewrite.pace(0)
    if not resumed:
        rewrite.instance.release()
    rewrite.wait_running()
    if phase == "rolled_back":
        rewrite.wait_traffic()
        rewrite.assert_follows()
        rewrite.roll_forward()
    elif phase == "ready":
        rewrite.instance.wait_phase("ready")
        rewrite.command("cutover")
    rewrite.instance.wait_phase("reverse")
    rewrite.wait_traffic()
    rewrite.assert_follows()


@pytest.mark.parametrize("major, phase", spread([*PHASES, "reverse", "rolled_back"]))
def test_server_crashes_under_the_job(database, phase):
    """The program rides it out."""
    rewrite = paced(database)
    rewrite.disconnected = True
    with rewrite.load:
        to_phase(rewrite, phase)
        database.crash()
        rewrite.load.wait_for(20)
        assert rewrite.instance.poll() is None, str(rewrite.instance.outcome())
        to_the_end(rewrite, phase)
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.parametrize("major, phase", rotate([*PHASES, "reverse", "rolled_back"]))
def test_server_crashes_under_a_stopped_job(database, phase):
    rewrite = paced(database)
    rewrite.disconnected = True
    with rewrite.load:
        to_phase(rewrite, phase).kill()
        rewrite.load.wait_for(20)
        database.crash()
        rewrite.load.wait_for(20)
        rewrite.resume()
        to_the_end(rewrite, phase, resumed=True)
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
@pytest.mark.parametrize("timeout", ["0", "2s"])
@pytest.mark.parametrize("phase", ["copy", "reverse"])
def test_server_stays_away(database, server, phase, timeout):
    """Nobody waits forever: exit status 1, and the job can be resumed."""
    rewrite = paced(database)
    to_phase(rewrite, phase).kill()
    rewrite.resume(f"--reconnect-timeout={timeout}")
    if phase == "copy":
        copied = database.value("SELECT count(*) FROM pgrecast.chunk")
        rewrite.wait_copied(copied + 1)
    else:
        rewrite.wait_for("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgrecast stream'"
                         " AND datname = current_database()", "the job to be followed")
    server.stop("immediate")
    outcome = rewrite.instance.wait(60)
    server.start()
    assert outcome.status == FAILED, str(outcome)
    assert f"pgrecast resume {JOB}" in outcome.stderr, str(outcome)
    rewrite.resume()
    to_the_end(rewrite, phase, resumed=True)
    rewrite.finish()
    rewrite.assert_serves()
    rewrite.assert_gone()


# Connections are lost

LOST = [(phase, session) for phase, sessions in {
    "copy": ("control", "stream", "copy"),
    "verify": ("control", "stream", "apply", "verify", "snapshot"),
    "ready": ("control", "stream", "apply"),
    "reverse": ("control", "stream", "apply"),
    "rolled_back": ("control", "stream", "apply"),
}.items() for session in sessions]


@pytest.mark.parametrize("major, case", rotate(LOST))
def test_session_ended(database, case):
    """Whichever it is, the program opens another and goes on."""
    phase, session = case
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, phase)
        wait_until(lambda: database.terminate(f"pgrecast {session}"), f"session {session} to be there")
        rewrite.load.wait_for(20)
        to_the_end(rewrite, phase)
    rewrite.finish()
    rewrite.assert_over()


def test_all_sessions_ended(database):
    """Again and again."""
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, "copy")
        for _ in range(5):
            database.superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                               " WHERE datname = current_database() AND application_name LIKE 'pgrecast%'")
            time.sleep(0.3)
        to_the_end(rewrite, "copy")
    rewrite.finish()
    rewrite.assert_over()


class CommitThatHangs:
    """While it lasts, commits hang for a standby that is not there; the program's swap is to be one of them."""

    def __init__(self, server, database):
        self.server, self.database = server, database

    def __enter__(self):
        self.server.configure(synchronous_standby_names="nobody_is_here")
        return self

    def __exit__(self, *exc_info):
        self.server.configure(synchronous_standby_names="")

    def wait(self):
        hanging = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pgrecast apply' AND wait_event = 'SyncRep'"
        wait_until(lambda: self.database.superuser(hanging), "the commit to hang")
        return self.database.superuser(hanging)[0][0]


@pytest.fixture
def lonely(major):
    """A server of the test's own, and a database in which nothing but the swap waits for the standby."""
    with Server(major) as server:
        database = server.new_database()
        yield server, database


@pytest.mark.parametrize("major, case", rotate([(swap, end) for swap in ("cutover", "rollback") for end in ("session", "program")]))
def test_lost_at_the_commit_of_the_swap(lonely, case):
    """The swap is committed and nobody was told: the job finds out, and goes on from there."""
    swap, end = case
    server, database = lonely
    rewrite = Rewrite(database, rows=1000)
    if swap == "cutover":
        rewrite.run(hold="cutover").wait_phase("cutover")
    else:
        rewrite.to_reverse()
    request = None
    with CommitThatHangs(server, database) as hanging:
        if swap == "cutover":
            database.superuser("SET synchronous_commit = local; UPDATE pgrecast.job SET released = true")
        else:
            request = threading.Thread(target=pgrecast.call, args=(database, "rollback", JOB), daemon=True)
            request.start()
        pid = hanging.wait()
        if end == "program":
            rewrite.kill()
        database.superuser("SELECT pg_terminate_backend(%s)", pid)
        wait_until(lambda: not database.superuser("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid), "the session to end")
    if end == "program":
        if request:
            request.join(60)
        rewrite.resume()
    wanted = "reverse" if swap == "cutover" else "rolled_back"
    rewrite.instance.wait_phase(wanted)
    if request:
        request.join(60)
        assert not request.is_alive()
    database.execute("UPDATE items SET n = 5 WHERE id < 100; UPDATE items_mirror SET n = 5 WHERE id < 100")
    rewrite.assert_serves()
    rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_serves()
    rewrite.assert_gone()


# Signals

@pytest.mark.parametrize("major, case", rotate([(phase, how) for phase in ("copy", "ready", "reverse", "rolled_back")
                                                for how in ("INT", "TERM")]))
def test_signal(database, case):
    """It stops in order: exit status 1, and it says how to go on."""
    phase, how = case
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, phase)
        outcome = rewrite.instance.kill(getattr(signal, f"SIG{how}")).wait(30)
        assert outcome.status == FAILED, str(outcome)
        assert f"pgrecast resume {JOB}" in outcome.stderr, str(outcome)
        assert rewrite.phase == phase
        assert_stopped(rewrite)
        rewrite.resume()
        to_the_end(rewrite, phase, resumed=True)
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.parametrize("major, phase", spread(["copy", "reverse"]))
def test_second_signal(database, phase):
    """It stops at once; what there is can be resumed as after any end."""
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, phase)
        rewrite.instance.kill(signal.SIGINT)
        rewrite.instance.kill(signal.SIGINT)
        outcome = rewrite.instance.wait(10)
        assert outcome.status != DONE, str(outcome)
        assert_stopped(rewrite)
        rewrite.resume()
        to_the_end(rewrite, phase, resumed=True)
    rewrite.finish()
    rewrite.assert_over()


# One instance at a time, on this host or another

@pytest.mark.parametrize("major, phase", rotate(["copy", "ready", "reverse"]))
def test_second_instance(database, phase):
    """It is refused, and the first is not disturbed."""
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, phase)
        outcome = pgrecast.resume(database, JOB)
        assert outcome.status == FAILED, str(outcome)
        assert "running" in outcome.stderr, str(outcome)
        assert rewrite.status["error"] is None
        to_the_end(rewrite, phase)
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.parametrize("major, case", rotate([(phase, where) for phase in ("ready", "reverse", "rolled_back")
                                                for where in ("elsewhere", "deleted")]))
def test_resumed_without_the_spool(database, case):
    """In sync nothing is needed of what the spool held: the slot gives it again."""
    phase, where = case
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, phase)
        rewrite.load.wait_for(50)
        rewrite.kill()
        if where == "elsewhere":
            rewrite.resume("--spool-dir", pgrecast.new_spool(database))
        else:
            shutil.rmtree(database.value("SELECT spool_directory FROM pgrecast.job"))
            rewrite.resume()
        to_the_end(rewrite, phase, resumed=True)
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.parametrize("major, phase", spread(["copy", "index"]))
def test_resumed_too_early_without_the_spool(database, phase):
    """The slot has moved on past what only the spool has: said so, and the old place still works."""
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, phase)
        rewrite.load.wait_for(50)
        place = database.value("SELECT pg_current_wal_lsn()")
        rewrite.wait_for(f"SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND confirmed_flush_lsn > '{place}'",
                         "the slot to move on")
        rewrite.kill()
        outcome = pgrecast.resume(database, JOB, "--spool-dir", pgrecast.new_spool(database))
        assert outcome.status == FAILED, str(outcome)
        assert "spool" in outcome.stderr, str(outcome)
        assert_stopped(rewrite)
        rewrite.resume()
        to_the_end(rewrite, phase, resumed=True)
    rewrite.finish()
    rewrite.assert_over()


# What cannot go on

def refused(rewrite, *words):
    """Resume says why not, and abort removes what is left."""
    outcome = pgrecast.resume(rewrite.database, JOB)
    assert outcome.status == FAILED, str(outcome)
    for word in words:
        assert word in outcome.stderr, f"{word!r} is not in the error\n{outcome}"
    assert_aborts(rewrite.database, JOB)
    rewrite.assert_original()
    rewrite.assert_gone()


def lose_slot(server, database):
    """Write so much that the server gives up the slot of a job that nobody runs."""
    server.configure(max_slot_wal_keep_size="1MB", min_wal_size="32MB", max_wal_size="32MB")

    def lost():
        database.superuser("SELECT pg_switch_wal(); INSERT INTO wal SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
        server.execute("CHECKPOINT")
        return database.superuser("SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND wal_status = 'lost'")

    database.superuser("CREATE TABLE wal (x text)")
    wait_until(lost, "the slot to be lost")
    database.superuser("DROP TABLE wal")


@pytest.mark.parametrize("major, phase", rotate(["copy", "index", "ready"]))
def test_slot_dropped_meanwhile(server, database, phase):
    rewrite = to_phase(paced(database, 2000), phase).kill()
    for (slot,) in server.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", database.name):
        drop_slot(server, slot)
    refused(rewrite, "slot", "dropped")


def test_slot_lost_meanwhile(lonely):
    server, database = lonely
    rewrite = to_phase(paced(database, 2000), "index").kill()
    lose_slot(server, database)
    refused(rewrite, "slot", "max_slot_wal_keep_size")


@pytest.mark.parametrize("major, how", rotate(["dropped", "lost"]))
def test_slot_gone_in_reverse(lonely, how):
    """There is no way back any more: the new table serves on, status says why, and finish ends the job."""
    server, database = lonely
    rewrite = Rewrite(database, rows=2000).to_reverse().kill()
    if how == "lost":
        lose_slot(server, database)
    else:
        for (slot,) in server.execute("SELECT slot_name FROM pg_replication_slots"):
            drop_slot(server, slot)
    database.execute("UPDATE items SET n = 5 WHERE id < 100; UPDATE items_mirror SET n = 5 WHERE id < 100")
    outcome = pgrecast.resume(database, JOB)
    assert outcome.status == FAILED, str(outcome)
    assert "slot" in outcome.stderr and f"pgrecast finish {JOB}" in outcome.stderr, str(outcome)
    assert rewrite.phase == "reverse"
    assert not rewrite.status["rollback"]["possible"] and "slot" in rewrite.status["rollback"]["reason"]
    outcome = rewrite.command("rollback", status=pgrecast.NO_ROLLBACK)
    assert "slot" in outcome.stderr, str(outcome)
    rewrite.command("finish")
    rewrite.assert_serves()
    rewrite.assert_gone()


CHANGED = {
    "format": ("UPDATE pgrecast.job SET format = 99", "format"),
    "system": ("UPDATE pgrecast.job SET system_identifier = '1'", "system identifier"),
    "definition": ("ALTER TABLE items ADD COLUMN late integer", "definition"),
    "renamed": ("ALTER TABLE items RENAME TO elsewhere", "items"),
    "shadow": ("DROP TABLE items_pgrecast_new", "items_pgrecast_new"),
}


@pytest.mark.parametrize("major, case", rotate([(name, phase) for name in CHANGED for phase in ("index", "ready")]))
def test_changed_meanwhile(database, case):
    """Another format or server, another table: nothing is guessed."""
    change, word = CHANGED[case[0]]
    rewrite = to_phase(paced(database, 1000), case[1]).kill()
    database.execute(change)
    outcome = pgrecast.resume(database, JOB)
    assert outcome.status == FAILED, str(outcome)
    assert word in outcome.stderr, str(outcome)
    assert_aborts(database, JOB)
    rewrite.assert_gone()
    if case[0] == "renamed":
        database.execute("ALTER TABLE elsewhere RENAME TO items")
    if case[0] == "definition":
        rewrite.ignore = ("late",)
    rewrite.assert_serves()


@pytest.mark.main_major
def test_row_put_right(database):
    """A row that does not fit stops the job; it goes on when somebody has put it right."""
    rewrite = Rewrite(database, rows=2000)
    rewrite.run("--cutover=hold", hold="catchup").wait_phase("catchup")
    database.execute("ALTER TABLE items_pgrecast_new ADD CONSTRAINT odd CHECK (n <> 4711)")
    database.execute("UPDATE items SET n = 4711 WHERE id = 7; UPDATE items_mirror SET n = 4711 WHERE id = 7")
    rewrite.instance.release()
    outcome = rewrite.instance.wait()
    assert outcome.status == FAILED and "(7)" in outcome.stderr, str(outcome)
    assert assert_resumable(database, JOB)["error"]
    database.execute("ALTER TABLE items_pgrecast_new DROP CONSTRAINT odd")
    rewrite.resume().wait_phase("ready")
    assert rewrite.status["error"] is None
    rewrite.command("cutover")
    rewrite.instance.wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
def test_parity_put_right(database):
    """Exit status 4 leaves the job in sync; the row repaired, resume verifies again and cuts over."""
    rewrite = Rewrite(database, rows=2000)
    rewrite.run(hold="verify").wait_phase("verify")
    database.execute("UPDATE items_pgrecast_new SET note = 'damaged' WHERE id = 77")
    rewrite.instance.release()
    outcome = rewrite.instance.wait()
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    assert_resumable(database, JOB)
    outcome = pgrecast.resume(database, JOB)
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    database.execute("UPDATE items_pgrecast_new SET note = (SELECT note FROM items WHERE id = 77) WHERE id = 77")
    rewrite.resume().wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
def test_no_lock_and_later_one(database):
    """Exit status 5: the attempts are used up, the job is in sync and goes on when it is told to."""
    rewrite = Rewrite(database, rows=2000)
    with database.connect(autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT 1 FROM items LIMIT 1")
        outcome = rewrite.run("--cutover-attempts=2", "--lock-timeout=50ms").wait()
        assert outcome.status == pgrecast.NO_LOCK, str(outcome)
        assert_resumable(database, JOB)
        reader.commit()
    reader.close()
    rewrite.resume().wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
def test_nothing_to_resume(database):
    """No job, or one that has ended."""
    outcome = pgrecast.call(database, "resume", JOB)
    assert outcome.status == pgrecast.USAGE, str(outcome)
    rewrite = Rewrite(database, rows=500)
    assert rewrite.run(window="0").wait().status == DONE
    outcome = pgrecast.call(database, "resume", JOB)
    assert outcome.status == FAILED and "finished" in outcome.stderr, str(outcome)


# The state of a version that knew one table a job.
OLDER_STATE = """
ALTER TABLE pgrecast.job ADD source_oid oid NOT NULL DEFAULT 0, ADD fingerprint text NOT NULL DEFAULT '',
  ADD copied_filenode oid, ADD shadow_oid oid, ADD serving_fingerprint text;
DROP TABLE pgrecast.job_table;
ALTER TABLE pgrecast.position DROP COLUMN table_number, ADD PRIMARY KEY (job_id);
ALTER TABLE pgrecast.chunk DROP COLUMN table_number, ADD PRIMARY KEY (job_id, first_block);
ALTER TABLE pgrecast.blocked DROP COLUMN table_number, ADD PRIMARY KEY (job_id, key_values);
UPDATE pgrecast.job SET format = 2;
"""


@pytest.mark.main_major
def test_state_of_an_older_version(database):
    """Its records stay; its jobs that are not over stand against a new one."""
    rewrite = Rewrite(database, rows=500)
    assert rewrite.run("--job=first", window="0").wait().status == DONE
    database.execute(OLDER_STATE)
    database.execute("UPDATE pgrecast.job SET ended_at = NULL, phase = 'ready', swapped_at = NULL")
    outcome = pgrecast.run(database, "ALTER TABLE items ALTER n TYPE bigint")
    assert outcome.status == pgrecast.REFUSED and '"first"' in outcome.stderr, str(outcome)
    assert "pgrecast abort first" in outcome.stderr, str(outcome)
    outcome = pgrecast.call(database, "status")
    assert outcome.status == FAILED and "another version" in outcome.stderr, str(outcome)
    assert pgrecast.call(database, "abort", "first").status == DONE
    outcome = pgrecast.run(database, "ALTER TABLE items ALTER n TYPE bigint")
    assert outcome.status == DONE, str(outcome)
    jobs = {job["job"]: job for job in pgrecast.status(database)}
    assert jobs["first"]["tables"] == jobs["items"]["tables"] == ["public.items"]
    assert jobs["first"]["phase"] == "aborted" and jobs["items"]["phase"] == "finished"
    rewrite.assert_gone()
