"""An autovacuum that takes its time has to give way to the cutover, and nobody else waits for that."""

import re

import pytest

import oracle
import pgrecast
from load import Load
from servers import Server, wait_until

SLOW = ("autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100,"
        " autovacuum_vacuum_cost_limit = 1, autovacuum_analyze_threshold = 1000000000")
TABLES = ("items", "notes")


@pytest.fixture
def own_server(major):
    with Server(major, autovacuum_naptime="1s", autovacuum_max_workers=5, log_lock_waits="on") as server:
        yield server


def at_work(database):
    """Which of the tables an autovacuum is at work on, as a set."""
    return {name for name, in database.superuser("SELECT relid::regclass::text FROM pg_stat_progress_vacuum")} & set(TABLES)


def waits_for_a_second(log):
    """Of the program's sessions: (session, lock, relation), as the server logs them."""
    found = re.findall(r"\] (pgrecast \w+) .* still waiting for (\w+) on relation (\d+)", log)
    return [(session, lock, int(relation)) for session, lock, relation in found]


def await_at_work(database):
    wait_until(lambda: at_work(database) == set(TABLES), "autovacuums of both tables", 60)


@pytest.mark.majors({15, 18})
def test_gives_way(own_server):
    """One of the table and one of a table that refers to it, which would take minutes: to a cutover and to a rollback."""
    database = own_server.new_database()
    load = Load(database, rows=20000).prepare()
    database.execute(f"ALTER TABLE items SET ({SLOW});"
                     f" CREATE TABLE notes (item integer REFERENCES items, note text) WITH ({SLOW}); CREATE INDEX ON notes (item);"
                     " INSERT INTO notes SELECT NULL, repeat('x', 1000) FROM generate_series(1, 3000)")
    database.execute("UPDATE notes SET note = note || 'y'")
    tables = [database.value("SELECT %s::regclass::oid", name) for name in TABLES]
    logged = own_server.log_size()
    with load:
        job = pgrecast.start_run(database, load.workload.alter, window=None, hold="ready")
        job.wait_phase("ready")
        await_at_work(database)
        job.release()
        job.wait_phase("reverse")
        before = own_server.log_since(logged)
        logged = own_server.log_size()
        new = database.value("SELECT 'items'::regclass::oid")
        await_at_work(database)
        rollback = pgrecast.call(database, "rollback", "items")
        back = own_server.log_since(logged)
        finish = pgrecast.call(database, "finish", "items")
        outcome = job.wait()
        load.wait_for(50)
    assert [rollback.status, finish.status, outcome.status] == [pgrecast.DONE] * 3, f"{rollback}\n{finish}\n{outcome}"
    assert outcome.stderr.count("autovacuum of public.notes has to give way") >= 2, str(outcome)
    for log, active in ((before, tables[0]), (back, new)):
        waits = waits_for_a_second(log)
        assert ("pgrecast cutover", "ShareUpdateExclusiveLock", tables[1]) in waits
        # The inactive table may be waited for: nobody uses it, and an autovacuum can begin on it at any time.
        assert not [wait for wait in waits if wait[0] == "pgrecast apply" and wait[2] in (active, tables[1])]
    assert load.result.failed == {} and not load.result.broken
    assert not oracle.compare(database, "items", "items_mirror")
