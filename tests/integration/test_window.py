"""A rollback window that ended while nobody could ask for a rollback: the original is not dropped for that alone."""

import os
import pty
import signal
import subprocess
import time

import pytest

import pgrecast
from pgrecast import DONE, REFUSED
from rewrite import OLD, Rewrite
from servers import wait_until

OVER = "SELECT 1 FROM pgrecast.job WHERE ends_at < clock_timestamp()"


def ends_at(database):
    return database.value("SELECT to_char(ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC' FROM pgrecast.job")


def missed(database):
    """The table of a load whose program was gone when the window ended."""
    rewrite = Rewrite(database, rows=1000)
    rewrite.run(window="2s").wait_phase("reverse")
    rewrite.kill()
    rewrite.wait_for(OVER, "the window to end")
    return rewrite


def assert_kept(rewrite):
    assert rewrite.phase == "reverse"
    assert rewrite.database.value(f"SELECT to_regclass('{OLD}')") == OLD


def test_resume_does_not_drop_the_original(database):
    """status says what is the case and offers the rollback first; resume names both commands, each of which works."""
    rewrite = missed(database)
    found = rewrite.status
    assert found["window_over"] and found["rollback"]["possible"] and not found["running"], found
    text = rewrite.command("status").stdout
    assert f"possible; the window ended at {ends_at(database)}, while no program ran: the original is kept" in text, text
    assert text.endswith("  next         to go back to the original: pgrecast rollback items\n"
                         "               or, to keep the new table and drop the original: pgrecast finish items\n"), text
    for _ in range(2):
        outcome = pgrecast.resume(database, "items")
        assert outcome.status == REFUSED, str(outcome)
        assert f"the rollback window of job \"items\" ended at {ends_at(database)}, while no program ran it" in outcome.stderr
        assert ("Go back with: pgrecast rollback items; or drop the original with: pgrecast resume --finish-now items"
                in outcome.stderr), str(outcome)
        assert_kept(rewrite)
        assert rewrite.status["error"] is None
    database.execute("UPDATE items SET note = 'late' WHERE id = 5; UPDATE items_mirror SET note = 'late' WHERE id = 5")
    rewrite.roll_back()
    rewrite.finish()
    rewrite.assert_original()
    rewrite.assert_gone()


@pytest.mark.main_major
def test_finish_now(database):
    rewrite = missed(database)
    outcome = rewrite.resume("--finish-now").wait()
    assert outcome.status == DONE, str(outcome)
    assert rewrite.phase == "finished"
    rewrite.assert_serves()
    rewrite.assert_gone()


@pytest.mark.main_major
@pytest.mark.parametrize("answer, status", [("drop", DONE), ("no", REFUSED), ("", REFUSED)])
def test_a_person_is_asked(database, answer, status):
    rewrite = missed(database)
    ours, theirs = pty.openpty()
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("PG")},
                   **database.environment(pgrecast.APP_ROLE), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
    program = subprocess.Popen([pgrecast.PROGRAM, "resume", "items"], stdin=theirs, stdout=subprocess.DEVNULL, stderr=theirs,
                               env=environment)
    os.close(theirs)
    shown = b""
    while b"to leave all as it is: " not in shown:
        shown += os.read(ours, 1000)
    assert b"would drop the original" in shown and b"pgrecast rollback items" in shown, shown
    os.write(ours, answer.encode() + b"\n")
    try:  # what it prints must not be in its way
        while os.read(ours, 1000):
            pass
    except OSError:
        pass
    assert program.wait(60) == status
    os.close(ours)
    if status == DONE:
        assert rewrite.phase == "finished"
        rewrite.assert_serves()
        rewrite.assert_gone()
    else:
        assert_kept(rewrite)


@pytest.mark.main_major
def test_after_a_rollback(database):
    """The window of the new table: what would be dropped is that one."""
    rewrite = Rewrite(database, rows=1000)
    rewrite.run(window="4s").wait_phase("reverse")
    rewrite.roll_back()
    rewrite.kill()
    rewrite.wait_for(OVER, "the window to end")
    outcome = pgrecast.resume(database, "items")
    assert outcome.status == REFUSED and "would drop the new table" in outcome.stderr, str(outcome)
    assert "pgrecast finish --keep-original items" in outcome.stderr, str(outcome)
    assert rewrite.phase == "rolled_back"
    rewrite.command("finish", "--keep-original")
    assert database.value("SELECT to_regclass('items_pgrecast_new')") == "items_pgrecast_new"


def assert_still_there(rewrite, why):
    """The program runs on, and the rollback is what it was."""
    wait_until(lambda: why in rewrite.instance.errors_so_far(), "the program to see that the window is over")
    rewrite.wait_running()
    assert rewrite.instance.poll() is None
    assert_kept(rewrite)
    assert "possible; the window ended at " in rewrite.command("status").stdout
    rewrite.wait_traffic()
    rewrite.roll_back()


@pytest.mark.main_major
def test_the_machine_stood_still(database):
    """The program is there again after the end: nobody could ask meanwhile."""
    rewrite = Rewrite(database, rows=1000)
    with rewrite.load:
        rewrite.run(window="6s").wait_phase("reverse")
        began = time.monotonic()
        rewrite.instance.process.send_signal(signal.SIGSTOP)
        rewrite.wait_for(OVER, "the window to end")
        wait_until(lambda: time.monotonic() - began > 12, "a long time to pass")
        rewrite.instance.process.send_signal(signal.SIGCONT)
        assert_still_there(rewrite, "or its machine, stood still")
    rewrite.finish()
    rewrite.assert_original()


@pytest.mark.main_major
def test_the_server_was_away(database, server):
    rewrite = Rewrite(database, rows=1000)
    rewrite.run(window="6s").wait_phase("reverse")
    ends = float(database.value("SELECT extract(epoch FROM ends_at) FROM pgrecast.job"))
    server.stop("immediate")
    wait_until(lambda: time.time() > ends, "the window to end")
    server.start()
    assert_still_there(rewrite, "while the server was away")
    rewrite.finish()
    rewrite.assert_original()
