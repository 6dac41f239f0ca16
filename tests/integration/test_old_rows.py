"""Clusters past their first 2^32 transactions: an old frozen row may carry the number of a transaction that is still to
come, so that the copy takes it for new. The sweep finds it."""

import pytest

import oracle
import pgrecast
from servers import Server
from tables import assert_clean

ALTER = "ALTER TABLE t ALTER COLUMN id TYPE bigint"
EPOCH = 5


@pytest.fixture
def own_server(major):
    with Server(major) as server:
        yield server


def spend_transactions(database, count):
    for _ in range(count):
        database.execute("SELECT pg_current_xact_id()")


def cluster_with_old_rows(server):
    """A database with a table whose frozen rows have numbers a little ahead of the next transaction's."""
    database = server.new_database()
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer, label text UNIQUE);"
                     " CREATE TABLE m (id integer, a integer, label text)")
    for first in range(0, 1000, 100):
        database.execute(f"INSERT INTO t SELECT g, g, 'label ' || g FROM generate_series({first}, {first} + 99) g")
    database.execute("INSERT INTO m SELECT * FROM t")
    last = int(database.value("SELECT max(xmin::text::bigint) FROM t"))
    spend_transactions(database, 20)
    for (name,) in server.execute("SELECT datname FROM pg_database WHERE datallowconn"):
        server.execute("VACUUM (FREEZE)", database=name)
    server.execute("CHECKPOINT")
    server.stop()
    server.run_program("pg_resetwal", "-e", EPOCH, "-x", last - 30, server.data)
    server.start()
    return database


@pytest.mark.majors({15})  # the other servers come without pg_resetwal
@pytest.mark.parametrize("verify", [(), ("--no-verify",)], ids=["verified", "unverified"])
def test_rows_older_than_half_the_transactions(own_server, verify):
    """Beyond 2^31 transactions age() takes a row of the first ones for one of the future."""
    database = own_server.new_database()
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer); CREATE TABLE m (id integer, a integer);"
                     " INSERT INTO t SELECT g, g FROM generate_series(1, 5000) g; INSERT INTO m SELECT * FROM t")
    for (name,) in own_server.execute("SELECT datname FROM pg_database WHERE datallowconn"):
        own_server.execute("VACUUM (FREEZE)", database=name)
    own_server.execute("CHECKPOINT")
    own_server.stop()
    own_server.run_program("pg_resetwal", "-x", 3_000_000_000, own_server.data)
    own_server.zero_commit_log(3_000_000_000)
    own_server.start()
    outcome = pgrecast.run(database, ALTER, *verify)
    assert outcome.status == pgrecast.DONE, str(outcome)
    differences = oracle.compare(database, "t", "m")
    assert not differences, differences


@pytest.mark.majors({15})  # the other servers come without pg_resetwal
def test_old_rows_that_look_new_are_copied(own_server):
    database = cluster_with_old_rows(own_server)
    assert int(database.value("SELECT pg_current_xact_id()")) > EPOCH << 32
    job = pgrecast.start_run(database, ALTER, hold="copy")
    job.wait_phase("copy")
    spend_transactions(database, 100)
    for table in ("t", "m"):  # some of the rows in question change while the job runs
        database.execute(f"UPDATE {table} SET a = -a, label = label || '!' WHERE id % 100 = 1;"
                         f" DELETE FROM {table} WHERE id % 100 = 2;"
                         f" INSERT INTO {table} VALUES (5000, 1, 'new')")
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert "old rows" in outcome.stderr, str(outcome)  # otherwise this has tested nothing
    differences = oracle.compare(database, "t", "m")
    assert not differences, differences
    assert_clean(database)
