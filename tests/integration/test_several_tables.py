"""Several tables in one job: every transaction of the load changes all of them, and all are swapped together."""

import contextlib
import os
import pathlib
import re
import subprocess

import pytest

import oracle
import pgrecast
from campaign import ACCIDENTS, Campaign
from conftest import rotate
from pgrecast import DONE, FAILED, NO_LOCK, POINTS_BACK, POINTS_END, POINTS_FORWARD, REFUSED, USAGE
from rewrite import JOB, Rewrite
from servers import wait_until
from tables import (assert_aborts, assert_clean, assert_equal, assert_follows, assert_resumable, assert_same, assert_untouched, describe,
                    filled, relations, schema_differences)
from test_visibility import HangingCommit, absent_standby, own_server  # noqa: F401 (a fixture)


class Several(Rewrite):
    """A rewrite of all tables of the workload; what is asserted is so of each."""

    def __init__(self, database, workload="workloads:Shop", **options):
        super().__init__(database, workload, **options)
        self.tables = self.workload.tables
        self.originals = {table: describe(database, table) for table in self.tables}

    def assert_serves(self):
        for table in self.tables:
            assert_equal(self.database, table, self.workload.mirror_of(table))

    def assert_follows(self):
        if self.load.running:
            self.load.pause()
        suffix = "_pgrecast_old" if self.phase == "reverse" else "_pgrecast_new"
        for table in self.tables:
            assert_follows(self.database, table + suffix, self.workload.mirror_of(table))
        if self.load.running:
            self.load.go_on()

    def assert_original(self):
        self.assert_serves()
        for table in self.tables:
            assert_same(self.originals[table], describe(self.database, table))

    def id_types(self):
        return {id_type(self.database, table) for table in self.tables}


def id_type(database, table):
    return database.value("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = %s::regclass"
                          " AND attname = 'id'", table)


# Under load

@pytest.mark.parametrize("major, workload", rotate(["workloads:Shop", "workloads:Mall"]))
def test_under_load(new_database, workload):
    """All of them are swapped at one moment, and are defined as plain ALTER TABLE leaves them."""
    rewrite = Several(new_database(), workload, rows=6000)
    with rewrite.load:
        outcome = rewrite.run(window="0").wait()
        assert outcome.status == DONE, str(outcome)
        rewrite.load.wait_for(50)
    rewrite.assert_over()
    assert rewrite.id_types() == {"bigint"}
    twin = new_database()
    Several(twin, workload, rows=1)
    twin.execute(rewrite.workload.alter)
    for table in rewrite.tables:
        assert schema_differences(rewrite.database, twin, table) == []


def test_one_moment(database):
    """No transaction sees one table changed and another not."""
    rewrite = Several(database, rows=1000)
    types = ("SELECT string_agg(DISTINCT format_type(atttypid, NULL), ' ') FROM pg_attribute JOIN pg_class c ON c.oid = attrelid"
             " WHERE attname = 'id' AND relname IN ('items', 'orders')")
    seen = set()
    with rewrite.load:
        rewrite.run()
        while "bigint" not in seen:
            seen.add(database.value(types))
            assert rewrite.instance.poll() is None, str(rewrite.instance.outcome())
            assert seen <= {"integer", "bigint"}
    rewrite.finish()
    rewrite.assert_over()


def test_long_names_that_begin_alike(database):
    """The names that are made of them are cut, and differ all the same."""
    names = [f"{'a' * 55}_{end}" for end in ("one", "two")]
    for number, name in enumerate(names):
        database.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, n int UNIQUE);"
                         f" INSERT INTO {name} SELECT g, g + {number} FROM generate_series(1, 10) g")
    change = "; ".join(f"ALTER TABLE {name} ALTER id TYPE bigint" for name in names)
    run = pgrecast.start_run(database, change, "--job", "long", window=None)
    run.wait_phase("reverse")
    assert pgrecast.call(database, "rollback", "long").status == pgrecast.DONE
    assert pgrecast.call(database, "cutover", "--wait", "long").status == pgrecast.DONE
    assert pgrecast.call(database, "finish", "long").status == pgrecast.DONE
    assert run.wait().status == pgrecast.DONE
    for number, name in enumerate(names):
        assert database.execute(f"SELECT sum(id), sum(n), max(pg_typeof(id)::text) FROM {name}") == [(55, 55 + 10 * number, "bigint")]
    assert_clean(database)


@pytest.mark.timeout(400)
def test_there_and_back_again(database):
    rewrite = Several(database, rows=4000)
    with rewrite.load:
        rewrite.to_reverse()
        for leg in (1, 3):
            assert rewrite.status["swaps"] == leg
            rewrite.load.wait_for(60)
            rewrite.assert_serves()
            rewrite.assert_follows()
            rewrite.roll_back()
            assert rewrite.id_types() == {"integer"}
            rewrite.load.wait_for(60)
            rewrite.assert_follows()
            if leg == 1:
                rewrite.roll_forward()
                assert rewrite.id_types() == {"bigint"}
    rewrite.finish()
    rewrite.assert_over_with_original()


def test_status_and_verify(database):
    """Tables are listed, figures add up, and the hash of all is one."""
    rewrite = Several(database, rows=3000)
    with rewrite.load:
        rewrite.run("--cutover=hold").wait_phase("ready")
        status = rewrite.status
        assert status["job"] == JOB and status["tables"] == ["public.items", "public.orders"]
        assert status["rows_copied"] >= 5000 and status["rows_estimated"] >= 6000
        assert status["bytes_copied"] == status["bytes_total"] > 0
        text = pgrecast.call(database, "status", JOB).stdout
        assert "tables public." in text, text
        rewrite.assert_named()
        rewrite.load.pause()
        first, second = (rewrite.command("verify", "--json").stdout for _ in range(2))
        hashes = [re.search('"hash": "([0-9a-f]{32})"', outcome).group(1) for outcome in (first, second)]
        assert hashes[0] == hashes[1]
        rows = database.value("SELECT (SELECT count(*) FROM items) + (SELECT count(*) FROM orders)")
        assert f'"rows": {rows},' in first and '"mismatches": 0' in first, first
        rewrite.load.go_on()
        rewrite.command("cutover")
        rewrite.instance.wait_phase("reverse")
        rewrite.command("verify")
    rewrite.finish()
    rewrite.assert_over()


def test_mismatch_names_the_table(database):
    rewrite = Several(database, rows=1000)
    rewrite.run("--cutover=hold").wait_phase("ready")
    pgrecast.damage(database, "UPDATE orders_pgrecast_new SET note = 'damaged' WHERE id = 77")
    outcome = rewrite.command("verify", status=pgrecast.NO_PARITY)
    assert "orders_pgrecast_new" in outcome.stderr and "(77)" in outcome.stderr, str(outcome)
    assert rewrite.phase == "ready" and rewrite.status["running"]
    rewrite.command("abort")
    rewrite.end_of_instance(pgrecast.FAILED)
    rewrite.assert_over_with_original()


@pytest.mark.main_major
def test_commit_that_is_not_visible(own_server):  # noqa: F811
    """One that only the second table's apply knows is waited for; one of both is held back in both, until they are compared."""
    database = own_server.new_database()
    for table in ("t", "t2", "m", "m2"):
        database.execute(f"CREATE TABLE {table} (id integer PRIMARY KEY, a integer);"
                         f"INSERT INTO {table} SELECT g, g % 10 FROM generate_series(1, 1000) g")
    database.superuser(f'ALTER DATABASE "{database.name}" SET synchronous_commit = local')
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER id TYPE bigint; ALTER TABLE t2 ALTER id TYPE bigint", window=None)
    job.wait_phase("reverse")
    absent_standby(own_server)
    before = HangingCommit(database, "UPDATE {t}2 SET a = 77 WHERE id = 1", "before")
    before.wait_until_it_hangs()
    wait_until(lambda: database.value("SELECT a FROM t2_pgrecast_old WHERE id = 1") == 77, "it to be applied")
    verify = pgrecast.Running(database, ["verify", "t"])
    wait_until(lambda: database.superuser("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgrecast snapshot'"),
               "a snapshot to be tried")
    held = HangingCommit(database, "UPDATE {t} SET a = 78 WHERE id = 2; UPDATE {t}2 SET a = 78 WHERE id = 2", "held")
    held.wait_until_it_hangs()
    before.let_go()
    outcome = verify.wait()
    assert outcome.status == DONE and "2000 rows" in outcome.stdout and ", 0 differ" in outcome.stdout, str(outcome)
    wait_until(lambda: database.execute("SELECT DISTINCT a FROM t_pgrecast_old WHERE id = 2 UNION"
                                        " SELECT a FROM t2_pgrecast_old WHERE id = 2") == [(78,)], "it to be applied")
    own_server.configure(synchronous_standby_names="")
    held.join()
    assert pgrecast.call(database, "rollback", "t").status == DONE
    for table, mirror in (("t", "m"), ("t2", "m2")):
        assert not oracle.compare(database, table, mirror)
    assert pgrecast.call(database, "finish", "t").status == DONE
    assert job.wait().status == DONE


# Large transactions: more than a batch takes, in all tables at once

MANY = 50000


def change_many(database, sql):
    """In one transaction on every table and its mirror, in turns."""
    conn = database.connect(autocommit=False)
    with conn, conn.cursor() as cursor:
        for table in ("items", "items_mirror", "orders", "orders_mirror"):
            cursor.execute(sql.format(t=table))
    conn.close()


@pytest.mark.timeout(400)
def test_large_transactions(database):
    """One that is written in part lets no other table's changes into its transaction."""
    rewrite = Several(database, rows=2000)
    insert = (f"INSERT INTO {{t}} (id, n, label) SELECT 1000000000 + g, g, 'many ' || g"
              f" FROM generate_series(1, {MANY}) g")
    with rewrite.load:
        rewrite.run(hold="catchup").wait_phase("catchup")
        change_many(database, insert)
        change_many(database, "UPDATE {t} SET label = 'other ' || n, n = n + 1 WHERE id > 1000000000")
        rewrite.instance.release()
        rewrite.instance.wait_phase("reverse")
        change_many(database, "UPDATE {t} SET note = 'later' WHERE id > 1000000000")
        rewrite.assert_follows()
        change_many(database, "DELETE FROM {t} WHERE id > 1000000000")
        rewrite.roll_back()
        rewrite.load.wait_for(30)
        rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over_with_original()


# Killed, resumed, aborted

@pytest.mark.timeout(600)
@pytest.mark.main_major
def test_killed_at_every_point(database):
    rewrite = Several(database, rows=3000, arguments=["--chunk-size=64kB"])
    with rewrite.load:
        for point in POINTS_FORWARD:
            rewrite.go_on(kill=point).wait_killed()
            rewrite.wait_traffic(10)
            rewrite.assert_serves()
            if rewrite.phase not in (None, *pgrecast.ENDED):
                assert_resumable(database, JOB)
        rewrite.resume().wait_phase("reverse")
        rewrite.assert_follows()
        rewrite.kill()
        for point in POINTS_BACK[:3]:
            pgrecast.Running(database, ["rollback", JOB], kill=point).wait_killed()
            rewrite.wait_traffic(10)
            rewrite.assert_serves()
        rewrite.resume().wait_phase("rolled_back")
        rewrite.assert_follows()
        rewrite.kill()
        for point in POINTS_END:
            pgrecast.Running(database, ["finish", JOB], kill=point).wait_killed()
        rewrite.command("finish")
    rewrite.assert_over_with_original()


@pytest.mark.timeout(600)
@pytest.mark.main_major
def test_accidents_at_random(database):
    Campaign(database, seed=3, accidents=8, kinds=ACCIDENTS, workloads=("workloads:Shop",), rewrite=Several).run()


@pytest.mark.parametrize("major, point", rotate(["init-shadow", "copy-chunk", "index-key", "catchup-shadow",
                                                 "verify-aligned", "cutover-locked", "cutover-swapped"]))
def test_killed_and_aborted(database, point):
    """Nothing is left of any of them."""
    rewrite = Several(database, rows=1000)
    with rewrite.load:
        rewrite.run(kill=point).wait_killed()
        rewrite.wait_traffic(10)
        assert_resumable(database, JOB)
        assert_aborts(database, JOB)
    rewrite.assert_over_with_original()
    assert not list(pathlib.Path(rewrite.spool).iterdir())


@pytest.mark.main_major
def test_resumed_without_the_spool(database):
    """In sync, what is not applied to every table stays in the slot: another host can go on."""
    rewrite = Several(database, rows=2000)
    with rewrite.load:
        rewrite.run("--cutover=hold").wait_phase("ready")
        rewrite.load.wait_for(50)
        rewrite.kill()
        rewrite.load.wait_for(50)
        rewrite.resume("--spool-dir", pgrecast.new_spool(database)).wait_phase("ready")
        rewrite.load.wait_for(50)
        rewrite.command("cutover")
        rewrite.instance.wait_phase("reverse")
        rewrite.load.wait_for(30)
        rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over()


def test_connection_lost(database):
    """The session of all applies, in the midst."""
    rewrite = Several(database, rows=2000)
    with rewrite.load:
        rewrite.run("--cutover=hold").wait_phase("ready")
        rewrite.load.wait_for(30)
        rewrite.wait_for("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgrecast apply'"
                         " AND datname = current_database()", "the session of the apply")
        rewrite.load.wait_for(30)
        rewrite.wait_running()
        rewrite.command("cutover")
        rewrite.instance.wait_phase("reverse")
        rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over()


# Set aside

def write_both(database, table, sql):
    """On the table and its mirror, in one transaction."""
    database.execute(f"BEGIN; {sql.format(t=table)}; {sql.format(t=table + '_mirror')}; COMMIT")


def test_set_aside_in_one_table(database):
    """A row that one original cannot hold refuses the rollback of all; put right, all go back."""
    rewrite = Several(database, rows=2000)
    rewrite.to_reverse()
    database.execute("UPDATE items SET n = 5000000000 WHERE id = 7; UPDATE orders SET n = 8 WHERE id = 7;"
                     " UPDATE orders_mirror SET n = 8 WHERE id = 7")
    wait_until(lambda: rewrite.status["rollback"]["blocked_rows"] == 1, "the row to be set aside", interval=0.1)
    assert rewrite.status["rollback"]["blocked_keys"] == ["public.items (7)"]
    outcome = rewrite.command("rollback", status=pgrecast.NO_ROLLBACK)
    assert "public.items (7)" in outcome.stderr and "TABLE.COLUMN" in outcome.stderr, str(outcome)
    assert rewrite.phase == "reverse" and rewrite.id_types() == {"bigint"}
    assert_follows(database, "orders_pgrecast_old", "orders_mirror")
    write_both(database, "items", "UPDATE {t} SET n = 9 WHERE id = 7")
    rewrite.roll_back()
    assert rewrite.id_types() == {"integer"}
    rewrite.finish()
    rewrite.assert_over_with_original()


@pytest.mark.main_major
def test_same_key_set_aside_in_both(database):
    """Each table has its own; a --reverse-map that names the table lets them go."""
    rewrite = Several(database, rows=500)
    rewrite.workload.alter += "; ALTER TABLE orders ALTER COLUMN n TYPE bigint"
    rewrite.to_reverse()
    database.execute("UPDATE items SET n = 5000000000 WHERE id = 7; UPDATE orders SET n = 6000000000 WHERE id = 7")
    wait_until(lambda: rewrite.status["rollback"]["blocked_rows"] == 2, "the rows to be set aside", interval=0.1)
    outcome = rewrite.command("rollback", "--reverse-map=n=0", status=USAGE)
    assert "several tables" in outcome.stderr, str(outcome)
    outcome = rewrite.command("rollback", "--reverse-map=nowhere.n=0", status=USAGE)
    assert "no table" in outcome.stderr, str(outcome)
    outcome = rewrite.command("rollback", "--reverse-map=items.n=CASE WHEN n < 2147483648 THEN n::integer END",
                              status=pgrecast.NO_ROLLBACK)
    assert "public.orders (7)" in outcome.stderr and "public.items" not in outcome.stderr, str(outcome)
    rewrite.command("rollback", "--reverse-map=public.orders.n=least(n, 3)::integer")
    assert database.value("SELECT n FROM items WHERE id = 7") is None
    assert database.value("SELECT n FROM orders WHERE id = 7") == 3
    rewrite.finish()
    rewrite.assert_gone()


# TRUNCATE and DDL in the middle

@pytest.mark.parametrize("major, phase", rotate(["copy", "index", "verify", "ready", "reverse"], first=2))
def test_truncate(database, phase):
    """Both at once, or one of them."""
    rewrite = Several(database, rows=3000)
    if phase in ("ready", "reverse"):
        rewrite.run(*(["--cutover=hold"] if phase == "ready" else [])).wait_phase(phase)
    else:
        rewrite.run("--cutover=hold", hold=phase).wait_phase(phase)
    fill = "INSERT INTO {t} (id, n) SELECT g, g FROM generate_series(1, 300) g"
    database.execute("TRUNCATE items, items_mirror, orders, orders_mirror")
    change_many(database, fill)
    database.execute("TRUNCATE orders, orders_mirror")
    change_many(database, "UPDATE {t} SET n = n + 1 WHERE id < 100")
    if phase not in ("ready", "reverse"):
        rewrite.instance.release()
    if phase != "reverse":
        rewrite.instance.wait_phase("ready")
        rewrite.command("cutover")
        rewrite.instance.wait_phase("reverse")
    rewrite.assert_serves()
    rewrite.assert_follows()
    rewrite.roll_back()
    rewrite.finish()
    rewrite.assert_over_with_original()


@pytest.mark.parametrize("major, phase", rotate(["index", "ready"]))
def test_definition_changed(database, phase):
    """One of the tables is another by now: nothing is swapped; once a row has come that the new table cannot take, the job ends."""
    rewrite = Several(database, rows=1000)
    rewrite.run("--cutover=hold", hold=phase).wait_phase(phase)
    database.execute("ALTER TABLE orders ADD COLUMN late integer")
    rewrite.instance.release()
    if phase == "ready":
        pgrecast.call(database, "cutover", JOB)
    wait_until(lambda: rewrite.status["held"], "the job to be held", 30)
    assert '"public"."orders"' in rewrite.status["held"]["reason"] and "column late" in rewrite.status["held"]["reason"]
    database.execute("UPDATE orders SET n = n WHERE id = 1")
    outcome = rewrite.instance.wait()
    assert outcome.status == FAILED, str(outcome)
    assert 'definition of "public"."orders"' in outcome.stderr, str(outcome)
    assert rewrite.phase == "failed"
    rewrite.assert_gone()
    assert_untouched(database, rewrite.originals["items"], "items")


# Locks

@pytest.mark.main_major
@pytest.mark.parametrize("held", ["items", "orders"])
def test_no_lock(database, held):
    """Somebody keeps one of the tables: nothing is swapped, whoever uses the other goes on, and it is named."""
    rewrite = Several(database, rows=500)
    with rewrite.load, database.connect(autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {held} LIMIT 1")
        outcome = rewrite.run("--cutover-attempts=4", "--lock-timeout=50ms").wait()
        assert outcome.status == NO_LOCK, str(outcome)
        assert f'"public"."{held}"' in outcome.stderr and "Process" in outcome.stderr, str(outcome)
        assert_resumable(database, JOB)
        reader.commit()
    reader.close()
    assert rewrite.id_types() == {"integer"}
    rewrite.resume().wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
def test_busy_in_the_other_order(database):
    """Writers that never leave the last table alone, and come to the first one while they have it."""
    rewrite = Several(database, rows=500, writers=3, rate=40, weights={"update": 100})
    with rewrite.load:
        rewrite.run("--cutover-attempts=20").wait_phase("reverse")
        rewrite.load.wait_for(30)
    rewrite.finish()
    rewrite.assert_over()


# Plans and refusals

def plan(database, sql, *arguments):
    return pgrecast.call(database, "plan", "--sql", sql, *arguments)


def test_plan(database):
    """Each table by itself, what they do together once."""
    rewrite = Several(database, rows=200)
    outcome = plan(database, rewrite.workload.alter)
    assert outcome.status == DONE, str(outcome)
    text = outcome.stdout
    assert text.count("Change of table") == 2
    for heading in ("Steps, and the locks they take", "Needs", "All 2 tables"):
        assert text.count(heading) == 1, text
    for table in rewrite.tables:
        for heading in (f'Change of table "public"."{table}"', f'The statements: "public"."{table}"',
                        f'Rollback: "public"."{table}"'):
            assert text.count(heading) == 1, text
        assert f'ALTER TABLE "public"."{table}" RENAME TO "{table}_pgrecast_old"' in text
    assert "ALTER COLUMN n TYPE bigint: rewrites the table" in text
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0


MANY_TABLES = 150


@pytest.mark.main_major
def test_plan_of_many_tables(database):
    """A key and the tables that refer to it: memory does not grow with the square of their number, or worse."""
    database.execute("CREATE TABLE p (id integer PRIMARY KEY)")
    sql = "ALTER TABLE p ALTER id TYPE bigint"
    for n in range(1, MANY_TABLES):
        database.execute(f"CREATE TABLE c_{n} (id integer PRIMARY KEY, p_id integer REFERENCES p)")
        sql += f"; ALTER TABLE c_{n} ALTER p_id TYPE bigint"
    planning = pgrecast.Running(database, ["plan", "--sql", sql])
    peak = 0
    while planning.poll() is None:
        peak = max(peak, planning.peak_memory())
        with contextlib.suppress(subprocess.TimeoutExpired):
            planning.process.wait(0.05)
    outcome = planning.outcome()
    assert outcome.status == DONE, str(outcome)
    assert outcome.stdout.count("Change of table") == MANY_TABLES
    if "PGRECAST_SANITIZED" not in os.environ:
        assert 0 < peak < 64 * 1024 * 1024, f"{peak / 1048576:.0f} MB of client memory"


TWO = "CREATE TABLE orders (id integer PRIMARY KEY, n integer); CREATE TABLE items (id integer PRIMARY KEY, n integer);"
BOTH = "ALTER TABLE orders ALTER id TYPE bigint; ALTER TABLE items ALTER id TYPE bigint"

REFUSED_PLANS = {
    "one of them": ("ALTER TABLE items SET UNLOGGED", BOTH, (), REFUSED, 'table "public.items"'),
    "two in one statement": ("CREATE INDEX a ON items (n); CREATE INDEX b ON orders (n)", "DROP INDEX a, b", (), USAGE,
                             "two tables"),
    "one name twice": ("SELECT 1", "CREATE INDEX x ON items (n); CREATE INDEX x ON orders (n)", (), REFUSED,
                       'both be called "x"'),
    "whose column": ("SELECT 1", BOTH, ("--reverse-map=id=id::integer",), USAGE, "several tables"),
    "no such column": ("SELECT 1", BOTH, ("--reverse-map=items.nothing=1",), USAGE, "no table"),
    "no such table": ("SELECT 1", BOTH + "; ALTER TABLE nowhere ALTER id TYPE bigint", (), REFUSED, "nowhere"),
}


@pytest.mark.parametrize("major, case", rotate(REFUSED_PLANS))
def test_refused(database, case):
    setup, sql, arguments, status, words = REFUSED_PLANS[case]
    filled(database, TWO + setup)
    outcome = plan(database, sql, *arguments)
    assert outcome.status == status and words in outcome.stderr, str(outcome)
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_statements_find_their_table(new_database):
    """Whatever names an index belongs to the index's table, also where an earlier statement makes it."""
    sql = ("CREATE INDEX fresh ON items (n); COMMENT ON INDEX fresh IS 'new'; ALTER TABLE orders ALTER id TYPE bigint;"
           " DROP INDEX old_one; ALTER INDEX fresh_too RENAME TO fresher; ALTER TABLE items ALTER id TYPE bigint;"
           " DROP INDEX IF EXISTS nothing")
    setup = TWO + "CREATE INDEX old_one ON items (n); CREATE INDEX fresh_too ON orders (n)"
    database, twin = filled(new_database(), setup), filled(new_database(), setup)
    twin.execute(sql)
    outcome = pgrecast.run(database, sql)
    assert outcome.status == DONE, str(outcome)
    for table in ("items", "orders"):
        assert schema_differences(database, twin, table) == []


@pytest.mark.main_major
def test_same_name_in_two_schemas(database):
    """Tables, indexes and keys of the same names, each in its own schema."""
    filled(database, "".join(f"CREATE SCHEMA {s}; CREATE TABLE {s}.t (id integer PRIMARY KEY, n integer);"
                             f"INSERT INTO {s}.t SELECT g, g + {i} FROM generate_series(1, 500) g;"
                             for i, s in enumerate(("a", "b"))))
    before = relations(database)
    instance = pgrecast.start_run(database, "ALTER TABLE b.t ALTER id TYPE bigint; ALTER TABLE a.t ALTER n TYPE bigint",
                                  window=None)
    instance.wait_phase("reverse")
    assert pgrecast.the_job(database)["tables"] == ["b.t", "a.t"]
    database.execute("UPDATE a.t SET n = 5000000000 WHERE id = 3; UPDATE b.t SET n = n + 1 WHERE id = 3")
    wait_until(lambda: pgrecast.the_job(database)["rollback"]["blocked_keys"] == ["a.t (3)"], "the row to be set aside",
               interval=0.1)
    outcome = pgrecast.call(database, "rollback", "b.t", "--reverse-map=a.t.n=0")
    assert outcome.status == DONE, str(outcome)
    assert database.value("SELECT n FROM a.t WHERE id = 3") == 0
    assert database.value("SELECT n FROM b.t WHERE id = 3") == 5
    assert pgrecast.call(database, "finish", "b.t").status == DONE
    assert instance.wait().status == DONE
    assert relations(database) == before
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_what_one_cannot_none_does(database):
    """A new key, by which rows would not be found again: after the rollback neither table is followed."""
    filled(database, "CREATE TABLE orders (id integer PRIMARY KEY, part integer NOT NULL);"
                     "CREATE TABLE items (id integer PRIMARY KEY, n integer);"
                     "INSERT INTO orders SELECT g, g % 7 FROM generate_series(1, 500) g;"
                     "INSERT INTO items SELECT g, g FROM generate_series(1, 500) g")
    before = {table: describe(database, table) for table in ("orders", "items")}
    sql = ("ALTER TABLE items ALTER id TYPE bigint;"
           " ALTER TABLE orders DROP CONSTRAINT orders_pkey, ADD PRIMARY KEY (id, part)")
    text = plan(database, sql).stdout
    assert text.count('cannot become active again: of table "public"."orders"') == 2, text
    instance = pgrecast.start_run(database, sql, window=None)
    instance.wait_phase("reverse")
    database.execute("UPDATE orders SET part = 9 WHERE id = 5; DELETE FROM items WHERE id = 5")
    assert pgrecast.call(database, "rollback", JOB).status == DONE
    outcome = instance.wait()
    assert outcome.status == DONE and 'of table "public"."orders"' in outcome.stderr, str(outcome)
    assert pgrecast.job_phase(database) == "rolled_back"
    assert database.value("SELECT part FROM orders WHERE id = 5") == 9
    assert database.value("SELECT count(*) FROM items WHERE id = 5") == 0
    assert pgrecast.call(database, "finish", JOB).status == DONE
    for table in before:
        assert_untouched(database, before[table], table)
