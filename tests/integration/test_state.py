"""Schema pgrecast: whom it belongs to, who may have planted what in it, and requests that meet each other."""

import pathlib
import re
import threading

import pytest

import pgrecast
from pgrecast import DONE, FAILED, NO_PARITY, NO_ROLLBACK, REFUSED, USAGE
from rewrite import JOB, Rewrite
from servers import APP_ROLE, wait_until

STATE_FORMAT_3 = pathlib.Path(__file__).with_name("state_format_3.sql").read_text()
SOURCES = pathlib.Path(__file__).parents[2]

TABLES = """
CREATE TABLE bait (id integer PRIMARY KEY, n integer);
INSERT INTO bait SELECT n, n FROM generate_series(1, 100) AS n;
CREATE TABLE victim (id integer PRIMARY KEY, n integer);
INSERT INTO victim SELECT n, n FROM generate_series(1, 100) AS n;
"""
ALTER = "ALTER TABLE victim ALTER n TYPE bigint"

pytestmark = pytest.mark.majors((14, 15, 18))


@pytest.fixture
def mallory(database):
    """A role with no more than the right to create schemas in the database, and a table of its own."""
    database.superuser("DO $$ BEGIN CREATE ROLE mallory LOGIN REPLICATION; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    database.superuser(f'GRANT CREATE ON DATABASE "{database.name}" TO mallory; GRANT USAGE, CREATE ON SCHEMA public TO mallory')
    database.execute(TABLES)
    database.superuser("ALTER TABLE bait OWNER TO mallory")
    yield "mallory"
    assert not database.superuser("SELECT 1 FROM pg_roles WHERE rolname = 'mallory' AND rolsuper")
    assert database.superuser("SELECT count(*) FROM victim") == [(100,)]


def attempts(database, user, *arguments):
    """Every command, in the hands of somebody whom the planted state is to deceive. Each is refused."""
    for command in (["plan", "--sql", ALTER], ["run", "--sql", ALTER, "--rollback-window=0"], ["status"], ["status", "victim"],
                    ["jobs"], ["resume", "victim"], ["cutover", "victim"], ["verify", "victim"], ["rollback", "victim"],
                    ["finish", "victim"], ["abort", "victim"], ["forget", "victim"]):
        outcome = pgrecast.call(database, *command, *arguments, user=user)
        yield command[0], outcome


def assert_all_refuse(database, user, *words):
    for command, outcome in attempts(database, user):
        assert outcome.status == REFUSED, str(outcome)
        assert "schema pgrecast" in outcome.stderr and all(word in outcome.stderr for word in words), str(outcome)


EVIL = """
CREATE FUNCTION public.evil() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN EXECUTE 'ALTER ROLE mallory SUPERUSER'; END IF;
    RETURN new;
END $$;
DO $$
DECLARE r record;
BEGIN
    FOR r IN SELECT c.oid::regclass AS t FROM pg_class c WHERE relnamespace = 'pgrecast'::regnamespace AND relkind = 'r' LOOP
        EXECUTE format('CREATE TRIGGER evil BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION public.evil()', r.t);
    END LOOP;
END $$;
"""


def test_triggers_planted_in_a_state(database, mallory):
    """A role has used the program, and puts triggers on its tables of the state: a superuser's run would fire them."""
    outcome = pgrecast.run(database, "ALTER TABLE bait ALTER n TYPE bigint", user=mallory)
    assert outcome.status == DONE, str(outcome)
    database.execute(EVIL, user=mallory)
    assert_all_refuse(database, "postgres", "mallory", "--state-owner=mallory")
    assert_all_refuse(database, APP_ROLE, "mallory")
    for command, outcome in attempts(database, "postgres", "--state-owner=mallory"):  # trusted, but for the triggers
        assert outcome.status == REFUSED and "trigger evil" in outcome.stderr, str(outcome)


@pytest.mark.parametrize("undo", ["ALTER ROLE mallory SUPERUSER", "DROP TABLE victim"])
def test_a_ledger_planted_before_the_first_use(database, mallory, undo):
    """A state of the version that kept statements in its ledger, with a job for somebody else to abort."""
    database.execute(STATE_FORMAT_3 + f"""
        INSERT INTO pgrecast.job (format, name, phase, schema_name, table_name, system_identifier, timeline, slot_name,
                                  publication_name, host, pid, spool_directory)
        VALUES (3, 'victim', 'ready', 'public', 'victim', '1', 1, 'none', 'none', 'here', 1, '/nowhere');
        INSERT INTO pgrecast.object (job_id, seq, kind, name, undo)
        SELECT id, 1, 'table', '"public"."victim"', '{undo}' FROM pgrecast.job;
        INSERT INTO pgrecast.job_table (job_id, number, schema_name, table_name, source_oid, fingerprint)
        SELECT id, 1, 'public', 'victim', 'victim'::regclass, 'x' FROM pgrecast.job""", user=mallory)
    assert_all_refuse(database, "postgres", "mallory")
    outcome = pgrecast.call(database, "abort", "victim", "--state-owner=mallory", user="postgres")
    assert outcome.status == DONE, str(outcome)  # trusted by name: what is stored is removed, but never run as stored
    assert database.superuser("SELECT 1 FROM pg_tables WHERE tablename = 'victim'")


def test_an_entry_of_the_ledger_for_another_table(database, mallory):
    """Only the job's own other table is ever dropped, even where the ledger names another."""
    rewrite = Rewrite(database, rows=500, arguments=["--cutover=hold"])
    rewrite.go_on().wait_phase("ready")
    rewrite.kill()
    database.execute("UPDATE pgrecast.object SET oid = 'items_mirror'::regclass WHERE kind = 'table'")
    outcome = pgrecast.call(database, "abort", JOB)
    assert outcome.status == FAILED and "none that job" in outcome.stderr, str(outcome)
    assert database.value("SELECT count(*) FROM items_mirror") >= 500
    database.execute("UPDATE pgrecast.object SET oid = 'items_pgrecast_new'::regclass WHERE kind = 'table'")
    assert pgrecast.call(database, "abort", JOB).status == DONE
    rewrite.assert_gone()


# What the owner may do to the state, or let others do: each named. The second takes it back.
PLANTED = {
    "insert for another": ("GRANT INSERT ON pgrecast.object TO mallory", "REVOKE INSERT ON pgrecast.object FROM mallory",
                           "gives INSERT to role mallory"),
    "trigger for another": ("GRANT TRIGGER ON pgrecast.job TO PUBLIC", "REVOKE TRIGGER ON pgrecast.job FROM PUBLIC",
                            "gives TRIGGER to PUBLIC"),
    "update of a column": ("GRANT UPDATE (sql) ON pgrecast.job TO mallory", "REVOKE UPDATE (sql) ON pgrecast.job FROM mallory",
                           "column pgrecast.job.sql gives UPDATE"),
    "create in the schema": ("GRANT CREATE ON SCHEMA pgrecast TO mallory", "REVOKE CREATE ON SCHEMA pgrecast FROM mallory",
                             "schema pgrecast gives CREATE"),
    "use of a sequence": ("GRANT USAGE ON SEQUENCE pgrecast.job_id_seq TO mallory",
                          "REVOKE USAGE ON SEQUENCE pgrecast.job_id_seq FROM mallory", "sequence pgrecast.job_id_seq gives USAGE"),
    "a function": ("CREATE FUNCTION pgrecast.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION pgrecast.f()",
                   "function pgrecast.f()"),
    "a view": ("CREATE VIEW pgrecast.v AS SELECT 1 AS one", "DROP VIEW pgrecast.v", "pgrecast.v"),
    "a type": ("CREATE TYPE pgrecast.mood AS ENUM ('good')", "DROP TYPE pgrecast.mood", "type pgrecast.mood"),
    "a rule": ("CREATE RULE r AS ON INSERT TO pgrecast.event DO ALSO NOTHING", "DROP RULE r ON pgrecast.event",
               "rule r on pgrecast.event"),
    "a policy": ("CREATE POLICY p ON pgrecast.job USING (true)", "DROP POLICY p ON pgrecast.job", "policy p on pgrecast.job"),
    "row security": ("ALTER TABLE pgrecast.job ENABLE ROW LEVEL SECURITY", "ALTER TABLE pgrecast.job DISABLE ROW LEVEL SECURITY",
                     "relation pgrecast.job"),
    "a default": ("ALTER TABLE pgrecast.event ALTER message SET DEFAULT pg_catalog.query_to_xml('SELECT 1', true, true, '')",
                  "ALTER TABLE pgrecast.event ALTER message DROP DEFAULT", "default of pgrecast.event.message"),
    "a check": ("ALTER TABLE pgrecast.event ADD CONSTRAINT odd CHECK (id > 0)", "ALTER TABLE pgrecast.event DROP CONSTRAINT odd",
                "constraint odd"),
    "a foreign key from elsewhere": ("CREATE TABLE elsewhere (id bigint REFERENCES pgrecast.job)", "DROP TABLE elsewhere",
                                     "of public.elsewhere"),
    "an index with a function": ("CREATE INDEX odd ON pgrecast.event (pg_catalog.upper(kind))", "DROP INDEX pgrecast.odd",
                                 "index pgrecast.odd"),
    "a child": ("CREATE TABLE child () INHERITS (pgrecast.event)", "DROP TABLE child", "relation pgrecast.event"),
}


def test_what_is_not_of_the_program(database, mallory):
    """Whatever could run somebody's code, or let somebody write, is named; taken back, the state is good again."""
    assert pgrecast.run(database, ALTER).status == DONE, "the owner of the state"
    for planted, taken_back, words in PLANTED.values():
        database.superuser(f"SET ROLE {APP_ROLE}; {planted}")
        outcome = pgrecast.call(database, "status")
        assert outcome.status == REFUSED and words in outcome.stderr, str(outcome)
        database.superuser(f"SET ROLE {APP_ROLE}; {taken_back}")
        assert pgrecast.call(database, "status").status == DONE, planted


def test_default_privileges(database, mallory):
    """Privileges that new tables of the role give to others are taken back at once."""
    database.execute(f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC, mallory;"
                     "ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO mallory;"
                     "ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO mallory")
    assert pgrecast.run(database, ALTER).status == DONE
    assert database.superuser("SELECT 1 FROM pg_class CROSS JOIN LATERAL aclexplode(relacl) AS a"
                              " WHERE relnamespace = 'pgrecast'::regnamespace AND grantee <> relowner") == []
    assert pgrecast.call(database, "status").status == DONE


def test_observers(database, mallory):
    """Whoever may read the tables may look at the jobs, when he trusts their owner by name."""
    assert pgrecast.run(database, ALTER).status == DONE
    database.execute("GRANT USAGE ON SCHEMA pgrecast TO mallory; GRANT SELECT ON ALL TABLES IN SCHEMA pgrecast TO mallory")
    assert database.value("SELECT phase FROM pgrecast.job", user=mallory) == "finished"
    outcome = pgrecast.call(database, "status", user=mallory)
    assert outcome.status == REFUSED and f"--state-owner={APP_ROLE}" in outcome.stderr, str(outcome)
    outcome = pgrecast.call(database, "status", "--state-owner", APP_ROLE, user=mallory)
    assert outcome.status == DONE and "victim: finished" in outcome.stdout, str(outcome)
    outcome = pgrecast.call(database, "status", "--state-owner=nobody_at_all", user=mallory)
    assert outcome.status == USAGE and "nobody_at_all" in outcome.stderr, str(outcome)


def await_phase(database, phase):
    """Seen by a superuser: the application's role has no right to look."""
    wait_until(lambda: database.superuser("SELECT 1 FROM pg_tables WHERE schemaname = 'pgrecast' AND tablename = 'event'")
               and database.superuser("SELECT phase FROM pgrecast.job") == [(phase,)], f"phase {phase}")


def test_several_roles(database, mallory):
    """Members of one role share a state that belongs to it; another role is told at once, also by plan."""
    database.superuser("DO $$ BEGIN CREATE ROLE keepers; CREATE ROLE alice LOGIN REPLICATION IN ROLE keepers;"
                       " CREATE ROLE bob LOGIN REPLICATION IN ROLE keepers;"
                       " EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    database.superuser(f'GRANT CREATE, TEMPORARY ON DATABASE "{database.name}" TO keepers;'
                       "GRANT USAGE, CREATE ON SCHEMA public TO keepers; ALTER TABLE victim OWNER TO keepers")
    job = pgrecast.start_run(database, ALTER, "--cutover=hold", "--state-owner=keepers", user="alice", window=None)
    await_phase(database, "ready")
    assert database.superuser("SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class"
                              " WHERE relnamespace = 'pgrecast'::regnamespace") == [("keepers",)]
    assert database.superuser("SELECT created_by FROM pgrecast.job") == [("alice",)]
    for command in ("status", "cutover", "rollback", "finish"):
        if command == "rollback":
            await_phase(database, "reverse")
        outcome = pgrecast.call(database, command, "victim", "--state-owner=keepers", user="bob")
        assert outcome.status == DONE, str(outcome)
    assert job.wait().status == DONE
    assert database.superuser("SELECT kind, requested_by, outcome FROM pgrecast.request ORDER BY id") == [
        ("cutover", "bob", "done"), ("rollback", "bob", "done"), ("finish", "bob", "done")]
    assert_all_refuse(database, mallory, "keepers")
    assert pgrecast.leftovers(database) == []


# Requests

def ask(database, answers, *arguments):
    answers.append(pgrecast.call(database, *arguments))


def at_once(database, *commands):
    answers = []
    threads = [threading.Thread(target=ask, args=(database, answers, *command)) for command in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_verifications_at_once(database):
    """Of tables that differ: nobody ever hears that they are equal."""
    database.execute(TABLES)
    job = pgrecast.start_run(database, ALTER, window=None)
    job.wait_phase("reverse")
    database.execute("UPDATE victim SET n = 5000000000 WHERE id = 1")
    wait_until(lambda: database.value("SELECT 1 FROM pgrecast.blocked"), "the row to be blocked")
    for _ in range(6):
        for answer in at_once(database, *[["verify", "victim"]] * 4):
            assert answer.status == NO_PARITY and "not equal" in answer.stderr, str(answer)
    database.execute("UPDATE victim SET n = 5 WHERE id = 1")
    for answer in at_once(database, *[["verify", "victim"]] * 4):
        assert answer.status == DONE and " 0 differ" in answer.stdout, str(answer)
    assert database.value("SELECT count(*) FROM pgrecast.request WHERE kind = 'verify' AND ended_at IS NOT NULL") == 28
    assert pgrecast.call(database, "finish", "victim").status == DONE
    assert job.wait().status == DONE


def test_a_verification_and_a_rollback_at_once(database):
    """Each hears its own answer: the rollback is refused for a row, the verification for the same row, by its own words."""
    database.execute(TABLES)
    job = pgrecast.start_run(database, ALTER, window=None)
    job.wait_phase("reverse")
    database.execute("UPDATE victim SET n = 5000000000 WHERE id = 1")
    wait_until(lambda: database.value("SELECT 1 FROM pgrecast.blocked"), "the row to be blocked")
    for _ in range(4):
        for answer in at_once(database, ["verify", "victim"], ["rollback", "victim"], ["verify", "victim"]):
            verify = answer.command[1] == "verify"
            assert answer.status == (NO_PARITY if verify else NO_ROLLBACK), str(answer)
            assert ("the tables are not equal" in answer.stderr) == verify, str(answer)
    database.execute("UPDATE victim SET n = 5 WHERE id = 1")
    answers = at_once(database, ["rollback", "victim"], ["verify", "victim"])
    for answer in answers:
        assert answer.status == DONE, str(answer)
        assert ("lock held" in answer.stdout) == (answer.command[1] == "rollback"), str(answer)
    assert database.value("SELECT swaps FROM pgrecast.job") == 2
    assert pgrecast.call(database, "finish", "victim").status == DONE
    assert job.wait().status == DONE


@pytest.mark.main_major
def test_a_request_that_nobody_takes(database):
    """An instance that hangs, and then dies, has not answered: whoever asked is told so, and nothing is left to be done."""
    rewrite = Rewrite(database, arguments=["--cutover=hold"])
    with rewrite.load:
        rewrite.go_on().wait_phase("ready")
        rewrite.instance.process.send_signal(pgrecast.signal.SIGSTOP)
        request = pgrecast.Running(database, ["verify", JOB])
        wait_until(lambda: database.value("SELECT 1 FROM pgrecast.request WHERE kind = 'verify'"), "the request")
        rewrite.kill()
        outcome = request.wait()
        assert outcome.status == FAILED and "ended without" in outcome.stderr, str(outcome)
        assert f"pgrecast resume {JOB}" in outcome.stderr, str(outcome)
        assert database.execute("SELECT outcome, taken_at FROM pgrecast.request WHERE kind = 'verify'") == [("withdrawn", None)]
        rewrite.resume().wait_phase("ready")
        rewrite.wait_running()
        rewrite.command("cutover")
        rewrite.instance.wait_phase("reverse")
    rewrite.finish()
    rewrite.assert_over()


@pytest.mark.main_major
def test_requests_that_make_no_sense_now(database):
    """Written by hand, as another program might: the instance answers each at once, and goes on."""
    database.execute(TABLES)
    job = pgrecast.start_run(database, ALTER, "--cutover=hold", window=None)
    job.wait_phase("ready")
    for kind, status, words in [("rollback", 6, "nothing to roll back"), ("finish", 1, "has not cut over"),
                                ("dance", 2, 'no request "dance"')]:
        database.execute("INSERT INTO pgrecast.request (job_id, kind, requested_by) SELECT id, %s, current_user"
                         " FROM pgrecast.job", kind)
        wait_until(lambda: database.value("SELECT 1 FROM pgrecast.request WHERE kind = %s AND ended_at IS NOT NULL", kind), kind)
        assert database.execute("SELECT outcome, exit_status FROM pgrecast.request WHERE kind = %s", kind) == [("failed", status)]
        assert words in database.value("SELECT message FROM pgrecast.request WHERE kind = %s", kind)
    assert pgrecast.call(database, "abort", "victim").status == DONE
    assert job.wait().status == FAILED
    assert database.value("SELECT outcome FROM pgrecast.request WHERE kind = 'abort'") == "done"


def test_events(database):
    """What happened to a job can be read in order: its phases, attempts with who was in the way, swaps, requests, its end."""
    database.execute(TABLES)
    with database.connect(autocommit=False) as reader, reader.cursor() as cursor:
        job = pgrecast.start_run(database, ALTER, "--cutover=hold", window=None)
        job.wait_phase("ready")
        cursor.execute("SELECT 1 FROM victim")
        pgrecast.call(database, "cutover", "victim")
        wait_until(lambda: database.value("SELECT 1 FROM pgrecast.event WHERE kind = 'attempt'"), "an attempt")
        reader.commit()
    reader.close()
    job.wait_phase("reverse")
    assert pgrecast.call(database, "finish", "victim").status == DONE
    assert job.wait().status == DONE
    events = database.execute("SELECT kind, phase, message, data FROM pgrecast.event ORDER BY id")
    assert [phase for kind, phase, _, _ in events if kind == "phase"] == [
        "init", "copy", "index", "catchup", "verify", "ready", "cutover", "reverse", "finished"]
    attempt = next(event for event in events if event[0] == "attempt")
    assert "was not free" in attempt[2] and "holds AccessShareLock" in attempt[3]["blocker"]
    assert [event[3]["swaps"] for event in events if event[0] == "swap"] == [1]
    assert [event[3]["kind"] for event in events if event[0] == "request"] == ["cutover"]
    assert events[-1][:2] == ("end", "finished")


# One owner

@pytest.mark.main_major
def test_no_statement_outside_the_module(major):
    """SQL on schema pgrecast stands in src/state, and nowhere else."""
    schema = (SOURCES / "src/state/sql/schema.sql").read_text()
    tables = re.findall(r"CREATE TABLE pgrecast\.(\w+)", schema)
    assert len(tables) > 10
    pattern = re.compile(r"pgrecast\.(" + "|".join(tables) + r")\b")
    for path in [*(SOURCES / "src").rglob("*"), *(SOURCES / "include").rglob("*")]:
        if path.suffix in (".c", ".h", ".sql") and path.parent.name != "state" and path.parent.parent.name != "state":
            assert not pattern.search(path.read_text()), path
