"""The harness itself: servers start and end, the load keeps its mirror, the oracle sees what differs."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

import catalogs
import hints
import oracle
import servers
from load import Load
from workloads import WORKLOADS

HERE = pathlib.Path(__file__).parent


def test_server_is_of_its_major(server):
    assert server.execute("SELECT current_setting('server_version_num')::int / 10000") == [(server.major,)]
    assert server.execute("SHOW wal_level") == [("logical",)]


@pytest.mark.parametrize("called, text, wrong", [
    (["status"], "hint: To continue, run: pgrecast resume a; to remove the job, run: pgrecast abort 'a; b'", None),
    (["status", "-d", "x y"], "hint: List the jobs with: pgrecast jobs --all -d 'x y'", None),
    (["status", "--json"], '      "command": "pgrecast resume -- \'-\\"\'",', None),
    (["status"], "see `pgrecast status a`, and pgrecast jobs, which lists all", None),
    (["status"], "next pgrecast resume --finish-then a", "no option"),
    (["status"], "next pgrecast resume", "no job in"),
    (["status"], "next pgrecast resume a b", "unexpected argument"),
    (["status"], "next pgrecast resume it's", "No closing quotation"),
    (["status", "-d", "x"], "next pgrecast resume a", "called with {'-d': 'x'}"),
    (["status"], "next pgrecast jobs which lists all", "unexpected argument"),
    (["status", "--host=h"], '{"time":"1","level":"info","message":"pgrecast resume -h i a"}', "called with {'-h': 'h'}"),
])
def test_hints_are_read_as_a_shell_does(called, text, wrong):
    if wrong is None:
        assert hints.commands(text)
        hints.check(called, text)
        return
    with pytest.raises((AssertionError, ValueError), match=re.escape(wrong)):
        hints.check(called, text)


def test_application_role_is_no_superuser(database):
    assert database.execute("SELECT rolsuper, rolreplication, rolcreaterole, rolbypassrls FROM pg_roles"
                            " WHERE rolname = current_user") == [(False, True, False, False)]
    database.execute("CREATE TABLE made (id int PRIMARY KEY)")
    database.execute("CREATE SCHEMA made")


def test_server_survives_a_crash(major):
    with servers.Server(major, fsync="on") as server:
        database = server.new_database()
        database.execute("CREATE TABLE kept AS SELECT 1 AS one")
        server.crash()
        server.start()
        assert database.value("SELECT one FROM kept") == 1


@pytest.mark.main_major
def test_server_dies_with_its_starter(major):
    """Not even a kill of the tests leaves a server running."""
    program = ("import sys, time; sys.path.insert(0, sys.argv[1]); import servers;"
               f"s = servers.Server({major}).start(); print(s.process.pid, s.socket_folder, flush=True); time.sleep(60)")
    starter = subprocess.Popen([sys.executable, "-c", program, str(HERE)], stdout=subprocess.PIPE, text=True)
    pid, folder = starter.stdout.readline().split()
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    servers.wait_until(lambda: not is_running(int(pid)), "the server to end")
    servers.TemporaryFolder.remove_abandoned()
    assert not os.path.exists(folder)


def is_running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("workload", WORKLOADS)
def test_load_keeps_its_mirror(database, workload):
    load = Load(database, workload, rows=500, rate=0).prepare()
    with load:
        load.wait_for(500)
    assert not load.result.broken
    assert load.result.failed == {}
    assert load.result.transactions > 500
    assert not oracle.compare(database, "items", "items_mirror")


@pytest.mark.main_major
def test_load_makes_every_kind_of_transaction(database):
    load = Load(database, rows=500, rate=0).prepare()
    with load:
        load.wait_for(3000)
    from load import WEIGHTS
    assert set(load.result.kinds) == set(WEIGHTS)


@pytest.mark.main_major
def test_load_survives_new_types(database):
    load = Load(database, rows=1000, rate=0).prepare()
    with load:
        load.wait_for(200)
        database.execute("ALTER TABLE items ALTER COLUMN id TYPE bigint, ALTER COLUMN n TYPE numeric(20,2),"
                         " ADD COLUMN added integer DEFAULT 5")
        load.wait_for(500)
    assert not load.result.broken
    assert load.result.failed == {}
    assert not oracle.compare(database, "items", "items_mirror", {"added": "5"})


@pytest.mark.main_major
def test_load_survives_a_crash_of_the_server(major):
    with servers.Server(major, fsync="on") as server:
        database = server.new_database()
        load = Load(database, rows=500, rate=0).prepare()
        with load:
            load.wait_for(300)
            server.crash()
            server.start()
            load.wait_for(300)
        assert not load.result.broken
        assert load.result.disconnected > 0
        assert not oracle.compare(database, "items", "items_mirror")


@pytest.mark.main_major
def test_paused_load_is_idle(database):
    load = Load(database, rows=500, rate=0).prepare()
    with load:
        load.wait_for(50)
        load.pause()
        assert database.superuser("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                                  " AND state LIKE '%transaction%'") == [(0,)]
        load.go_on()
        load.wait_for(50)


@pytest.mark.main_major
@pytest.mark.parametrize("damage, here, there", [
    ("UPDATE items SET note = 'damaged' WHERE id = 7", 1, 1),
    ("UPDATE items SET note = '' WHERE id = 7", 1, 1),  # was NULL
    ("DELETE FROM items WHERE id = 7", 0, 1),
    ("INSERT INTO items (id) VALUES (-1)", 1, 0),
    ("DELETE FROM items_mirror WHERE id < 3", 3, 0),
])
def test_oracle_sees_damage(database, damage, here, there):
    Load(database, rows=100).prepare()
    assert not oracle.compare(database, "items", "items_mirror")
    database.execute(damage)
    found = oracle.compare(database, "items", "items_mirror")
    assert found
    assert (found.only_in_table, found.only_in_mirror) == (here, there)
    assert found.examples


DESCRIBED = """
CREATE TABLE described (
    id serial PRIMARY KEY, a text COLLATE "C" DEFAULT 'x' NOT NULL, b int GENERATED ALWAYS AS IDENTITY, c int[],
    d numeric GENERATED ALWAYS AS (1) STORED, CONSTRAINT positive CHECK (id > 0)) WITH (fillfactor = 70);
CREATE INDEX described_lower ON described (lower(a)) WHERE id > 5;
CREATE STATISTICS described_ab (ndistinct) ON a, b FROM described;
COMMENT ON COLUMN described.a IS 'a comment';
GRANT SELECT (a) ON described TO PUBLIC;
"""


def test_catalogs_describe_a_table(new_database):
    first, second = new_database(), new_database()
    for database in (first, second):
        database.execute(DESCRIBED)
    assert describe(first) == describe(second)
    assert catalogs.differences(describe(first), describe(second)) == []


@pytest.mark.parametrize("change", [
    "ALTER TABLE described ALTER a DROP DEFAULT",
    "ALTER TABLE described ALTER a TYPE varchar(5)",
    "ALTER TABLE described ALTER a SET STATISTICS 50",
    "ALTER TABLE described ALTER c SET STORAGE EXTERNAL",
    "ALTER TABLE described ALTER a SET (n_distinct = 5)",
    "ALTER TABLE described RENAME CONSTRAINT positive TO p",
    "ALTER TABLE described SET (fillfactor = 71)",
    "ALTER TABLE described REPLICA IDENTITY FULL",
    "ALTER TABLE described ALTER b SET INCREMENT 5",
    "ALTER SEQUENCE described_id_seq MAXVALUE 1000",
    "ALTER INDEX described_lower RENAME TO other",
    "COMMENT ON INDEX described_lower IS 'text'",
    "ALTER INDEX described_lower ALTER COLUMN 1 SET STATISTICS 7",
    "GRANT UPDATE ON described TO PUBLIC",
    "DROP STATISTICS described_ab",
    "INSERT INTO described (a) VALUES ('moves the sequences')",
    "CREATE VIEW v AS SELECT id FROM described",
    "ALTER TABLE described CLUSTER ON described_pkey",
])
def test_catalogs_see_a_change(database, change):
    database.execute(DESCRIBED)
    before = describe(database)
    database.execute(change)
    assert catalogs.differences(before, describe(database)) != []


def describe(database, table="described", schema="public"):
    conn = database.connect("postgres")
    try:
        return catalogs.describe(conn, schema, table)
    finally:
        conn.close()
