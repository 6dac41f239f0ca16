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


@pytest.mark.majors({15, 18})
def test_gives_way(own_server):
    """One of the table and one of a table that refers to it, which would take minutes."""
    database = own_server.new_database()
    load = Load(database, rows=20000).prepare()
    database.execute(f"ALTER TABLE items SET ({SLOW});"
                     f" CREATE TABLE notes (item integer REFERENCES items, note text) WITH ({SLOW}); CREATE INDEX ON notes (item);"
                     " INSERT INTO notes SELECT NULL, repeat('x', 1000) FROM generate_series(1, 3000)")
    database.execute("UPDATE notes SET note = note || 'y'")
    items, notes = (database.value("SELECT %s::regclass::oid", name) for name in TABLES)
    with load:
        job = pgrecast.start_run(database, load.workload.alter, hold="ready")
        job.wait_phase("ready")
        wait_until(lambda: at_work(database) == set(TABLES), "autovacuums of both tables", 60)
        logged = own_server.log_size()
        job.release()
        outcome = job.wait()
        load.wait_for(50)
    # The server logs who has waited for a second.
    waits = re.findall(r"\] (pgrecast \w+) .* still waiting for (\w+) on relation (\d+)", own_server.log_since(logged))
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert "autovacuum of public.notes has to give way" in outcome.stderr, str(outcome)
    assert ("pgrecast cutover", "ShareUpdateExclusiveLock", str(notes)) in waits
    assert not [wait for wait in waits if wait[0] == "pgrecast apply" and wait[2] in (str(items), str(notes))]
    assert "foreign keys validated: 1" in outcome.stderr
    assert load.result.failed == {} and not load.result.broken
    assert not oracle.compare(database, "items", "items_mirror", load.workload.transformation)
