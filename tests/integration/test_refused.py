"""What a job could not do at its end is refused before it begins, with the reason, and what can be done is not refused."""

import os

import pytest

import pgrecast
from conftest import rotate, spread
from pgrecast import DONE, REFUSED
from servers import APP_ROLE
from tables import describe

TABLE = "CREATE TABLE t (id integer PRIMARY KEY, a integer); INSERT INTO t SELECT g, g FROM generate_series(1, 5) g;"
ALTER = "ALTER TABLE t ALTER COLUMN a TYPE bigint"


def words(outcome):
    return " ".join(outcome.stderr.split())


def refused(database, *expected, sql=ALTER):
    """plan and run refuse with the same reasons, and nothing was created."""
    before, things = describe(database, "t"), pgrecast.leftovers(database)
    for outcome in (pgrecast.call(database, "plan", "--sql", sql), pgrecast.run(database, sql)):
        assert outcome.status == REFUSED, str(outcome)
        for text in expected:
            assert text in words(outcome), str(outcome)
    assert describe(database, "t") == before and pgrecast.leftovers(database) == things
    assert database.superuser("SELECT to_regnamespace('pgrecast')") == [(None,)]


@pytest.mark.parametrize("major, case", rotate(["type", "domain", "row", "sequence", "view"]))
def test_names_that_the_swap_needs(database, case):
    statement, what = {
        "type": ("CREATE TYPE t_pgrecast_old AS ENUM ('a')", 'a relation or type "t_pgrecast_old" exists already: it is a type'),
        "domain": ("CREATE DOMAIN t_pgrecast_new AS integer", 'a relation or type "t_pgrecast_new" exists already: it is a type'),
        "row": ("CREATE TYPE t_pgrecast_old AS (a integer)", 'a relation or type "t_pgrecast_old" exists already: it is a type'),
        "sequence": ("CREATE SEQUENCE t_pgrecast_old", 'a relation or type "t_pgrecast_old" exists already: it is a sequence'),
        "view": ("CREATE VIEW t_pgrecast_new AS SELECT 1", 'a relation or type "t_pgrecast_new" exists already: it is a view'),
    }[case]
    database.execute(TABLE + statement)
    refused(database, what, "Rename it, or drop it if it is not needed.")


@pytest.mark.main_major
def test_a_kept_original_is_called_that(database):
    """The next job names the job that kept it, and the statement that drops it."""
    database.execute(TABLE)
    assert pgrecast.run(database, ALTER, "--job", "first", "--keep-original").status == DONE
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER COLUMN id TYPE bigint")
    assert outcome.status == REFUSED, str(outcome)
    assert 'a relation or type "t_pgrecast_old" exists already: the ended job "first" has kept this table' in words(outcome)
    drop = words(outcome).split("not needed any more: ")[1].strip()
    assert drop == "DROP TABLE public.t_pgrecast_old"
    database.execute(drop)
    assert pgrecast.run(database, "ALTER TABLE t ALTER COLUMN id TYPE bigint").status == DONE


FUNCTIONS = ["pg_logical_emit_message", "pg_export_snapshot", "pg_drop_replication_slot", "pg_create_logical_replication_slot",
             "pg_visible_in_snapshot"]


def test_functions_that_a_run_needs(database):
    """All of them are named at once."""
    database.execute(TABLE)
    for verb, preposition in (("REVOKE", "FROM"), ("GRANT", "TO")):
        for name, in database.superuser(f"SELECT oid::regprocedure FROM pg_proc WHERE proname = ANY (ARRAY{FUNCTIONS})"):
            database.superuser(f"{verb} EXECUTE ON FUNCTION {name} {preposition} PUBLIC")
        if verb == "REVOKE":
            refused(database, f"Role {APP_ROLE} may not execute ", *(f"{name}(" for name in FUNCTIONS), "GRANT EXECUTE ON FUNCTION")
    assert pgrecast.run(database, ALTER).status == DONE


def test_a_statement_timeout_of_the_role(database):
    """Even the statement that sets up a session takes longer than this."""
    database.execute(TABLE)
    database.superuser(f"ALTER ROLE {APP_ROLE} IN DATABASE {database.name} SET statement_timeout = '1ms'")
    outcome = pgrecast.run(database, ALTER)
    assert outcome.status == DONE, str(outcome)


@pytest.mark.majors((16, 18))  # memberships have no SET option before 16
def test_a_membership_that_cannot_be_set(database):
    database.execute(TABLE)
    owner = f"{database.name}_owner"
    database.superuser(f"CREATE ROLE {owner}; GRANT {owner} TO {APP_ROLE} WITH SET FALSE; GRANT CREATE ON SCHEMA public TO {owner}; "
                       f"ALTER TABLE t OWNER TO {owner}")
    try:
        refused(database, f'the session\'s role is a member of its owner "{owner}" WITH SET FALSE')
        database.superuser(f"ALTER TABLE t OWNER TO {APP_ROLE}; CREATE VIEW v AS SELECT a FROM t; ALTER VIEW v OWNER TO {owner}; "
                           "CREATE VIEW kept AS SELECT id FROM t; ALTER VIEW kept OWNER TO " + owner)
        refused(database, f"view public.v: the session's role is a member of its owner {owner} WITH SET FALSE")
        database.superuser(f"DROP VIEW v; GRANT SELECT ON t TO {owner} WITH GRANT OPTION; SET ROLE {owner}; GRANT SELECT ON t TO PUBLIC; "
                           f"RESET ROLE; CREATE STATISTICS st ON id, a FROM t; ALTER STATISTICS st OWNER TO {owner}")
        refused(database, f"role {owner} has granted SELECT to PUBLIC", f'statistics object "st" belongs to role "{owner}"')
        database.superuser(f"GRANT {owner} TO {APP_ROLE} WITH SET TRUE")
        assert pgrecast.run(database, ALTER).status == DONE
    finally:
        database.superuser(f"ALTER TABLE t OWNER TO {APP_ROLE}; DROP OWNED BY {owner}; DROP ROLE {owner}")


def test_a_role_that_sessions_get_by_default(database):
    """ALTER ROLE ... SET role: the sessions have a role that may not use slots."""
    database.execute(TABLE)
    other = f"{database.name}_other"
    database.superuser(f"CREATE ROLE {other}; GRANT {other} TO {APP_ROLE}; GRANT ALL ON SCHEMA public TO {other}; "
                       f"GRANT CREATE, TEMPORARY ON DATABASE {database.name} TO {other}; ALTER TABLE t OWNER TO {other}; "
                       f"ALTER ROLE {APP_ROLE} IN DATABASE {database.name} SET role TO {other}")
    try:
        refused(database, f"The sessions of role {APP_ROLE} have the role {other}", "which may not use replication slots")
        database.superuser(f"ALTER ROLE {other} REPLICATION")
        assert pgrecast.run(database, ALTER).status == DONE
    finally:
        database.superuser(f"DROP SCHEMA IF EXISTS pgrecast CASCADE; ALTER ROLE {APP_ROLE} IN DATABASE {database.name} RESET role; "
                           f"DROP OWNED BY {other}; DROP ROLE {other}")


@pytest.mark.majors((18,))
def test_a_temporal_key(database):
    database.superuser("CREATE EXTENSION btree_gist")
    database.execute("CREATE TABLE t (id integer, during daterange, a integer, PRIMARY KEY (id, during WITHOUT OVERLAPS))")
    refused(database, 'table "t" has a primary key WITHOUT OVERLAPS, by which the server does not say which row was changed')


@pytest.mark.main_major
def test_places_of_the_spool(database, tmp_path):
    """Where others could have planted it, or could replace it."""
    database.execute(TABLE)
    everyone, other, link = tmp_path / "everyone", tmp_path / "other", tmp_path / "link"
    everyone.mkdir()
    everyone.chmod(0o777)
    other.mkdir()
    link.symlink_to(everyone)
    (everyone / "mine").mkdir()
    replaceable = "every user can replace what is in it"
    cases = [(place, replaceable) for place in (everyone, everyone / "mine", everyone / "below", link)]
    if os.getuid() == 0:
        os.chown(other, 4711, 4711)
        cases += [(other, "it belongs to another user"), (other / "below", "it belongs to another user")]
    for number, (place, reason) in enumerate(cases):
        outcome = pgrecast.call(database, ("plan", "run")[number % 2], "--sql", ALTER, "--spool-dir", str(place))
        assert outcome.status == REFUSED and 'the spool cannot be in "' in words(outcome) and reason in words(outcome), str(outcome)
    everyone.chmod(0o1777)
    job = pgrecast.start_run(database, ALTER, spool=str(everyone), hold="init")
    job.wait_phase("init")
    (everyone / database.value("SELECT slot_name FROM pgrecast.stream")).symlink_to(other)
    job.release()
    outcome = job.wait()
    assert outcome.status == REFUSED and "it is there already, and is no directory" in words(outcome), str(outcome)
    assert list(other.iterdir()) == []
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_a_relative_place_of_the_spool(database, tmp_path, monkeypatch):
    """It is stored as an absolute path: a later command may run elsewhere."""
    database.execute(TABLE)
    monkeypatch.chdir(tmp_path)
    job = pgrecast.start_run(database, ALTER, spool="here", hold="copy")
    job.wait_phase("copy")
    assert database.value("SELECT spool_directory FROM pgrecast.stream").startswith(f"{tmp_path}/here/")
    job.release()
    assert job.wait().status == DONE


CODES = """
CREATE FUNCTION plain(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
CREATE FUNCTION slug(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plain($1); END';
ALTER TABLE t ADD c text DEFAULT 'x';
"""
# created without rows, because of the search_path that CREATE INDEX has from 17 on
REFILLED = "CREATE TABLE r AS TABLE t; TRUNCATE t; {}; INSERT INTO t TABLE r;"
EVALUATED = {
    "time": ("ALTER TABLE t ADD until timestamptz DEFAULT clock_timestamp() + interval '20 ms', ADD CONSTRAINT k CHECK (until > now());"
             "SELECT pg_sleep(0.03)", 'CHECK constraint "k" does not hold any more for a row that is in the table',
             "ALTER TABLE t DROP CONSTRAINT k"),
    "check": (CODES + "ALTER TABLE t ADD CONSTRAINT k CHECK (slug(c) = 'x')", 'CHECK constraint "k" cannot be evaluated',
              "ALTER TABLE t DROP CONSTRAINT k"),
    "index": (CODES + REFILLED.format("CREATE INDEX i ON t (slug(c))"), 'the expression of index "i" cannot be evaluated', "DROP INDEX i"),
    "predicate": (CODES + REFILLED.format("CREATE INDEX i ON t (id) WHERE slug(c) = 'x'"), 'the expression of index "i" cannot be evaluated',
                  "DROP INDEX i"),
    "generated": (CODES + "ALTER TABLE t ADD g text GENERATED ALWAYS AS (slug(c)) STORED",
                  "the expression of a generated column cannot be evaluated", "ALTER TABLE t DROP COLUMN g"),
}


@pytest.mark.parametrize("major, case", spread(EVALUATED))
def test_what_is_evaluated_again(database, case):
    """ALTER TABLE does not evaluate these. Once the object is gone, the job runs; what the statements drop is no reason."""
    statements, reason, drop = EVALUATED[case]
    database.execute(TABLE)
    database.execute(statements)
    if case not in ("index", "predicate") or database.major < 17:  # from 17 on indexes are built with a search_path of their own
        database.execute("BEGIN; " + ALTER + "; ROLLBACK")
    refused(database, reason, "ALTER FUNCTION ... SET search_path")
    if case in ("time", "check", "generated"):
        assert pgrecast.call(database, "plan", "--sql", f"{ALTER}; {drop}").status == DONE
    if case == "time":
        replace = "ALTER TABLE t DROP CONSTRAINT k, ADD CONSTRAINT k CHECK (until > '2020-01-01')"
        assert pgrecast.call(database, "plan", "--sql", f"{ALTER}; {replace}").status == DONE
    database.execute(drop)
    assert pgrecast.run(database, ALTER).status == DONE


def test_what_is_evaluated_again_and_holds(database):
    """With a search_path of its own the function is no reason; nor is a CHECK that is NOT VALID, or one that still holds."""
    database.execute(TABLE + CODES)
    database.execute("""ALTER FUNCTION slug(text) SET search_path = public;
        ALTER TABLE t ADD CHECK (slug(c) = 'x'), ADD g text GENERATED ALWAYS AS (slug(c)) STORED NOT NULL, ADD at timestamptz DEFAULT now(),
            ADD CONSTRAINT past CHECK (at <= clock_timestamp());
        CREATE UNIQUE INDEX ON t (slug(c || id));
        ALTER TABLE t ADD CONSTRAINT future CHECK (at > now() + interval '1 day') NOT VALID""")
    outcome = pgrecast.call(database, "plan", "--sql", ALTER)
    assert outcome.status == DONE, str(outcome)


@pytest.mark.main_major
def test_nothing_is_evaluated_for_another_role(database):
    """The rows of a role that is not trusted are not tried, as nothing else of its table is evaluated by plan."""
    database.execute(TABLE)
    database.execute(EVALUATED["time"][0])
    outcome = pgrecast.call(database, "plan", "--sql", ALTER, user="postgres")
    note = "still accept the rows was not tried: the table belongs to another role"
    assert outcome.status == DONE and note in " ".join(outcome.text.split()), str(outcome)
    outcome = pgrecast.call(database, "plan", "--sql", ALTER, f"--trust-owner={APP_ROLE}", user="postgres")
    assert outcome.status == REFUSED and EVALUATED["time"][1] in words(outcome), str(outcome)
