"""A backlog that several sessions apply at once, and what a crash leaves of it."""

import random

import pytest

import oracle
import pgrecast
from servers import wait_until
from tables import assert_clean

TABLE = """
CREATE TABLE t (id integer PRIMARY KEY, n integer NOT NULL, note text);
CREATE TABLE m (LIKE t INCLUDING ALL);
CREATE INDEX t_n ON t (n);
INSERT INTO t SELECT g, g % 100, 'note ' || g FROM generate_series(1, 60000) g;
INSERT INTO m SELECT * FROM t;
"""
ALTER = "ALTER TABLE t ALTER COLUMN id TYPE bigint, ALTER COLUMN n TYPE bigint USING n + 1"
NO_HELP = ["--jobs=1"]

# Of every kind; each row of the table is met by several transactions, and keys come and go.
CHANGES = (
    "UPDATE {t} SET n = n + 1 WHERE id % 60 = {k}",
    "UPDATE {t} SET note = note || '+' WHERE id % 61 = {k}",
    "DELETE FROM {t} WHERE id % 211 = {k}",
    "INSERT INTO {t} SELECT g * 211 + {k}, {k}, 'new' FROM generate_series(1, 280) g ON CONFLICT DO NOTHING",
    "UPDATE {t} SET id = id + 10000000 WHERE id % 499 = {k} AND NOT EXISTS (SELECT FROM {t} o WHERE o.id = {t}.id + 10000000)",
    "DELETE FROM {t} WHERE id % 307 = {k}; INSERT INTO {t} SELECT g * 307 + {k}, 7, NULL FROM generate_series(1, 190) g"
    " ON CONFLICT DO NOTHING",
)


def write_backlog(database, transactions, seed=1):
    """Many transactions of some hundred rows, each on table and mirror."""
    choose = random.Random(seed)
    with database.connect(autocommit=False) as conn, conn.cursor() as cursor:
        for _ in range(transactions):
            change, k = choose.choice(CHANGES), choose.randrange(60)
            for table in ("t", "m"):
                cursor.execute(change.format(t=table, k=k))
            conn.commit()


def applying(database, condition="true"):
    """How many sessions apply."""
    return database.superuser("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgrecast apply'"
                              f" AND datname = current_database() AND {condition}")[0][0]


def assert_equal(database, outcome):
    assert outcome.status == pgrecast.DONE, str(outcome)
    database.execute("UPDATE m SET n = n + 1")
    assert not oracle.compare(database, "t", "m")
    assert_clean(database)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("arguments, sessions", [(["--jobs=3"], 3), (NO_HELP, 1)], ids=["three", "one"])
def test_backlog(database, arguments, sessions):
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, "--cutover=hold", *arguments, hold="catchup")
    job.wait_phase("catchup")
    write_backlog(database, 200)
    job.release()
    job.wait_phase("ready")
    assert applying(database) == sessions
    pgrecast.call(database, "cutover", "t")
    assert_equal(database, job.wait())


@pytest.mark.timeout(300)
def test_killed_between_the_commits(database):
    """The helpers have committed their parts of a batch, the place is not written: it is all applied once more."""
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER, "--jobs=3", hold="catchup")
    job.wait_phase("catchup")
    write_backlog(database, 400)
    with database.connect(user="postgres", autocommit=False) as conn, conn.cursor() as cursor:
        job.release()
        wait_until(lambda: database.value("SELECT changes_applied > 0 FROM pgrecast.position"), "the first batch")
        cursor.execute("SELECT FROM pgrecast.position FOR SHARE")  # the helpers want no more than that
        wait_until(lambda: applying(database, "wait_event_type = 'Lock' AND query LIKE '%UPDATE pgrecast.position%'"),
                   "the place to be written")
        assert applying(database, "state = 'idle' AND query = 'COMMIT'") == 2
        job.kill()
        conn.rollback()
    write_backlog(database, 50, seed=2)
    assert_equal(database, pgrecast.call(database, "resume", "t", timeout=240))


@pytest.mark.timeout(300)
def test_a_row_that_fails_in_a_helper(database):
    """Its key is named, nothing of its batch is there, and the job can go on once it is gone."""
    database.execute(TABLE)
    job = pgrecast.start_run(database, ALTER.replace("n + 1", "(n * 1000)::integer"), "--jobs=3", hold="catchup")
    job.wait_phase("catchup")
    write_backlog(database, 150)
    database.execute("INSERT INTO t VALUES (1000000, 2000000000, NULL)")
    for key in (1000001, 1000002):
        database.execute(f"INSERT INTO t VALUES ({key}, 1, NULL)")
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.FAILED, str(outcome)
    assert "(1000000)" in outcome.text, str(outcome)
    assert not applying(database)
    assert pgrecast.call(database, "abort", "t").status == pgrecast.DONE
    assert_clean(database)
