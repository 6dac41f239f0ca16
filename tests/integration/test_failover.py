"""The primary is gone and its standby has taken over, with the slot of the job (17+): the job goes on there.

What was committed last may be lost with the primary. The mirror on the promoted server knows what is not.
"""

import psycopg2
import pytest

import pgrecast
from load import Load
from pgrecast import FAILED
from rewrite import JOB, Rewrite
from servers import Server, wait_until
from tables import assert_aborts

WITH_SLOTS = (17, 18)
NOTHING_PREPARED = {"prepare": 0}  # nobody would be there to end it


class Pair:
    """A primary and its standby."""

    def __init__(self, major):
        self.primary = Server(major).start()
        try:
            self.standby = self.primary.standby()
        except BaseException:
            self.primary.remove()
            raise

    def remove(self):
        self.standby.remove()
        self.primary.remove()

    def wait_synced(self, name, consume=lambda: None):
        """
        The standby has the slots of that database, fit for a failover. For that the slots must be moving: which they do
        not, as to what they need of the catalogs, while one writing transaction overlaps the next and no catalog changes.
        """
        def synced():
            self.primary.execute("CREATE TABLE moves (); DROP TABLE moves", database=name)
            self.primary.execute("SELECT pg_log_standby_snapshot()")
            consume()
            self.standby.execute("SELECT pg_reload_conf()")  # wakes the worker
            there = self.primary.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", name)
            here = self.standby.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s AND synced"
                                        " AND NOT temporary AND invalidation_reason IS NULL", name)
            return there and sorted(there) == sorted(here)

        wait_until(synced, "the slots to be on the standby", timeout=60, interval=0.2)

    def wait_replayed(self):
        place = self.primary.execute("SELECT pg_current_wal_lsn()")[0][0]
        wait_until(lambda: self.standby.execute("SELECT pg_last_wal_replay_lsn() >= %s", place) == [(True,)],
                   "the standby to have it all")

    def fail_over(self, rewrite):
        """The primary is gone, and the standby in its place; so are the sessions that knew the primary."""
        self.primary.stop("immediate")
        rewrite.load.kill()
        rewrite.kill()
        self.standby.promote()
        rewrite.database = rewrite.database.on(self.standby)
        rewrite.load = Load(rewrite.database, rewrite.workload, rows=rewrite.load.rows, weights=NOTHING_PREPARED,
                            generation=rewrite.load.generation + 1)


@pytest.fixture
def pair(major):
    made = Pair(major)
    yield made
    made.remove()


@pytest.mark.majors(WITH_SLOTS)
def test_the_standby_takes_over(pair):
    """The premise: it has the slot, and what was committed; the load goes on there."""
    database = pair.primary.new_database()
    rewrite = Rewrite(database, rows=1000, weights=NOTHING_PREPARED)
    database.execute("SELECT pg_create_logical_replication_slot('premise', 'test_decoding', false, false, true)")
    with rewrite.load:
        pair.wait_synced(database.name, lambda: database.value(
            "SELECT count(*) FROM pg_logical_slot_get_changes('premise', NULL, NULL)"))
        rewrite.load.wait_for(50)
        pair.fail_over(rewrite)
    with rewrite.load:
        rewrite.load.wait_for(50)
    rewrite.assert_load_unharmed()
    rewrite.assert_serves()
    assert rewrite.database.value("SELECT count(*) FROM pg_logical_slot_get_changes('premise', NULL, NULL)") > 0


@pytest.mark.majors(WITH_SLOTS)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("phase", ["copy", "index", "ready", "reverse", "rolled_back"])
def test_failover(pair, phase):
    database = pair.primary.new_database()
    rewrite = Rewrite(database, "workloads:Paced", rows=3000, weights=NOTHING_PREPARED)
    with rewrite.load:
        if phase == "copy":
            rewrite.pace(0.02)
            rewrite.run().wait_phase("copy")
            rewrite.wait_copied()
        elif phase == "ready":
            rewrite.run("--cutover=hold").wait_phase("ready")
        elif phase == "index":
            rewrite.run(hold="index").wait_phase("index")
        else:
            rewrite.to_reverse()
            if phase == "rolled_back":
                rewrite.roll_back()
        pair.wait_synced(database.name)
        rewrite.load.wait_for(50)
        if phase == "copy":
            assert rewrite.phase == "copy"  # still
        pair.fail_over(rewrite)
    with rewrite.load:
        rewrite.assert_serves()
        rewrite.pace(0)
        rewrite.resume()
        if phase == "ready":
            wait_until(lambda: rewrite.database.value("SELECT pid FROM pgrecast.job") == rewrite.instance.process.pid,
                       "the instance to have the job")  # what was asked for before is forgotten
            rewrite.command("cutover")
        if phase == "rolled_back":
            rewrite.instance.wait_phase("rolled_back")
        else:
            rewrite.instance.wait_phase("reverse")
            rewrite.load.wait_for(50)
            rewrite.assert_follows()
            rewrite.roll_back()
        rewrite.load.wait_for(50)
        rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over_with_original()


@pytest.mark.majors((15, 17))
@pytest.mark.parametrize("phase", ["copy", "reverse"])
def test_failover_without_the_slot(pair, phase):
    """No slot on the new primary: said so, nothing is guessed; the table serves on and the job can be ended."""
    if pair.standby.major >= 17:
        pair.standby.configure(sync_replication_slots="off")
    database = pair.primary.new_database()
    rewrite = Rewrite(database, "workloads:Paced", rows=2000, weights=NOTHING_PREPARED)
    with rewrite.load:
        if phase == "copy":
            rewrite.pace(0.02)
            rewrite.run().wait_phase("copy")
            rewrite.wait_copied()
        else:
            rewrite.to_reverse()
        pair.wait_replayed()
        pair.fail_over(rewrite)
    outcome = pgrecast.resume(rewrite.database, JOB)
    assert outcome.status == FAILED and "slot" in outcome.stderr, str(outcome)
    if phase == "copy":
        assert_aborts(rewrite.database, JOB)
        rewrite.assert_original()
    else:
        rewrite.command("rollback", status=pgrecast.NO_ROLLBACK)
        rewrite.command("finish")
        rewrite.assert_serves()
    rewrite.assert_gone()


@pytest.fixture
def readable(major):
    with_standby = Pair(major)
    with_standby.standby.configure(max_standby_streaming_delay="1s")
    yield with_standby
    with_standby.remove()


def type_of_id(database):
    try:
        return database.value("SELECT pg_typeof(id)::text FROM items WHERE id = 100")
    except psycopg2.errors.SerializationFailure:
        return None


@pytest.mark.main_major
def test_readers_on_a_standby(readable):
    """
    The swap's lock is replayed there: a transaction that has read the table is in its way, so it is ended after
    max_standby_streaming_delay, as by any DDL. Who reads meanwhile waits, or is cancelled too while the replay is late.
    """
    database = readable.primary.new_database("readers")
    database.execute("CREATE TABLE items (id integer PRIMARY KEY, n integer); INSERT INTO items SELECT i, i FROM generate_series(1, 100) AS i")
    readable.wait_replayed()
    there = database.on(readable.standby)
    old = there.connect(autocommit=False)
    reader = old.cursor()
    reader.execute("SELECT sum(n) FROM items")
    rewriting = pgrecast.run(database, "ALTER TABLE items ALTER COLUMN id TYPE bigint")
    assert rewriting.status == pgrecast.DONE, str(rewriting)
    wait_until(lambda: type_of_id(there) == "bigint", "the swap to be replayed")
    with pytest.raises(psycopg2.OperationalError):  # idle in a transaction: its session was ended
        reader.execute("SELECT sum(n) FROM items")
    assert "due to conflict with recovery" in readable.standby.log.read_text()
    old.close()
    readable.wait_replayed()
    assert there.value("SELECT sum(n) FROM items") == 5050
