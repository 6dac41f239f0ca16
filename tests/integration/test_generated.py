"""Stored generated columns whose expression gives other values now than their rows hold: ALTER TABLE keeps those, and a
job, which cannot, does not say that the tables are equal."""

import pytest

import pgrecast
from servers import wait_until
from tables import assert_aborts, assert_clean

OLD_FEE = "CREATE OR REPLACE FUNCTION fee(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 10'"
NEW_FEE = OLD_FEE.replace("10", "12")
BILL = ("CREATE TABLE bill (id integer PRIMARY KEY, amount integer, note text,"
        " fee integer GENERATED ALWAYS AS (public.fee(amount)) STORED)")
TYPE = "ALTER TABLE bill ALTER COLUMN id TYPE bigint"


def make_bills(database, later=NEW_FEE):
    """Rows made with the one function; then the other. Row 0 has the same value by both."""
    database.execute(f"{OLD_FEE}; {BILL}; INSERT INTO bill SELECT g, g FROM generate_series(0, 5) g; {later}")


def fees(database, table="bill", column="fee"):
    return database.value(f"SELECT string_agg({column}::text, ' ' ORDER BY id) FROM {table}")


REFUSED = {
    "other_column": TYPE,
    "rebuild": None,
    "own_type": "ALTER TABLE bill ALTER fee TYPE bigint",
    "renamed": "ALTER TABLE bill RENAME fee TO charge; ALTER TABLE bill RENAME amount TO sum; ALTER TABLE bill ALTER id TYPE bigint",
    "expression_dropped": "ALTER TABLE bill ALTER fee DROP EXPRESSION, ALTER id TYPE bigint",
    "read_by_a_using": "ALTER TABLE bill ALTER note TYPE integer USING fee",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_value_that_alter_table_would_keep_is_not_replaced(database, case):
    make_bills(database)
    if REFUSED[case] is None:
        outcome = pgrecast.rebuild(database, "bill")
    else:
        outcome = pgrecast.run(database, REFUSED[case])
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    assert "5 keys differ, nothing was swapped" in outcome.stderr, str(outcome)
    assert fees(database) == "0 10 20 30 40 50"
    if case not in ("expression_dropped", "read_by_a_using"):
        column = "charge" if case == "renamed" else "fee"
        assert f'(3): column "{column}"' in outcome.stderr and "(0)" not in outcome.stderr, str(outcome)
        assert "pgrecast abort bill, then run it again with --recompute-generated" in outcome.stderr
    assert_aborts(database, "bill")
    assert_clean(database)


def test_new_values_are_made_when_they_are_wanted(database):
    make_bills(database)
    outcome = pgrecast.run(database, TYPE, "--recompute-generated")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert fees(database) == "0 12 24 36 48 60"
    assert_clean(database)


def test_new_inputs_give_new_values(database):
    """What ALTER TABLE keeps is no standard for a column whose own inputs are changed."""
    make_bills(database)
    outcome = pgrecast.run(database, "ALTER TABLE bill ALTER amount TYPE integer USING amount + 1")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert fees(database) == "12 24 36 48 60 72"
    assert_clean(database)


def test_the_plan_warns(database):
    make_bills(database)
    outcome = pgrecast.call(database, "plan", "--sql", TYPE)
    assert outcome.status == pgrecast.DONE, str(outcome)
    words = " ".join(outcome.stdout.split())
    assert 'generated column "fee" holds other values than its expression gives now: in 5 of 6 rows' in words, str(outcome)
    wanted = pgrecast.call(database, "plan", "--recompute-generated", "--sql", TYPE)
    assert wanted.status == pgrecast.DONE and "holds other values" not in " ".join(wanted.stdout.split()), str(wanted)
    database.execute(f"{OLD_FEE}")
    equal = pgrecast.call(database, "plan", "--sql", TYPE)
    assert equal.status == pgrecast.DONE and "holds other values" not in " ".join(equal.stdout.split()), str(equal)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_rollback_keeps_to_it_as_well(database, recompute):
    """The function is changed while the new table is active, which keeps a row's value; the original computes it."""
    make_bills(database, later="SELECT")
    options = ["--recompute-generated"] if recompute else []
    job = pgrecast.start_run(database, TYPE, *options, window=None)
    job.wait_phase("reverse")
    database.execute(NEW_FEE)
    database.execute("UPDATE bill SET note = 'seen' WHERE id IN (0, 2)")
    wait_until(lambda: database.value("SELECT count(*) = 2 FROM bill_pgrecast_old WHERE note = 'seen'"), "the rows to come")
    assert fees(database, "bill_pgrecast_old") == "0 10 24 30 40 50" and fees(database) == "0 10 20 30 40 50"
    outcome = pgrecast.call(database, "rollback", "bill")
    if recompute:
        assert outcome.status == pgrecast.DONE, str(outcome)
    else:
        assert outcome.status == pgrecast.NO_PARITY, str(outcome)
        assert '(2): column "fee"' in outcome.stderr and "(0)" not in outcome.stderr, str(outcome)
        assert fees(database) == "0 10 20 30 40 50"
    assert pgrecast.call(database, "finish", "bill").status == pgrecast.DONE
    job.wait()
    assert_clean(database)
