"""The worked examples of docs/restructuring.md: their commands do what the text says."""

import contextlib
import pathlib
import re
import shlex

import pytest

import pgrecast
from conftest import spread
from rewrite import Rewrite
from servers import wait_until

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "restructuring.md"


def section(title):
    """The SQL and the commands of a section, as words without the name of the program and of the database."""
    text = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S).group(1)
    sql = "".join(re.findall(r"^```sql$(.*?)^```$", text, re.M | re.S))
    commands = [shlex.split(line) for line in re.findall(r"^    (pgrecast .*)$", text, re.M)]
    for words in commands:
        assert words[2:4] == ["-d", "shop"], words
    return sql, [[words[1], *words[4:]] for words in commands]


KEYS = """
SELECT conname::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'orders'::regclass AND contype = 'f' ORDER BY 1
"""
CUSTOMER = ("orders_customer", "FOREIGN KEY (customer) REFERENCES customers(id)")
SHOP = ("orders_shop", "FOREIGN KEY (shop) REFERENCES shops(id)")


@pytest.mark.parametrize("major, end", spread(["finish"]))
def test_change_foreign_keys(database, end):
    sql, (plan, run, rollback, cutover, finish) = section("Change foreign keys")
    cascade = (SHOP[0], SHOP[1] + " ON DELETE CASCADE")
    database.execute(sql)
    outcome = pgrecast.call(database, *plan)
    assert outcome.status == pgrecast.DONE and "orders_customer" in outcome.stdout, str(outcome)
    job = pgrecast.start_run(database, None, *run[1:], window=None)
    with contextlib.ExitStack() as after:
        after.callback(job.kill)
        job.wait_phase("reverse")
        wait_until(lambda: database.execute(KEYS) == [CUSTOMER, cascade], "the new keys, validated")
        for command, expected in ((rollback, [SHOP]), (cutover, [CUSTOMER, cascade])):
            outcome = pgrecast.call(database, *command)
            assert outcome.status == pgrecast.DONE, str(outcome)
            wait_until(lambda keys=expected: database.execute(KEYS) == keys, "the keys, validated")
        assert pgrecast.call(database, *finish).status == pgrecast.DONE and finish[0] == end
        assert job.wait().status == pgrecast.DONE
        after.pop_all()
    assert pgrecast.leftovers(database) == []


@pytest.mark.parametrize("major, end", spread(["finish"]))
def test_keep_materialized_views(database, end):
    sql, (plan, run, rollback, cutover, finish) = section("Keep materialized views")
    shown = "SELECT pg_typeof(id)::text, (SELECT sum(sales) FROM sales_by_day) FROM sales LIMIT 1"
    database.execute(sql)
    outcome = pgrecast.call(database, *plan)
    assert outcome.status == pgrecast.DONE and "sales_by_day" in outcome.stdout, str(outcome)
    job = pgrecast.start_run(database, None, *run[1:], window=None)
    with contextlib.ExitStack() as after:
        after.callback(job.kill)
        job.wait_phase("reverse")
        assert database.execute(shown) == [("bigint", 3000)]
        database.execute("INSERT INTO sales VALUES (0, '2024-01-01', 5)")
        assert pgrecast.call(database, *rollback).status == pgrecast.DONE
        assert database.execute(shown) == [("integer", 3000)]  # as it was
        assert pgrecast.call(database, *cutover).status == pgrecast.DONE
        job.wait_phase("reverse")
        assert database.execute(shown) == [("bigint", 3001)]
        assert pgrecast.call(database, *finish).status == pgrecast.DONE and finish[0] == end
        assert job.wait().status == pgrecast.DONE
        after.pop_all()
    assert pgrecast.leftovers(database) == []


ADDED = """
SELECT convalidated FROM pg_constraint WHERE conname = 'items_kind' AND conrelid = 'items'::regclass
"""


@pytest.mark.parametrize("major, point", spread(["copy", "ready"]))
def test_a_key_is_added_under_load(database, point):
    """The program is killed on the way; the key comes with each cutover and goes with the rollback."""
    rewrite = Rewrite(database, rows=2000)
    rewrite.ignore = ("kind",)  # the mirror does not have it
    database.execute("CREATE TABLE kinds (id bigint PRIMARY KEY); INSERT INTO kinds SELECT generate_series(-1000, 1000)")
    rewrite.workload.alter += "; ALTER TABLE items ADD kind bigint DEFAULT 7 CONSTRAINT items_kind REFERENCES kinds"
    with rewrite.load:
        rewrite.run(hold=point).wait_phase(point)
        rewrite.kill()
        rewrite.resume().wait_phase("reverse")
        wait_until(lambda: database.execute(ADDED) == [(True,)], "the key, validated")
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.roll_back()
        rewrite.assert_serves()
        assert database.execute(ADDED) == []
        rewrite.roll_forward()
        wait_until(lambda: database.execute(ADDED) == [(True,)], "the key, validated")
        rewrite.wait_traffic()
    rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over()


def test_a_row_that_violates_a_new_key_meanwhile(database):
    """It is accepted, as the original has no such key; the key is there after the swap, and says that it is not valid."""
    database.execute(section("Change foreign keys")[0])
    job = pgrecast.start_run(database, "ALTER TABLE orders ALTER id TYPE bigint, ADD CONSTRAINT orders_customer"
                             " FOREIGN KEY (customer) REFERENCES customers", hold="copy")
    job.wait_phase("copy")
    database.execute("INSERT INTO orders VALUES (2000, 2000, 1)")
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE and "not all foreign keys are validated" in outcome.stderr, str(outcome)
    assert database.execute(KEYS) == [(CUSTOMER[0], CUSTOMER[1] + " NOT VALID"), SHOP]
    assert database.execute("SELECT count(*) FROM orders WHERE customer = 2000") == [(1,)]
    assert pgrecast.leftovers(database) == []
