"""Sequences of serial columns whose column becomes wider: ALTER TABLE leaves them narrow, and so does a job, but it says so."""

import pytest

import pgrecast
from pgrecast import DONE, REFUSED, USAGE
from tables import assert_clean, describe

TABLE = ("CREATE TABLE t (id serial PRIMARY KEY, small smallserial, v text); INSERT INTO t (v) SELECT 'v' || g FROM generate_series(1, 300) g")
ALTER = "ALTER TABLE t ALTER COLUMN id TYPE bigint"
BOTH = ALTER + "; ALTER SEQUENCE t_id_seq AS bigint"
SEQUENCES = ("SELECT c.relname || ' ' || s.seqtypid::regtype || ' ' || s.seqmin || ' ' || s.seqmax || ' ' || s.seqstart || ' ' || s.seqincrement"
             " FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1")
LIMIT = 2147483647


@pytest.fixture
def twin(database):
    return database.server.new_database()


def sequences(database):
    return [row[0] for row in database.execute(SEQUENCES)]


def without_sequences(database):
    return {section: value for section, value in describe(database, "t").items() if section != "sequences"}


def roll_back(database, status=DONE):
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == status, str(outcome)
    return outcome


def finish(database, job):
    outcome = pgrecast.call(database, "finish", "t")
    assert outcome.status == DONE, str(outcome)
    assert job.wait().status == DONE
    assert_clean(database)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_it_is_said(database, command):
    """Sequence, type, limit, where it stands, and both remedies."""
    database.execute(TABLE)
    before = sequences(database)
    outcome = (pgrecast.call(database, "plan", "--sql", ALTER) if command == "plan" else pgrecast.run(database, ALTER))
    assert outcome.status == DONE, str(outcome)
    text = " ".join(outcome.text.split())
    assert ('column "id" becomes bigint, but its sequence "public"."t_id_seq" stays integer (as with ALTER TABLE): nextval fails at'
            f' {LIMIT}, and it is at 300. To widen it too: --widen-sequences, or add ALTER SEQUENCE "public"."t_id_seq" AS bigint'
            ' to the statements') in text, str(outcome)
    assert "t_small_seq" not in text or command == "plan"
    assert sequences(database) == before


@pytest.mark.parametrize("how", ["statement", "option"])
def test_widened(database, twin, how):
    """The result is that of plain ALTER TABLE and ALTER SEQUENCE; a rollback gives the old type back; forward again widens anew."""
    for each in (database, twin):
        each.execute(TABLE)
    before, described = sequences(database), without_sequences(database)
    arguments = [BOTH] if how == "statement" else [ALTER, "--widen-sequences"]
    job = pgrecast.start_run(database, *arguments, window=None)
    job.wait_phase("reverse")
    assert "stays integer" not in job.outcome().stderr
    twin.execute(BOTH)
    assert sequences(database) == sequences(twin)
    assert "t_id_seq bigint 1 9223372036854775807 1 1" in sequences(database)
    assert database.value("INSERT INTO t (v) VALUES ('new') RETURNING id") == 301
    roll_back(database)
    assert sequences(database) == before and without_sequences(database) == described
    assert database.value("INSERT INTO t (v) VALUES ('back') RETURNING id") == 302
    assert pgrecast.call(database, "cutover", "t", "--wait").status == DONE
    assert sequences(database) == sequences(twin)
    assert database.value("INSERT INTO t (v) VALUES ('again') RETURNING id") == 303
    finish(database, job)
    assert without_sequences(database) == without_sequences(twin)


@pytest.mark.main_major
def test_the_lock_is_the_sequence_s(database):
    database.execute(TABLE)
    outcome = pgrecast.call(database, "plan", "--sql", BOTH)
    assert outcome.status == DONE, str(outcome)
    assert "ALTER SEQUENCE t_id_seq AS bigint: changes the sequence only (SHARE ROW EXCLUSIVE on it, instant)" in " ".join(outcome.stdout.split())


@pytest.mark.main_major
def test_a_rollback_beyond_the_limit(database):
    """The sequence has passed what an integer holds: it stays wide, so that it gives nothing out twice."""
    database.execute(TABLE)
    job = pgrecast.start_run(database, BOTH, window=None)
    job.wait_phase("reverse")
    database.execute(f"SELECT setval('t_id_seq', {LIMIT + 5})")
    roll_back(database)
    assert "t_id_seq bigint 1 9223372036854775807 1 1" in sequences(database)
    assert database.value("SELECT nextval('t_id_seq')") == LIMIT + 6
    assert database.value("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'id'") == "integer"
    finish(database, job)


@pytest.mark.main_major
def test_a_custom_limit_is_kept(database, twin):
    for each in (database, twin):
        each.execute(TABLE + "; ALTER SEQUENCE t_id_seq MAXVALUE 5000")
    job = pgrecast.start_run(database, ALTER, "--widen-sequences", window=None)
    job.wait_phase("reverse")
    twin.execute(BOTH)
    assert sequences(database) == sequences(twin)
    finish(database, job)


@pytest.mark.main_major
@pytest.mark.parametrize("sql, status, word", [
    (ALTER + "; ALTER SEQUENCE t_id_seq AS bigint RESTART 5", REFUSED, "only the type"),
    (ALTER + "; ALTER SEQUENCE t_id_seq AS smallint", REFUSED, "narrower"),
    (ALTER + "; ALTER SEQUENCE of_nobody AS bigint", USAGE, "neither an index nor a sequence of a table"),
    (ALTER + "; ALTER SEQUENCE missing AS bigint", USAGE, "missing"),
], ids=["restart", "narrower", "of nobody", "missing"])
def test_refused(database, sql, status, word):
    database.execute(TABLE + "; CREATE SEQUENCE of_nobody")
    outcome = pgrecast.run(database, sql)
    assert outcome.status == status and word in outcome.stderr, str(outcome)
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0
