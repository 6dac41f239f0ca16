"""How values go back, said anew at the rollback: for rows that the original cannot hold, and for all that come."""

import pytest

import pgrecast
from conftest import rotate, spread
from rewrite import Rewrite
from servers import wait_until
from tables import assert_clean, assert_equal, assert_follows, assert_same, describe, relations

TABLE = """
CREATE TABLE t (
    id integer PRIMARY KEY, amount integer NOT NULL DEFAULT 0, note text, n serial,
    u varchar(20) CONSTRAINT t_u UNIQUE, twice integer GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO t (id, amount, note, u) SELECT g, g * 10, 'note ' || g, 'u' || g FROM generate_series(1, 500) g;
CREATE TABLE m (id integer, amount bigint, note text, n integer, u varchar(20), twice integer);
INSERT INTO m SELECT * FROM t;
"""
ALTER = "ALTER TABLE t ALTER amount TYPE bigint, DROP COLUMN note"
MAP = "amount=least(amount, 2147483647)"
LEAST = {"amount": "least(amount, 2147483647)"}


def start(database, alter=ALTER, *arguments, **options):
    database.execute(TABLE)
    job = pgrecast.start_run(database, alter, *arguments, window=None, **options)
    job.wait_phase("reverse")
    return job


def both(database, sql, of_mirror=None):
    """One transaction on table and mirror."""
    database.execute(f"BEGIN; {sql.format(t='t')}; {(of_mirror or sql).format(t='m')}; COMMIT")


def command(database, name, *arguments, status=pgrecast.DONE):
    outcome = pgrecast.call(database, name, "t", *arguments)
    assert outcome.status == status, str(outcome)
    return outcome


def wait_blocked(database, rows):
    wait_until(lambda: pgrecast.the_job(database)["rollback"]["blocked_rows"] == rows, f"{rows} blocked rows", 20)


def new_rows(first, last, amount):
    """An INSERT; the column that was dropped has no default."""
    return (f"INSERT INTO {{t}} (id, amount, u, n) SELECT g, {amount}, 'u' || g, g FROM generate_series({first}, {last}) g",
            f"INSERT INTO m (id, amount, u, n, twice) SELECT g, {amount}, 'u' || g, g, g * 2"
            f" FROM generate_series({first}, {last}) g")


def overflow(database):
    """Rows that fit, and some that do not."""
    both(database, "UPDATE {t} SET amount = amount + 1 WHERE id % 5 = 0")
    both(database, "UPDATE {t} SET amount = 3000000000 + id WHERE id % 50 = 0")
    both(database, *new_rows(1001, 1020, 4000000000))
    both(database, "DELETE FROM {t} WHERE id % 9 = 0")


@pytest.mark.parametrize("major, running", spread(["running", "stopped"]))
def test_rollback_with_a_map(database, running):
    """The refusal names the option, and with it the rollback works."""
    database.execute(TABLE)
    before, there_before = describe(database, "t"), relations(database)
    job = pgrecast.start_run(database, ALTER, window=None)
    job.wait_phase("reverse")
    if running == "stopped":
        job.kill()
    overflow(database)
    if running == "running":
        wait_blocked(database, 27)
    outcome = command(database, "rollback", status=pgrecast.NO_ROLLBACK)
    assert "--reverse-map" in outcome.stderr and "27 rows" in outcome.stderr, str(outcome)
    assert pgrecast.job_phase(database) == "reverse"
    outcome = command(database, "rollback", "--reverse-map", MAP)
    assert "rolled back: the original is active" in outcome.stdout, str(outcome)
    assert pgrecast.job_phase(database) == "rolled_back"
    assert_equal(database, "t", "m", LEAST)
    assert_same(before, describe(database, "t"))
    command(database, "finish")
    if running == "running":
        assert job.wait().status == pgrecast.DONE
    assert relations(database) == there_before
    assert_clean(database)


def test_rows_that_are_not_proven(database):
    """They too get what the map says, whether they fit as they were or not."""
    job = start(database)
    both(database, "UPDATE {t} SET amount = 77 WHERE id <= 50")
    assert_follows(database, "t_pgrecast_old", "m")
    command(database, "rollback", "--reverse-map", "amount=-amount", "--reverse-map", "note='told ' || id")
    # Of a column that the new table lacks, each row keeps what it has.
    assert_equal(database, "t", "m", {"amount": "CASE WHEN id <= 50 THEN -amount ELSE amount END"})
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


def test_the_way_there_and_back_again(database):
    """The map holds for the next legs; a cutover leaves what only the new table can hold."""
    job = start(database)
    overflow(database)
    command(database, "rollback", "--reverse-map", MAP, "--reverse-map", "note='told ' || id")
    note = {"note": "CASE WHEN id > 1000 THEN 'told ' || id ELSE note END"}
    assert_equal(database, "t", "m", LEAST | note)
    database.execute("UPDATE t SET amount = 5 WHERE id = 100; UPDATE m SET amount = 5 WHERE id = 100")
    command(database, "verify")
    command(database, "cutover")
    job.wait_phase("reverse")
    assert_equal(database, "t", "m")
    both(database, *new_rows(2001, 2010, 5000000000))
    assert_follows(database, "t_pgrecast_old", "m", LEAST | note)
    command(database, "verify")
    command(database, "rollback")
    assert_equal(database, "t", "m", LEAST | note)
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


BAD = {
    "syntax": ("amount=amount +", pgrecast.USAGE),
    "column": ("amount=amounts", pgrecast.USAGE),
    "type": ("amount='x'::text", pgrecast.USAGE),
    "volatile": ("amount=random()", pgrecast.REFUSED),
    "no_expression": ("amount", pgrecast.USAGE),
    "no_column": ("nothing=1", pgrecast.USAGE),
    "generated": ("twice=1", pgrecast.USAGE),
    "key": ("id=id + 1", pgrecast.REFUSED),
}


@pytest.mark.main_major
@pytest.mark.parametrize("running", ["running", "stopped"])
def test_bad_maps(database, running):
    """Refused by name; nothing has changed, and the new table is followed on."""
    job = start(database)
    if running == "stopped":
        job.kill()
    plan = database.value("SELECT pg_catalog.array_agg(plan) FROM pgrecast.plan")
    for text, status in BAD.values():
        outcome = command(database, "rollback", "--reverse-map", text, status=status)
        assert "--reverse-map" in outcome.stderr or f'"{text}"' in outcome.stderr, str(outcome)
        assert "pgrecast_plan" not in outcome.stderr, str(outcome)
        assert pgrecast.job_phase(database) == "reverse"
        assert database.value("SELECT pg_catalog.array_agg(plan) FROM pgrecast.plan") == plan
    command(database, "rollback", "--reverse-map", "amount=1", "--reverse-map", "amount=2", status=pgrecast.USAGE)
    if running == "stopped":
        job = pgrecast.start_resume(database, "t")
    both(database, "UPDATE {t} SET amount = 7 WHERE id = 9")
    assert_follows(database, "t_pgrecast_old", "m")
    assert database.value("SELECT count(*) = 0 FROM pgrecast.request WHERE ended_at IS NULL")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


@pytest.mark.main_major
def test_map_that_does_not_help(database):
    """Rows that still do not fit are named; the map is in force all the same."""
    job = start(database)
    overflow(database)
    outcome = command(database, "rollback", "--reverse-map", "amount=nullif(least(amount, 2147483647), 2147483647)",
                      status=pgrecast.NO_ROLLBACK)
    assert "27 rows" in outcome.stderr, str(outcome)
    command(database, "rollback", "--reverse-map", MAP)
    assert_equal(database, "t", "m", LEAST)
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


def test_maps_of_the_run_stay(database):
    """One given with the job holds on where another column gets one; it can be replaced."""
    job = start(database, ALTER.replace("ALTER amount", "ALTER u TYPE text, ALTER amount"), "--reverse-map", "note='run ' || id",
                "--reverse-map", "u=left(u, 20)")
    overflow(database)
    both(database, "UPDATE {t} SET u = 'a text that is longer than twenty characters' WHERE id = 7",
         "UPDATE m SET u = left('a text that is longer than twenty characters', 20) WHERE id = 7")
    command(database, "rollback", "--reverse-map", MAP, "--reverse-map", "note = 'other ' || id")
    assert_equal(database, "t", "m", LEAST, ignore=("note",))
    assert database.value("SELECT bool_and(note IN ('run ' || id, 'other ' || id)) FROM t WHERE id > 1000")
    assert pgrecast.job_phase(database) == "rolled_back"
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


@pytest.mark.parametrize("major, stop", rotate(["lock", "killed"]))
def test_resume_uses_the_map(database, stop):
    """The rollback did not happen, or the program was killed in its midst: the map that came with it holds."""
    database.execute(TABLE)
    options = {"kill": "rollback-remapped"} if stop == "killed" else {}
    job = pgrecast.start_run(database, ALTER, "--cutover-attempts=2", "--lock-timeout=50ms", window=None, **options)
    job.wait_phase("reverse")
    overflow(database)
    if stop == "killed":
        asked = pgrecast.Running(database, ["rollback", "t", "--reverse-map", MAP])
        job.wait_killed()
        asked.kill()
    else:
        with database.connect(autocommit=False) as reader, reader.cursor() as cursor:
            cursor.execute("SELECT FROM t LIMIT 1")
            command(database, "rollback", "--reverse-map", MAP, status=pgrecast.NO_LOCK)
            reader.commit()
        reader.close()
        job.kill()
    assert pgrecast.job_phase(database) == "reverse"
    both(database, *new_rows(3001, 3010, 6000000000))
    job = pgrecast.start_resume(database, "t")
    assert_follows(database, "t_pgrecast_old", "m", LEAST)
    command(database, "rollback")
    assert_equal(database, "t", "m", LEAST)
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


@pytest.mark.main_major
def test_resume_after_a_rollback_without_an_instance(database):
    """The original serves again; what it could not hold is no failure of parity."""
    job = start(database)
    job.kill()
    overflow(database)
    command(database, "rollback", "--reverse-map", MAP)
    both(database, "UPDATE {t} SET amount = 5 WHERE id = 100")
    job = pgrecast.start_resume(database, "t")
    assert_follows(database, "t_pgrecast_new", "m", ignore=("note", "n"))
    job.kill()
    job = pgrecast.start_resume(database, "t")
    wait_until(lambda: database.value("SELECT pid FROM pgrecast.job") == job.process.pid, "the instance to have the job")
    command(database, "verify")
    command(database, "cutover")
    job.wait_phase("reverse")
    both(database, *new_rows(3001, 3010, 6000000000))
    assert_follows(database, "t_pgrecast_old", "m", LEAST)
    command(database, "rollback")
    assert_equal(database, "t", "m", LEAST)
    command(database, "abort")
    job.wait()
    assert_clean(database)


CHANGES = {
    "sequences": "ALTER TABLE t DROP COLUMN n, ALTER amount TYPE bigint",
    "identity": "ALTER TABLE t ALTER n DROP DEFAULT, ALTER n ADD GENERATED BY DEFAULT AS IDENTITY, ALTER amount TYPE bigint",
    "stages": "ALTER TABLE t RENAME amount TO total; ALTER TABLE t ALTER total TYPE bigint; ALTER TABLE t ADD UNIQUE (total, id);"
              " CREATE INDEX ON t (note); ALTER TABLE t ADD COLUMN extra uuid DEFAULT gen_random_uuid()",
    "using": "ALTER TABLE t ALTER amount TYPE bigint USING amount::bigint, ALTER u TYPE text; DROP INDEX i",
    "rebuild": None,
}


@pytest.mark.parametrize("major, name", rotate(CHANGES))
def test_planned_anew_from_what_is_stored(database, name):
    """Names, sequences and indexes of the original are those of the new table by then."""
    alter = CHANGES[name]
    database.execute(TABLE + "CREATE INDEX i ON t (u)")
    before, there_before = describe(database, "t"), relations(database)
    how = [] if alter else ["--rebuild", "-t", "t"]
    job = pgrecast.start_run(database, alter, *how, window=None)
    job.wait_phase("reverse")
    column = "total" if name == "stages" else "amount"
    amount = 3000000000 if alter else 2000000000
    both(database, f"UPDATE t SET {column} = {amount} WHERE id = 7", f"UPDATE m SET amount = {amount} WHERE id = 7")
    command(database, "rollback", "--reverse-map", f"amount=least({column}, 1999999999)")
    assert_equal(database, "t", "m", {"amount": "least(amount, 1999999999)"})
    assert_same(before, describe(database, "t"))
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert relations(database) == there_before
    assert_clean(database)


@pytest.mark.parametrize("major, running", rotate(["running", "stopped"], 1))
def test_map_under_load(database, running):
    """Every write is there after it; the map changes nothing of what fits."""
    rewrite = Rewrite(database, rows=3000)
    with rewrite.load:
        rewrite.to_reverse()
        rewrite.load.wait_for(100)
        if running == "stopped":
            rewrite.kill()
            rewrite.load.wait_for(100)
        rewrite.command("rollback", "--reverse-map", "note=note")
        assert rewrite.phase == "rolled_back"
        rewrite.load.wait_for(50)
    rewrite.finish()
    rewrite.assert_over_with_original()
