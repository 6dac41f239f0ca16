"""A copy of the database has the state of its jobs too: ending one there must not touch what the original needs."""

import pathlib

import pytest

import pgrecast
from pgrecast import DONE
from rewrite import NEW, OLD, Rewrite
from servers import wait_until

SESSIONS = "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender')"


def copy_of(database):
    """CREATE DATABASE … TEMPLATE; nobody may be connected to the original."""
    server = database.server
    server.close_idle_sessions()
    wait_until(lambda: not server.execute(SESSIONS, database.name), "the sessions to end")
    return server.new_database(template=database.name)


def spool_files(rewrite):
    return sorted(path.name for path in pathlib.Path(rewrite.spool).rglob("*") if path.is_file())


def slots(database):
    return database.superuser("SELECT slot_name FROM pg_replication_slots WHERE database = current_database()")


@pytest.mark.parametrize("phase", ["ready", "reverse"])
def test_an_end_in_the_copy(database, phase):
    """abort and finish there remove what the copy has, and name the spool that they leave; the original resumes with it."""
    rewrite = Rewrite(database, rows=2000)
    rewrite.run(*(["--cutover=hold"] if phase == "ready" else [])).wait_phase(phase)
    direction = "direction0" if phase == "ready" else "direction1"
    wait_until(lambda: list(pathlib.Path(rewrite.spool).glob(f"*/{direction}/*.spool")), "the spool to be there")
    rewrite.kill()
    files, slot = spool_files(rewrite), slots(database)
    assert files and slot
    copy = copy_of(database)
    assert not [o for o in pgrecast.the_job(copy)["objects"] if o["kind"] == "slot" and o["exists"]]
    refused = pgrecast.call(copy, "resume", "items")
    assert refused.status != DONE and "slot" in refused.stderr, str(refused)
    outcome = pgrecast.call(copy, "abort" if phase == "ready" else "finish", "items")
    assert outcome.status == DONE, str(outcome)
    assert rewrite.spool in outcome.stderr and "is left, as it may be another job's: it is of another database" in outcome.stderr
    assert spool_files(rewrite) == files and slots(database) == slot
    other = NEW if phase == "ready" else OLD
    assert copy.value(f"SELECT to_regclass('{other}')") is None
    assert database.value(f"SELECT to_regclass('{other}')") == other
    assert not copy.superuser("SELECT 1 FROM pg_publication")
    rewrite.resume()
    rewrite.wait_running()
    if phase == "ready":
        rewrite.instance.wait_phase("ready")
        rewrite.command("cutover", "--wait")
    rewrite.finish()
    rewrite.assert_over()
    assert spool_files(rewrite) == []


@pytest.mark.main_major
def test_an_oid_of_another_object(database):
    """Of a dump: there the oid of the ledger may be a publication or a table of the user's."""
    rewrite = Rewrite(database, rows=500)
    rewrite.run("--cutover=hold").wait_phase("ready")
    rewrite.kill()
    copy = copy_of(database)
    copy.superuser("CREATE PUBLICATION theirs FOR TABLE items")
    copy.superuser("UPDATE pgrecast.object SET oid = (SELECT oid FROM pg_publication WHERE pubname = 'theirs')"
                   " WHERE kind = 'publication'")
    copy.execute("CREATE TABLE valuable (id integer)")
    copy.superuser("UPDATE pgrecast.object SET oid = 'valuable'::regclass WHERE kind = 'table';"
                   "UPDATE pgrecast.job_table SET shadow_oid = 'valuable'::regclass")
    outcome = pgrecast.call(copy, "abort", "items")
    assert outcome.status == DONE, str(outcome)
    assert copy.value("SELECT to_regclass('valuable')") == "valuable"
    assert copy.superuser("SELECT 1 FROM pg_publication WHERE pubname = 'theirs'")
    assert f'table "public"."{NEW}" is left: it is not the one that the job made' in outcome.stderr, str(outcome)
    rewrite.command("abort")
    assert pgrecast.leftovers(database) == [] and spool_files(rewrite) == []


@pytest.mark.main_major
def test_a_slot_that_is_gone(database):
    """Nothing shows any more whose the spool is: it is left, with its path."""
    rewrite = Rewrite(database, rows=500)
    rewrite.run("--cutover=hold").wait_phase("ready")
    rewrite.kill()
    files = spool_files(rewrite)
    wait_until(lambda: not database.superuser("SELECT 1 FROM pg_replication_slots WHERE active"), "the slot to be free")
    database.superuser("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database()")
    outcome = rewrite.command("abort")
    assert "this database does not have its replication slot" in outcome.stderr and rewrite.spool in outcome.stderr, str(outcome)
    assert spool_files(rewrite) == files
