"""Whose code runs with whose rights: the functions of a table's owner do not run as another role that runs the program,
unless it says that the owner is trusted. The comparison is with what plain statements run, as whom."""

import pytest

import pgrecast
from servers import APP_ROLE
from tables import assert_aborts, assert_clean

TYPE = "ALTER TABLE victim ALTER COLUMN id TYPE bigint"
OWNER, MEMBER = "rights_owner", "rights_member"
TRUST = f"--trust-owner={OWNER}"

# A function of the owner notes who runs it, and reads what only that role may.
SETUP = f"""
GRANT CREATE, USAGE ON SCHEMA public TO {OWNER}, {MEMBER};
GRANT CREATE ON DATABASE %(database)s TO {MEMBER};
CREATE TABLE seen (who text, what text);
GRANT INSERT, SELECT ON seen TO public;
CREATE TABLE loot (v text);
GRANT ALL ON loot TO public;
CREATE TABLE secret (v text);
INSERT INTO secret VALUES ('payroll');
ALTER TABLE secret OWNER TO {MEMBER};
SET SESSION AUTHORIZATION {OWNER};
CREATE FUNCTION note(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> '{OWNER}' OR session_user NOT IN ('{OWNER}', 'postgres') THEN
        INSERT INTO public.seen VALUES (current_user, what);
        BEGIN INSERT INTO public.loot SELECT v FROM public.secret; EXCEPTION WHEN OTHERS THEN NULL; END;
    END IF;
EXCEPTION WHEN OTHERS THEN NULL;
END $$;
CREATE FUNCTION number(i integer, what text) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM public.note(what); RETURN i; END $$;
CREATE FUNCTION holds(i integer, what text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM public.note(what); RETURN true; END $$;
CREATE FUNCTION changed() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM public.note('trigger'); RETURN new; END $$;
CREATE FUNCTION difference(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM public.note('range'); RETURN $1 - $2; END $$;
CREATE TABLE victim (id integer PRIMARY KEY, a integer);
INSERT INTO victim SELECT g, g FROM generate_series(1, 20) g;
RESET SESSION AUTHORIZATION;
"""

# What the owner adds to the table, and how a refusal calls it.
PLACES = {
    "index": ("CREATE INDEX vi ON victim ((number(a, 'index')))", "index vi"),
    "index_folded": ("CREATE INDEX vi ON victim ((a + number(1, 'folded')))", "index vi"),
    "predicate": ("CREATE INDEX vi ON victim (a) WHERE holds(a, 'predicate')", "index vi"),
    "check": ("ALTER TABLE victim ADD CONSTRAINT vc CHECK (holds(a, 'check'))", "constraint vc"),
    "generated": ("ALTER TABLE victim ADD g integer GENERATED ALWAYS AS (number(a, 'generated')) STORED", "generated column g"),
    "domain": ("CREATE DOMAIN small AS integer CONSTRAINT vd CHECK (holds(VALUE, 'domain'));"
               "ALTER TABLE victim ADD d small; UPDATE victim SET d = a", "constraint vd of domain public.small"),
    "range": ("CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = difference);"
              "ALTER TABLE victim ADD s span; CREATE INDEX vi ON victim USING gist (s)", "type public.span"),
}
FUNCTION = {"index": "number", "index_folded": "number", "generated": "number", "range": "difference"}


@pytest.fixture
def rights(database):
    """A table of one role, and another role that is its member."""
    for role, options in ((OWNER, "LOGIN"), (MEMBER, "LOGIN REPLICATION")):
        database.superuser(f"DO $$ BEGIN CREATE ROLE {role} {options}; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    database.superuser(f"GRANT {OWNER} TO {MEMBER}; GRANT {MEMBER} TO {APP_ROLE}")  # who looks at the job's state
    database.superuser(SETUP % {"database": database.name})
    return database


def as_owner(database, statements):
    """By the owner, of whom the superuser's session has no rights left."""
    database.superuser(f"SET SESSION AUTHORIZATION {OWNER}; {statements}; RESET SESSION AUTHORIZATION; DELETE FROM seen; DELETE FROM loot")


def seen(database):
    return database.superuser("SELECT who, what FROM seen UNION ALL SELECT 'loot', v FROM loot")


def run(database, *arguments, user=MEMBER, **options):
    return pgrecast.start_run(database, TYPE, *arguments, user=user, **options)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("user", [MEMBER, "postgres"])
def test_the_owners_code_is_a_reason_to_refuse(rights, place, user):
    statements, what = PLACES[place]
    as_owner(rights, statements)
    for outcome in (pgrecast.call(rights, "plan", "--sql", TYPE, user=user), run(rights, user=user).wait()):
        assert outcome.status == pgrecast.REFUSED, str(outcome)
        words = " ".join(outcome.stderr.split())
        assert f'function public.{FUNCTION.get(place, "holds")}(' in words and f'role "{OWNER}" ({what}' in words, str(outcome)
        assert f'would run with the rights of "{user}"' in words and TRUST in words, str(outcome)
    assert not seen(rights)
    assert rights.superuser("SELECT to_regnamespace('pgrecast')") == [(None,)]


def test_the_owners_code_is_a_reason_to_refuse_a_target(rights, tmp_path):
    """The definition in a file is compared with the table's, which is made anew for that."""
    as_owner(rights, PLACES["index_folded"][0])
    file = tmp_path / "target.sql"
    file.write_text("CREATE TABLE victim (a bigint)")
    for command in ("plan", "run"):
        outcome = pgrecast.call(rights, command, "-t", "victim", "--target", str(file), user=MEMBER)
        assert outcome.status == pgrecast.REFUSED and TRUST in " ".join(outcome.stderr.split()), str(outcome)
    assert not seen(rights)


@pytest.mark.parametrize("user", [MEMBER, "postgres"])
def test_a_role_that_is_trusted_is_no_reason(rights, user):
    as_owner(rights, "; ".join(statements for statements, _ in PLACES.values()).replace("INDEX vi", "INDEX"))
    assert pgrecast.call(rights, "plan", TRUST, "--sql", TYPE, user=user).status == pgrecast.DONE
    outcome = run(rights, TRUST, user=user).wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_clean(rights)


def test_a_table_without_code_needs_no_trust(rights):
    """Nor does one with functions of superusers, of the session's role, or of the server."""
    rights.superuser("CREATE FUNCTION fine(i integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT i'")
    as_owner(rights, "CREATE INDEX vi ON victim ((abs(a) + public.fine(a))); ALTER TABLE victim ADD CHECK (a > 0)")
    job = run(rights, window=None)
    job.wait_phase("reverse", timeout=40)
    assert pgrecast.call(rights, "rollback", "victim", user=MEMBER).status == pgrecast.DONE
    assert pgrecast.call(rights, "finish", "victim", user=MEMBER).status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE
    assert_clean(rights)


def test_the_owner_needs_no_trust(rights):
    rights.superuser(f"ALTER ROLE {OWNER} REPLICATION; GRANT CREATE ON DATABASE {rights.name} TO {OWNER}")
    as_owner(rights, PLACES["index_folded"][0])
    outcome = run(rights, user=OWNER).wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert {who for who, _ in seen(rights)} <= {OWNER}
    assert_clean(rights)


def test_what_alter_table_runs_as_the_same_role_is_no_reason(rights):
    as_owner(rights, "ALTER TABLE victim ADD CONSTRAINT vc CHECK (holds(a, 'check'))")
    statement = "ALTER TABLE victim ALTER a TYPE integer USING a + 0"
    rights.superuser(f"SET SESSION AUTHORIZATION {MEMBER}; {statement}; RESET SESSION AUTHORIZATION")
    assert (MEMBER, "check") in seen(rights)
    outcome = pgrecast.run(rights, statement, user=MEMBER)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_clean(rights)


def event_trigger(database, when):
    """A superuser's, with a function that another role can replace."""
    database.superuser(f"SET SESSION AUTHORIZATION {OWNER}; CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS"
                       " $$ BEGIN PERFORM public.note('event trigger'); END $$; RESET SESSION AUTHORIZATION;"
                       f" CREATE EVENT TRIGGER on_ddl ON {when} EXECUTE FUNCTION on_ddl(); DELETE FROM seen")


@pytest.mark.parametrize("when", ["ddl_command_end WHEN TAG IN ('CREATE TABLE')", "ddl_command_start WHEN TAG IN ('DROP TABLE')", "sql_drop"])
def test_an_event_trigger_of_another_role_is_a_reason_to_refuse(rights, when):
    """Plain ALTER TABLE would not run its function."""
    event_trigger(rights, when)
    for user in (MEMBER, "postgres"):
        outcome = pgrecast.call(rights, "plan", "--sql", TYPE, user=user)
        assert outcome.status == pgrecast.REFUSED, str(outcome)
        assert "event trigger on_ddl" in outcome.stdout + outcome.stderr and TRUST in outcome.stdout + outcome.stderr, str(outcome)
    assert not seen(rights)
    outcome = pgrecast.run(rights, TYPE, TRUST, user=MEMBER)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_clean(rights)


def test_an_event_trigger_that_alter_table_fires_is_no_reason(rights):
    event_trigger(rights, "ddl_command_end")
    outcome = pgrecast.run(rights, TYPE, user=MEMBER)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_clean(rights)


@pytest.mark.parametrize("place", ["trigger", "index_folded", "check", "rule"])
@pytest.mark.parametrize("table", ["victim_pgrecast_new", "victim_pgrecast_old"])
def test_code_that_the_owner_adds_later_is_not_run(rights, place, table):
    """On the table that is not active, whoever owns it at that time: before the cutover and after it."""
    job = run(rights, *(["--cutover=hold"] if table.endswith("new") else []), window=None)
    job.wait_phase("ready" if table.endswith("new") else "reverse", timeout=40)
    owner = rights.value(f"SELECT relowner::regrole::text FROM pg_class WHERE relname = '{table}'")
    if owner != OWNER:
        rights.superuser(f"ALTER TABLE {table} OWNER TO {OWNER}")
    make = {"trigger": f"CREATE TRIGGER vt BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION changed();"
                       f" ALTER TABLE {table} ENABLE ALWAYS TRIGGER vt",
            "index_folded": PLACES["index_folded"][0].replace("victim", table),
            "check": PLACES["check"][0].replace("victim", table) + " NOT VALID",
            "rule": f"CREATE RULE vr AS ON INSERT TO {table} DO ALSO SELECT note('rule')"}[place]
    as_owner(rights, make)
    rights.superuser("INSERT INTO victim VALUES (100, 1); UPDATE victim SET a = 7 WHERE id = 3")
    outcome = job.wait(40)
    assert outcome.status != pgrecast.DONE, str(outcome)
    assert not seen(rights)
    resumed = pgrecast.resume(rights, "victim", user=MEMBER)
    assert resumed.status == pgrecast.REFUSED and TRUST in resumed.stderr, str(resumed)
    assert not seen(rights)
    end = "abort" if table.endswith("new") else "finish"
    assert pgrecast.call(rights, end, "victim", user=MEMBER).status == pgrecast.DONE
    assert_clean(rights)


MEDDLE = """
CREATE OPERATOR mischief.= (LEFTARG = text, RIGHTARG = text, FUNCTION = mischief.never);
CREATE OPERATOR mischief.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = mischief.never);
CREATE FUNCTION meddle_freely() RETURNS void LANGUAGE plpgsql AS $$
DECLARE found text;
BEGIN
    EXECUTE 'SET search_path = mischief, pg_catalog';
    EXECUTE 'SET lock_timeout = 1';
    BEGIN EXECUTE 'SET ROLE %(other)s'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;  -- in an index build
    FOR found IN SELECT name FROM pg_catalog.pg_prepared_statements WHERE %(prepares)s LOOP
        EXECUTE pg_catalog.format('DEALLOCATE %%I', found);
        EXECUTE pg_catalog.format('PREPARE %%I AS SELECT 1', found);
    END LOOP;
END $$;
CREATE FUNCTION meddle(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM public.meddle_freely(); RETURN i; END $$;
"""
MEDDLED = {
    "using": ("", "ALTER TABLE meddled ALTER a TYPE bigint USING public.meddle(a)"),
    "index": ("CREATE INDEX ON meddled (meddle(a))", "ALTER TABLE meddled ALTER id TYPE bigint"),
    "check": ("ALTER TABLE meddled ADD CHECK (meddle(a) IS NOT NULL)", "ALTER TABLE meddled ALTER id TYPE bigint"),
    "generated": ("ALTER TABLE meddled ADD g integer GENERATED ALWAYS AS (meddle(a)) STORED",
                  "ALTER TABLE meddled ALTER id TYPE bigint"),
    "domain": ("CREATE DOMAIN odd AS integer CHECK (meddle(VALUE) IS NOT NULL); ALTER TABLE meddled ADD d odd DEFAULT 1",
               "ALTER TABLE meddled ALTER id TYPE bigint"),
}


def make_meddled(database, setup, prepares):
    database.server.role("rights_other", member=True)
    database.execute("CREATE SCHEMA mischief; CREATE FUNCTION mischief.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';"
                     "CREATE FUNCTION mischief.never(bigint, bigint) RETURNS boolean LANGUAGE sql AS 'SELECT false';"
                     + MEDDLE % {"other": "rights_other", "prepares": prepares})
    database.execute("CREATE TABLE meddled (id integer PRIMARY KEY, a integer, t date);"
                     "INSERT INTO meddled SELECT g, g, '2024-03-05' FROM generate_series(1, 300) g")
    if setup:
        database.execute(setup)


@pytest.mark.parametrize("place", MEDDLED)
def test_functions_that_change_the_session_do_not_reach_our_statements(database, place):
    """The owner's own functions set a role and settings wherever they can run, and what is swapped is what was proven."""
    setup, change = MEDDLED[place]
    make_meddled(database, setup, "false")
    back = ["--reverse-map=a=a"] if place == "using" else []
    job = pgrecast.start_run(database, change, "--cutover=hold", *back, window=None)
    job.wait_phase("ready", timeout=40)
    database.superuser("UPDATE public.meddled SET t = '2024-05-03' WHERE id OPERATOR(pg_catalog.<) 50; RESET ALL; RESET ROLE")
    assert pgrecast.call(database, "cutover", "meddled").status == pgrecast.DONE
    job.wait_phase("reverse", timeout=40)
    assert database.value("SELECT string_agg(DISTINCT t::text, ' ') FROM meddled WHERE id >= 50") == "2024-03-05"
    assert database.value("SELECT count(*) FROM meddled WHERE id < 50 AND t = date '2024-05-03'") == 49
    assert pgrecast.call(database, "rollback", "meddled").status == pgrecast.DONE
    assert pgrecast.call(database, "finish", "meddled").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE
    assert_clean(database)


def test_a_statement_under_a_name_of_ours_is_not_run(database):
    make_meddled(database, "", "true")
    job = pgrecast.start_run(database, MEDDLED["using"][1], "--cutover=hold")
    job.wait_phase("ready", timeout=40)
    database.superuser("UPDATE public.meddled SET t = '2024-05-03' WHERE id OPERATOR(pg_catalog.<) 50")  # to be compared under the lock
    asked = pgrecast.call(database, "cutover", "meddled")
    assert asked.status in (pgrecast.DONE, pgrecast.FAILED), str(asked)  # it may hear why not before it returns
    outcome = job.wait()
    assert outcome.status == pgrecast.FAILED, str(outcome)
    assert "code of the tables has replaced a prepared statement of the program" in outcome.stderr, str(outcome)
    assert_aborts(database, "meddled")
    assert database.value("SELECT count(*) FROM meddled WHERE a = id") == 300
    assert_clean(database)


@pytest.mark.main_major
@pytest.mark.parametrize("user", [MEMBER, "postgres"])
def test_code_of_a_materialized_view_runs_as_its_owner(rights, user):
    """As by REFRESH and CREATE INDEX, also where the view is tried out for the plan: else the function fails."""
    as_owner(rights, "CREATE FUNCTION owners(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS"
                     f" $$ BEGIN IF current_user <> '{OWNER}' THEN RAISE 'run as %', current_user; END IF; RETURN i; END $$;"
                     "CREATE MATERIALIZED VIEW made AS SELECT owners(a) AS a FROM victim;"
                     "CREATE INDEX ON made ((a + owners(1))); CREATE INDEX ON made (a) WHERE owners(a) > 0")
    outcome = pgrecast.call(rights, "plan", "--sql", TYPE, user=user)
    assert outcome.status == pgrecast.DONE, str(outcome)
    outcome = run(rights, user=user).wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert rights.superuser("SELECT pg_get_userbyid(relowner), reltuples FROM pg_class WHERE oid = 'made'::regclass") == [(OWNER, 20)]
    assert_clean(rights)


@pytest.mark.main_major
def test_materialized_view_over_tables_of_two_owners(rights):
    """Its owner has the rights of one of them only."""
    rights.superuser(f"SET SESSION AUTHORIZATION {MEMBER}; CREATE TABLE mine (id integer PRIMARY KEY);"
                     f"GRANT SELECT ON mine TO {OWNER}; RESET SESSION AUTHORIZATION")
    as_owner(rights, "CREATE MATERIALIZED VIEW made AS SELECT id FROM victim JOIN mine USING (id)")
    outcome = pgrecast.call(rights, "plan", "--sql", TYPE + "; ALTER TABLE mine ALTER COLUMN id TYPE bigint", user=MEMBER)
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert f"role {OWNER}, which may not read the new table before the swap" in " ".join(outcome.stderr.split()), str(outcome)
