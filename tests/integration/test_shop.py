"""Each table of a whole shop rewritten while people work in it, with everything that depends on it."""

import contextlib
import os
import re

import pytest

import database as databases
import pgrecast
import shop
import shop_oracle
import shop_traffic
from conftest import MAJORS, rotate
from servers import wait_until

# Dealt out so that the tables of one part of the shop are not all in one test.
REWRITTEN = [name for name in shop.CHANGES if name not in shop.REFUSED]
SLICES = [tuple(REWRITTEN[first::5]) for first in range(5)]
BACK = ("sales.order", "crm.customer", "catalogue.product", "crm.message", "audit.log")

EVERYTHING = os.environ.get("PGRECAST_SHOP") == "all"

# What ALTER TABLE would not do. A function that returns the table's row is made anew by the swap, with its row type: a
# call of it that waits for the table meanwhile returns as a function that is gone, or with a row that does not fit what it
# was called for.
OURS_ALONE = ("XX000: sales.order", "42804: sales.order")

# The tables that functions with a body in SQL (BEGIN ATOMIC) name by their oids: a call that waits for the swap comes to
# the table that is no longer used, where its role has no rights any more, and where the guard stops the owner.
IN_BODIES = ("catalogue.category", "catalogue.product", "catalogue.product_category", "crm.loyalty_account",
             "crm.loyalty_entry", "sales.order_item")

TRAFFIC_AFTER = 40  # transactions with the new table before it is looked at


def slices():
    """(major, number of the slice): each on one major, in turn, or all on all of them."""
    if not EVERYTHING:
        return list(rotate([str(number) for number in range(len(SLICES))]))
    return [pytest.param(major, str(number), id=f"pg{major}-{number}") for major in MAJORS for number in range(len(SLICES))]


def back():
    if not EVERYTHING:
        return list(rotate(BACK, first=2))
    return [pytest.param(major, name, id=f"pg{major}-{name}") for major in MAJORS for name in BACK]


class Shop:
    """A shop at work, what must be the case in it, and a twin that takes the plain ALTER TABLEs."""

    def __init__(self, database, twin):
        self.database, self.twin = database, twin
        self.before = describe(database)
        assert databases.differences(describe(twin), self.before) == []
        self.history = shop_oracle.History(database)
        self.traffic = shop_traffic.Traffic(database)
        self.retyped = []  # tables whose statements may have to be prepared again

    def alter_twin(self, name):
        if shop.CHANGES[name]:
            self.retyped.append(name)
            self.twin.execute(shop.CHANGES[name])

    def start(self, name, *arguments, **options):
        """The job that changes, or rebuilds, the table."""
        change = shop.CHANGES[name]
        if change is None:
            arguments = ("--rebuild", "-t", shop_traffic.quoted(name), *arguments)
        return pgrecast.start_run(self.database, change, "--job", "shop", *arguments, **options)

    @contextlib.contextmanager
    def closed(self):
        """For a moment nobody writes."""
        self.traffic.pause()
        yield
        self.traffic.go_on()

    def assert_right(self, *names):
        """The named tables (or all) hold what was written to them, and the shop adds up. Nobody writes now."""
        assert self.history.differences(names) == []
        assert self.history.audit_differences() == []
        assert self.history.orphans() == []
        for what, query in shop_traffic.SUMS.items():
            assert self.database.execute(query + " LIMIT 3") == [], f"{what} do not add up"

    def assert_described(self, expected):
        """The database is described as that one is, once the job has validated the foreign keys it made anew."""
        found = []

        def same():
            found[:] = databases.differences(expected, describe(self.database))
            return not found

        try:
            wait_until(same, "the description", timeout=30, interval=0.5)
        except TimeoutError:
            assert found == []

    def assert_unharmed(self):
        """What the traffic has met is what ALTER TABLE makes it meet."""
        result = self.traffic.stop()
        assert not result.broken, result.broken
        assert result.disconnected == 0
        harm = {kind: what for kind, what in result.failed.items()
                if kind not in OURS_ALONE and kind not in [f"cached plan: {name}" for name in self.retyped]
                and not is_refused_in_body(kind, what)}
        assert harm == {}

    def assert_clean(self):
        assert [thing for thing in pgrecast.leftovers(self.database) if shop_oracle.SLOT not in thing] == []

    def close(self):
        self.traffic.stop()
        self.history.close()


def is_refused_in_body(kind, what):
    """What a call of a function with a body in SQL met that waited for the swap."""
    code, _, name = kind.partition(": ")
    _, message = what
    if code == "PGRG1":
        return name in IN_BODIES and "statement" in message and re.match(
            rf"table {re.escape(name)}_pgrecast_(old|new) is kept in sync by pgrecast job \"shop\": nobody else may write it\n",
            message) is not None
    return code == "42501" and name in IN_BODIES and re.fullmatch(
        rf"permission denied for table {name.partition('.')[2]}_pgrecast_(old|new)", message.strip()) is not None


def describe(database):
    """The description of the database, but for what its sequences have reached."""
    conn = database.connect("postgres")
    try:
        description = databases.without_kept(databases.describe(conn))
    finally:
        conn.close()
    for sequence in description["sequences"].values():
        del sequence["last_value"], sequence["is_called"]
    for relation in description["relations"].values():
        relation["constraints"] = [of_parent(constraint) for constraint in relation["constraints"]]
    return description


def of_parent(constraint):
    """
    A foreign key without what nobody can set, where it is the part that belongs to one partition: whether it is inherited
    further, and whether it is validated, which up to 17 is not told to those of a referenced table's partitions.
    """
    if constraint["type"] != "f" or not constraint["inherited"]:
        return constraint
    return {**constraint, "no_inherit": None, "validated": None, "definition": constraint["definition"].removesuffix(" NOT VALID")}


@pytest.fixture
def work(server, new_database):
    found = Shop(new_database(shop.template(server)), new_database(shop.template(server, data=False)))
    with found.traffic:
        yield found
    found.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("major, part", slices())
def test_each_table(major, part, work):
    """One after another, in one database: the same as plain ALTER TABLEs, and nobody has noticed."""
    for name in SLICES[int(part)]:
        work.traffic.look_at(name)
        outcome = work.start(name).wait()
        assert outcome.status == pgrecast.DONE, f"{name}: {outcome}"
        work.alter_twin(name)
        work.traffic.wait_for(TRAFFIC_AFTER)
        with work.closed():
            work.assert_right(name)
    work.assert_unharmed()
    work.assert_right()
    work.assert_clean()
    assert databases.differences(describe(work.twin), describe(work.database)) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("major, name", back())
def test_back(major, name, work):
    """The change is rolled back with the shop at work: as if it had not been, with all that was written since."""
    work.traffic.look_at(name)
    job = work.start(name, window=None)
    job.wait_phase("reverse")
    work.alter_twin(name)
    work.traffic.wait_for(TRAFFIC_AFTER)
    with work.closed():
        work.assert_right(name)
        work.assert_described(describe(work.twin))
    outcome = pgrecast.call(work.database, "rollback", "shop")
    assert outcome.status == pgrecast.DONE, str(outcome)
    work.traffic.wait_for(TRAFFIC_AFTER)
    with work.closed():
        work.assert_right(name)
        work.assert_described(work.before)
    assert pgrecast.call(work.database, "finish", "shop").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE
    work.assert_unharmed()
    work.assert_right()
    work.assert_clean()
    assert databases.differences(work.before, describe(work.database)) == []


def test_refused(server, new_database):
    """Partitioned tables and their partitions, and what has no key: nothing is made, and the reason is named."""
    database = new_database(shop.template(server))
    before = describe(database)
    for name, reason in shop.REFUSED.items():
        outcome = pgrecast.run(database, shop.CHANGES[name])
        assert outcome.status == pgrecast.REFUSED and reason in outcome.text, f"{name}: {outcome}"
    for name in ("sales.payment_2024_01", "crm.notification_of_others"):
        outcome = pgrecast.rebuild(database, name)
        assert outcome.status == pgrecast.REFUSED and "a single partition" in outcome.text, f"{name}: {outcome}"
    assert pgrecast.leftovers(database) == []
    assert databases.differences(before, describe(database)) == []

# What a bad swap does, each to another table, and how the oracle tells it.
REPLACED = ("CREATE TABLE crm.other (LIKE {table} INCLUDING ALL); INSERT INTO crm.other SELECT {rows};"
            "ALTER TABLE {table} RENAME TO original; ALTER TABLE crm.other RENAME TO {name};"
            "DROP TABLE crm.original CASCADE;")
FAULTS = {
    "lost": (REPLACED.format(table="crm.permission", name="permission", rows="* FROM crm.permission WHERE code <> 'permission-3'"),
             "crm.permission: lost: ('permission-3',)"),
    "invented": (REPLACED.format(table="crm.session_archive", name="session_archive", rows="gen_random_uuid(), 1"),
                 "crm.session_archive: invented: "),
    "changed": (REPLACED.format(table="crm.tenant_setting", name="tenant_setting",
                                rows="tenant_id, key, '7', version FROM crm.tenant_setting"), "value is '7', and was written as "),
    "no trigger": ("ALTER TABLE sales.coupon DISABLE TRIGGER zz_audit;"
                   "UPDATE sales.coupon SET discount = 7 WHERE code = 'COUPON-1'", "happened 1 times and was logged 0 times"),
    "two triggers": ("CREATE TRIGGER once_more AFTER UPDATE ON catalogue.supplier FOR EACH ROW"
                     " EXECUTE FUNCTION audit.record('id'); UPDATE catalogue.supplier SET lead_days = 3 WHERE id = 1",
                     "happened 1 times and was logged 2 times"),
    "orphan": ("ALTER TABLE sales.order_note DROP CONSTRAINT order_note_order_id_fkey;"
               "INSERT INTO sales.order_note (order_id, body) VALUES (999999999, 'orphan')", "1 rows break sales.order_note."),
}


@pytest.mark.main_major
def test_faults_are_found(server, new_database):
    """The oracle tells each of them, and says nothing before."""
    database = new_database(shop.template(server))
    history = shop_oracle.History(database)

    def found():
        return history.differences() + history.audit_differences() + history.orphans()

    try:
        database.execute("UPDATE crm.permission SET level = 2; DELETE FROM crm.review WHERE id < 5")
        assert found() == []
        for statements, _ in FAULTS.values():
            database.execute(statements)
        after = found()
    finally:
        history.close()
    missed = [fault for fault, (_, wanted) in FAULTS.items() if not any(wanted in line for line in after)]
    assert missed == [], after
