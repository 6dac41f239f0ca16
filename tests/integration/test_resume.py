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
from lost_answer import LostAnswer
from pgrecast import DONE, FAILED, POINTS_BACK, POINTS_BEFORE_SWAP, POINTS_END, POINTS_FORWARD
from rewrite import JOB, Rewrite
from servers import drop_slot, lose_slot, wait_until
from tables import assert_aborts, assert_resumable

PHASES = ("copy", "index", "catchup", "verify", "ready", "cutover")
JOB_LOCK_CLASS = 1885827683  # include/state/job.h
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
        # In the midst of taking the job over: it waits for the job's row.
        with contextlib.closing(database.connect("postgres", autocommit=False)) as conn:
            conn.cursor().execute("SELECT FROM pgrecast.job FOR UPDATE")
            rewrite.go_on()
            wait_until(lambda: database.superuser("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                                  " AND query LIKE '%SET instance = instance + 1%'"), "the instance")
            request = pgrecast.Running(database, ["cutover", JOB])
            wait_until(lambda: request.poll() is not None or asks(database), "the request")
        assert request.wait().status == DONE
        rewrite.instance.wait_phase("reverse")
        assert pgrecast.call(database, "finish", JOB).status == DONE
    rewrite.assert_over()


@pytest.mark.main_major
def test_session_of_the_last_instance_lives_a_moment_longer(database):
    """Its program has ended, the server has not noticed yet: a resume waits for the job's lock, and goes on."""
    rewrite = Rewrite(database, rows=500, arguments=["--cutover=hold"])
    with rewrite.load:
        rewrite.go_on().wait_phase("ready")
        rewrite.kill()
        job_id = database.superuser("SELECT id FROM pgrecast.job")[0][0]
        with contextlib.closing(database.connect("postgres")) as conn:
            conn.cursor().execute(f"SELECT pg_advisory_lock({JOB_LOCK_CLASS}, {job_id})")
            rewrite.go_on()
            wait_until(lambda: rewrite.instance.poll() is not None or database.superuser(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'"
                " AND application_name = 'pgrecast control' AND query LIKE '%pg_try_advisory_lock%'"), "the instance to try")
        rewrite.instance.wait_phase("ready")
        assert pgrecast.call(database, "cutover", JOB).status == DONE
        rewrite.instance.wait_phase("reverse")
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


@pytest.mark.parametrize("major, case", rotate([(swap, end) for swap in ("cutover", "rollback") for end in ("session", "program")]))
def test_lost_at_the_commit_of_the_swap(database, case):
    """The swap is committed, and nobody learns it: the program finds out, and continues from there."""
    swap, end = case
    rewrite = Rewrite(database, rows=1000)
    request = None
    with LostAnswer(database, rewrite.kill if end == "program" else None) as proxy:
        if swap == "cutover":
            proxy.arm()
            rewrite.run(environment=proxy.environment)
        else:
            rewrite.to_reverse(environment=proxy.environment)
            proxy.arm()
            request = threading.Thread(target=pgrecast.call, args=(database, "rollback", JOB), daemon=True)
            request.start()
        assert proxy.lost.wait(60)
        if end == "program":
            if request:
                request.join(60)
            rewrite.resume()
        wanted = "reverse" if swap == "cutover" else "rolled_back"
        rewrite.instance.wait_phase(wanted)
        if request:
            request.join(60)
            assert not request.is_alive()
        if end == "session":
            wait_until(lambda: "the server says that it is committed" in rewrite.instance.errors_so_far(), "it to be said")
        database.execute("UPDATE items SET n = 5 WHERE id < 100; UPDATE items_mirror SET n = 5 WHERE id < 100")
        rewrite.assert_serves()
        rewrite.assert_follows()
        rewrite.finish()
    rewrite.assert_serves()
    rewrite.assert_gone()


# Signals

@pytest.mark.parametrize("major, case", rotate([(phase, how) for phase in ("copy", "ready", "reverse", "rolled_back")
                                                for how in ("INT", "TERM", "HUP")]))
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
def test_signal_delivered_twice(database, phase):
    """A service manager may signal the process and its group: within a second that is one request, and the stop is in order."""
    rewrite = paced(database)
    with rewrite.load:
        to_phase(rewrite, phase)
        rewrite.instance.kill(signal.SIGTERM)
        rewrite.instance.kill(signal.SIGTERM)
        outcome = rewrite.instance.wait(10)
        assert outcome.status == FAILED and "stopped at once" not in outcome.stderr, str(outcome)
        assert f"pgrecast resume {JOB}" in outcome.stderr, str(outcome)
        assert_stopped(rewrite)
        rewrite.resume()
        to_the_end(rewrite, phase, resumed=True)
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.parametrize("major, command", spread(["plan", "run"]))
def test_signal_while_planning(database, command):
    """It is reported as what it is, and nothing was created."""
    rewrite = Rewrite(database, rows=100)
    blocker = database.connect()
    blocker.cursor().execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE")  # the planning waits for it
    planning = pgrecast.Running(database, [command, "--sql", rewrite.workload.alter])
    wait_until(lambda: database.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                      " AND application_name LIKE 'pgrecast%%'"), "the planning to wait")
    outcome = planning.kill(signal.SIGTERM).wait(10)
    blocker.close()
    assert outcome.status == FAILED and "stopped on request" in outcome.stderr, str(outcome)
    assert "canceling statement" not in outcome.stderr, str(outcome)
    assert command == "plan" or "nothing was created" in outcome.stderr, str(outcome)
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0


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
            shutil.rmtree(database.value("SELECT spool_directory FROM pgrecast.stream"))
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
    """A rollback is no longer possible: the new table stays active, status says why, and finish ends the job."""
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
    "system": ("UPDATE pgrecast.stream SET system_identifier = '1'", "system identifier"),
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
    rewrite.assert_serves()


@pytest.mark.parametrize("major, phase", rotate(["index", "ready"]))
def test_definition_changed_while_stopped(database, phase):
    """The next instance finds it out and swaps nothing; once the definition is as it was the job continues."""
    rewrite = to_phase(paced(database, 1000), phase).kill()
    database.execute("ALTER TABLE items ADD COLUMN late integer")
    rewrite.resume()
    wait_until(lambda: rewrite.status["held"], "the job to be held", 30)
    assert "column late added" in rewrite.status["held"]["reason"]
    database.execute("ALTER TABLE items DROP COLUMN late")
    wait_until(lambda: rewrite.status["held"] is None, "the job to be released", 30)
    if phase == "ready":
        rewrite.command("cutover")
    rewrite.instance.wait_phase("reverse")
    rewrite.assert_serves()
    rewrite.finish()


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
    pgrecast.damage(database, "UPDATE items_pgrecast_new SET note = 'damaged' WHERE id = 77")
    rewrite.instance.release()
    outcome = rewrite.instance.wait()
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    assert_resumable(database, JOB)
    outcome = pgrecast.resume(database, JOB)
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    pgrecast.damage(database, "UPDATE items_pgrecast_new SET note = (SELECT note FROM items WHERE id = 77) WHERE id = 77")
    rewrite.resume().wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
def test_no_lock_and_later_one(database):
    """Exit status 5 of a run that cuts over by itself: the attempts are used up, and resume tries again."""
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
    """No job is an error, and one that has finished is not: there is nothing left to do."""
    outcome = pgrecast.call(database, "resume", JOB)
    assert outcome.status == pgrecast.USAGE, str(outcome)
    rewrite = Rewrite(database, rows=500)
    assert rewrite.run(window="0").wait().status == DONE
    outcome = pgrecast.call(database, "resume", JOB)
    assert outcome.status == DONE and "has finished before" in outcome.stdout, str(outcome)


# The state of a version before this one, with a job that it had begun: what it had made is there.
OLDER_STATE = pathlib.Path(__file__).with_name("state_format_3.sql").read_text()
OLDER_JOB = """
CREATE PUBLICATION pgrecast_first_0a0b0c0d FOR TABLE ONLY items;
CREATE TABLE items_pgrecast_new (LIKE items);
INSERT INTO pgrecast.job (format, name, phase, schema_name, table_name, sql, system_identifier, timeline, slot_name,
                          publication_name, host, pid, spool_directory)
VALUES (3, 'first', 'ready', 'public', 'items', 'ALTER TABLE items ALTER n TYPE bigint', '1', 1, 'pgrecast_first_0a0b0c0d',
        'pgrecast_first_0a0b0c0d', 'here', 1, '/nowhere/at/all'),
       (3, 'ended', 'finished', 'public', 'items', 'ALTER TABLE items ALTER n TYPE bigint', '1', 1, 'pgrecast_ended_0a0b0c0d',
        'pgrecast_ended_0a0b0c0d', 'here', 1, '/nowhere/at/all');
UPDATE pgrecast.job SET ended_at = clock_timestamp() WHERE name = 'ended';
INSERT INTO pgrecast.job_table (job_id, number, schema_name, table_name, source_oid, shadow_oid, fingerprint)
SELECT id, 1, 'public', 'items', 'items'::regclass, 'items_pgrecast_new'::regclass, 'x' FROM pgrecast.job;
INSERT INTO pgrecast.progress (job_id, rows_copied) SELECT id, 4711 FROM pgrecast.job;
INSERT INTO pgrecast.object (job_id, seq, kind, name, undo)
SELECT id, seq, kind, o.name, undo FROM pgrecast.job CROSS JOIN (VALUES
    (1, 'publication', 'pgrecast_first_0a0b0c0d', 'DROP TABLE items'),
    (2, 'slot', 'pgrecast_first_0a0b0c0d', ''),
    (3, 'spool', '/nowhere/at/all', '/nowhere/at/all'),
    (4, 'table', '"public"."items_pgrecast_new"', 'DROP TABLE items')) AS o (seq, kind, name, undo) WHERE job.name = 'first';
"""


@pytest.mark.main_major
def test_state_of_an_older_version(database):
    """Its records stay; its jobs that are not over stand against a new one. What it stored as SQL is not run."""
    rewrite = Rewrite(database, rows=500)
    database.execute(OLDER_STATE + OLDER_JOB)
    database.value("SELECT pg_create_logical_replication_slot('pgrecast_first_0a0b0c0d', 'pgoutput')")
    database.execute("CREATE TABLE other (id integer PRIMARY KEY, n integer)")
    outcome = pgrecast.run(database, "ALTER TABLE other ALTER n TYPE bigint")
    assert outcome.status == pgrecast.REFUSED and '"first"' in outcome.stderr, str(outcome)
    assert "pgrecast abort first" in outcome.stderr, str(outcome)
    for command in ("status", "resume first", "finish first", "rollback first", "verify first", "cutover first"):
        outcome = pgrecast.call(database, *command.split())
        assert outcome.status in (FAILED, pgrecast.NO_ROLLBACK), str(outcome)
        assert "another version" in outcome.stderr or "older version" in outcome.stderr, str(outcome)
    assert pgrecast.call(database, "abort", "first").status == DONE
    assert pgrecast.leftovers(database) == []
    outcome = pgrecast.run(database, "ALTER TABLE items ALTER n TYPE bigint")
    assert outcome.status == DONE, str(outcome)
    jobs = {job["job"]: job for job in pgrecast.status(database)}
    assert all(jobs[name]["tables"] == ["public.items"] for name in ("first", "ended", "items"))
    assert {name: job["phase"] for name, job in jobs.items()} == {"first": "aborted", "ended": "finished", "items": "finished"}
    assert jobs["ended"]["rows_copied"] == 4711
    rewrite.assert_gone()


@pytest.mark.main_major
@pytest.mark.parametrize("request_", ["verify", "cutover"])
def test_a_request_while_an_instance_begins(database, request_):
    """`resume &`, then a request: it is carried out, however slowly the instance begins after it has connected."""
    rewrite = Rewrite(database, rows=1000)
    rewrite.run("--cutover=hold").wait_phase("ready")
    rewrite.kill()
    rewrite.resume(pause="attach-begun").wait_paused()
    asked = pgrecast.Running(database, [request_, JOB])
    wait_until(lambda: asked.poll() is not None or asks(database), "the request")
    rewrite.instance.kill(signal.SIGCONT)
    outcome = asked.wait()
    assert outcome.status == DONE, str(outcome)
    if request_ == "verify":
        rewrite.command("cutover")
    rewrite.instance.wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()
