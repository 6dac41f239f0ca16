"""No lock, or no parity: the job stays in sync and its program runs on; whoever asked hears why."""

import json

import pytest

import pgrecast
from pgrecast import DONE, NO_LOCK, NO_PARITY
from rewrite import NEW, OLD, Rewrite

HELD = "--cutover=hold"
HURRIED = ("--cutover-attempts=2", "--lock-timeout=50ms")


def damage(database, table, key=77):
    pgrecast.damage(database, f"UPDATE {table} SET note = 'damaged' WHERE id = {key}")


def repair(database, table, source, key=77):
    pgrecast.damage(database, f"UPDATE {table} SET note = (SELECT note FROM {source} WHERE id = {key}) WHERE id = {key}")


@pytest.mark.parametrize("wait", [True, False], ids=["waiting", "not waiting"])
def test_no_lock(database, wait):
    """The attempts are used up: exit 5 for whoever waits, and the request is in the status; changes are applied, and the next succeeds."""
    rewrite = Rewrite(database, rows=2000)
    with rewrite.load:
        rewrite.run(HELD, *HURRIED).wait_phase("ready")
        with database.connect(autocommit=False) as reader, reader.cursor() as cursor:
            cursor.execute("SELECT 1 FROM items LIMIT 1")
            if wait:
                refused = rewrite.command("cutover", "--wait", status=NO_LOCK)
                assert "no cutover within 2 attempts" in refused.stderr, str(refused)
                assert "stays in sync" in refused.stderr and "pgrecast cutover items" in refused.stderr, str(refused)
            else:
                rewrite.command("cutover")
                rewrite.wait_for("SELECT 1 FROM pgrecast.request WHERE outcome = 'failed' AND exit_status = 5", "the attempts to end")
                rewrite.instance.wait_phase("ready")
            reader.commit()
        reader.close()
        found = rewrite.status
        assert found["phase"] == "ready" and found["running"] and found["error"] is None, found
        assert found["failed_request"]["kind"] == "cutover" and "attempts" in found["failed_request"]["message"], found
        assert "request      cutover failed at " in rewrite.command("status").stdout
        applied = found["changes_applied"]
        rewrite.load.wait_for(50)
        rewrite.wait_for(f"SELECT 1 FROM pgrecast.progress WHERE changes_applied > {applied}", "changes to be applied")
        cut = rewrite.command("cutover", "--wait")
        assert "cut over: the new table is active; lock held" in cut.stdout, str(cut)
        assert cut.stdout.endswith("  rollback  possible until `finish`\n"
                                   "  next      to go back to the original: pgrecast rollback items\n"), str(cut)
        assert rewrite.phase == "reverse" and rewrite.status["failed_request"] is None
        rewrite.load.wait_for(20)
    rewrite.finish()
    rewrite.assert_over()


def test_no_lock_without_hold(database):
    """Nobody would ask again: the exit status says it, and the job is where resume continues."""
    rewrite = Rewrite(database, rows=1000)
    with database.connect(autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT 1 FROM items LIMIT 1")
        outcome = rewrite.run(*HURRIED).wait()
        reader.commit()
    reader.close()
    assert outcome.status == NO_LOCK and "pgrecast resume items" in outcome.stderr, str(outcome)
    assert "slot keeps the changes" in outcome.stderr, str(outcome)
    assert rewrite.phase == "ready" and not rewrite.status["running"]
    rewrite.resume().wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.parametrize("proven", [True, False], ids=["verified", "no-verify"])
def test_differences_while_ready(database, proven):
    """The program runs on, the cutover is refused until a verification passes, and the figures say how many differ."""
    rewrite = Rewrite(database, rows=2000)
    rewrite.run(HELD, *([] if proven else ["--no-verify"])).wait_phase("ready")
    for key in (77, 78, 79):
        damage(database, NEW, key)
    outcome = rewrite.command("verify", "--json", status=NO_PARITY)
    assert json.loads(outcome.stdout)["mismatches"] == 3, str(outcome)
    assert "3 keys differ" in outcome.stderr and "(77)" in outcome.stderr and "damaged" not in outcome.text, str(outcome)
    assert "pgrecast verify items" in outcome.stderr, str(outcome)
    found = rewrite.status
    assert found["running"] and found["phase"] == "ready" and found["verify"]["mismatches"] == 3, found
    assert ", 3 differ" in rewrite.command("status").stdout
    refused = rewrite.command("cutover", "--wait", status=NO_PARITY)
    assert "3 keys differ" in refused.stderr and "pgrecast verify items" in refused.stderr, str(refused)
    if not proven:  # which no other instance would find out by itself
        rewrite.kill()
        rewrite.resume().wait_phase("ready")
        rewrite.wait_running()
        refused = rewrite.command("cutover", "--wait", status=NO_PARITY)
        assert "3 keys that differ" in refused.stderr, str(refused)
    for key in (77, 78, 79):
        repair(database, NEW, "items", key)
    assert rewrite.command("verify").stdout.count(" 0 differ") == 1
    assert rewrite.status["verify"]["mismatches"] == 0
    rewrite.command("cutover", "--wait")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
@pytest.mark.parametrize("resumed", [False, True], ids=["asked", "resumed"])
def test_differences_in_the_window(database, resumed):
    """The same for the rollback; an instance that finds them by itself runs on too."""
    rewrite = Rewrite(database, rows=2000).to_reverse()
    damage(database, OLD)
    rewrite.command("verify", status=NO_PARITY)
    if resumed:
        rewrite.kill()
        rewrite.resume()
        rewrite.wait_running()
    refused = rewrite.command("rollback", status=NO_PARITY)
    assert "1 key differs" in refused.stderr and "pgrecast verify items" in refused.stderr, str(refused)
    assert rewrite.phase == "reverse" and rewrite.status["running"]
    repair(database, OLD, "items")
    rewrite.command("verify")
    rewrite.roll_back()
    rewrite.finish()
    rewrite.assert_original()
    rewrite.assert_gone()
