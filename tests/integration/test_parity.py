"""The dirty keys: rows touched between the verification and the cutover are compared again, and judged under the lock."""

import pytest

import oracle
import pgrecast
from servers import wait_until
from tables import assert_aborts, assert_clean, assert_resumable

HELD = "--cutover=hold"


def applied(database, condition):
    """Wait until the shadow has what the stream brought."""
    wait_until(lambda: database.value(f"SELECT count(*) FROM t_pgrecast_new WHERE {condition}"), "changes to be applied")


def cut_over(database, job):
    asked = pgrecast.call(database, "cutover", "t")
    assert asked.status == pgrecast.DONE, str(asked)
    return job.wait()


def test_more_keys_change_than_can_be_named(database):
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, a integer); CREATE TABLE m (id integer, a integer);"
                     " INSERT INTO t SELECT g, g FROM generate_series(1, 120000) g; INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER COLUMN id TYPE bigint", HELD)
    job.wait_phase("ready")
    for _ in range(2):
        database.execute("BEGIN; UPDATE t SET a = a + 1; UPDATE m SET a = a + 1; COMMIT")
    outcome = cut_over(database, job)
    assert outcome.status == pgrecast.DONE, str(outcome)
    differences = oracle.compare(database, "t", "m")
    assert not differences, differences
    assert_clean(database)


@pytest.mark.parametrize("key", ["text", "int4range", "composite"])
def test_a_wrong_row_is_found_whatever_its_key(database, key):
    """Keys of types without a dependable binary form are known by the texts that the stream has."""
    make = {"text": "'key ' || g", "int4range": "int4range(g, g + 1)", "composite": "ROW(g, 'x')::pair"}[key]
    type_ = "pair" if key == "composite" else key
    database.execute("CREATE TYPE pair AS (a integer, b text);"
                     f"CREATE TABLE t (id {type_} PRIMARY KEY, number integer, v integer);"
                     f"INSERT INTO t SELECT {make}, g, g FROM generate_series(1, 2000) g")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER COLUMN v TYPE bigint", HELD)
    job.wait_phase("ready")
    database.execute("UPDATE t SET v = -v WHERE number <= 400")
    applied(database, "number = 400 AND v < 0")
    pgrecast.damage(database, "UPDATE t_pgrecast_new SET v = 666 WHERE number = 7")
    database.execute("UPDATE t SET v = -v WHERE number BETWEEN 1001 AND 1400")  # with these they are compared
    applied(database, "number = 1400 AND v < 0")
    outcome = pgrecast.call(database, "cutover", "t", "--wait")
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    assert "1 key differs" in outcome.stderr and "7" in outcome.stderr, str(outcome)
    assert database.value("SELECT v FROM t WHERE number = 7") == -7
    found = pgrecast.the_job(database)
    assert found["running"] and found["phase"] == "ready" and found["verify"]["mismatches"] == 1, found
    job.kill()
    assert_resumable(database, "t")
    assert_aborts(database, "t")
    assert_clean(database)


def test_a_value_that_cannot_be_converted_is_not_told(database):
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, v text);"
                     "INSERT INTO t SELECT g, g::text FROM generate_series(1, 3000) g")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER COLUMN v TYPE integer USING v::integer", HELD)
    job.wait_phase("ready")
    database.execute("UPDATE t SET v = '1' || v; UPDATE t SET v = 'secret-100' WHERE id = 100")
    outcome = job.wait()
    assert outcome.status == pgrecast.FAILED, str(outcome)
    assert "(100)" in outcome.stderr and "secret" not in outcome.text, str(outcome)
    assert "secret" not in database.value("SELECT error FROM pgrecast.job")
    assert_resumable(database, "t")
    assert_aborts(database, "t")
    assert_clean(database)
