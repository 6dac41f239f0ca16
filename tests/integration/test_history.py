"""What a migration tool notes of its migrations is written in the transaction of the swap, and taken back in that of the rollback."""

import contextlib
import threading

import pytest

import pgrecast
from conftest import spread
from pgrecast import DONE, NO_LOCK, REFUSED, USAGE
from servers import wait_until
from tables import relations

WIDEN = "ALTER TABLE orders ALTER id TYPE bigint;"

# By the tool: its table, what its file does, the rows before and after.
TOOLS = {
    "rails": ("CREATE TABLE schema_migrations (version varchar PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20250101000000')",
              f"""{WIDEN} INSERT INTO "schema_migrations" ("version") VALUES ('20260101000000'), ('20260102000000') RETURNING "version";""",
              "SELECT version FROM schema_migrations ORDER BY 1",
              ["20250101000000"], ["20250101000000", "20260101000000", "20260102000000"]),
    "alembic": ("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY); INSERT INTO alembic_version VALUES ('a1'), ('b1')",
                f"BEGIN; {WIDEN} UPDATE alembic_version SET version_num='a2' WHERE alembic_version.version_num = 'a1';"
                " DELETE FROM alembic_version WHERE 'b1' = alembic_version.version_num; COMMIT;",
                "SELECT version_num FROM alembic_version ORDER BY 1", ["a1", "b1"], ["a2"]),
    "knex": ("CREATE SCHEMA tool; CREATE TABLE tool.knex_migrations (id serial PRIMARY KEY, name varchar(255), batch integer,"
             " migration_time timestamp(0) with time zone, note text)",
             """insert into "tool"."knex_migrations" ("batch", "migration_time", "name", "note")
                values (3, '2026-01-01T10:00:00.600Z', 'wide''orders.js', NULL); """ + WIDEN,
             "SELECT batch || name FROM tool.knex_migrations", [], ["3wide'orders.js"]),
    "other": ("""CREATE TABLE "My notes" (name text, at timestamptz NOT NULL)""",
              f"""{WIDEN} INSERT INTO "My notes" (name, at) VALUES ('wide'::text, now());""",
              """SELECT name FROM "My notes" WHERE at BETWEEN now() - interval '1 hour' AND now()""", [], ["wide"]),
}
OPTIONS = {"other": ["--history-table=\"My notes\""]}


@pytest.fixture
def orders(database):
    database.execute("CREATE TABLE orders (id integer PRIMARY KEY, note text); INSERT INTO orders SELECT g, 'x' FROM generate_series(1, 300) g")
    return database


def write(tmp_path, text):
    file = tmp_path / "migration.sql"
    file.write_text(text)
    return str(file)


class Observer(threading.Thread):
    """Reads, with one snapshot each, the type of the key and what the tool has noted."""

    def __init__(self, database, rows):
        super().__init__()
        self.database, self.seen, self.error, self.ends = database, set(), None, threading.Event()
        self.query = f"""
            SELECT (SELECT format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                    WHERE c.relname = 'orders' AND a.attname = 'id'), ARRAY({rows})::text[]"""

    def run(self):
        with contextlib.closing(self.database.connect()) as conn, conn.cursor() as cursor:
            while not self.ends.is_set():
                cursor.execute(self.query)
                type_of_key, rows = cursor.fetchone()
                self.seen.add((type_of_key, tuple(rows)))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join()


@pytest.mark.parametrize("major, tool", spread(sorted(TOOLS)))
def test_with_the_swap_in_both_directions(orders, tmp_path, tool):
    """Nobody ever sees the one without the other."""
    table, text, query, before, after = TOOLS[tool]
    orders.execute(table)
    file = write(tmp_path, text)

    def rows():
        return [row for row, in orders.execute(query)]

    outcome = pgrecast.call(orders, "plan", "-f", file, *OPTIONS.get(tool, []))
    assert outcome.status == DONE and "in the same transaction as the cutover: " in outcome.stdout, str(outcome)
    assert rows() == before
    with Observer(orders, query) as observer:
        job = pgrecast.start_run(orders, None, "-f", file, *OPTIONS.get(tool, []), window=None, hold="ready")
        with contextlib.ExitStack() as ending:
            ending.callback(job.kill)
            job.wait_phase("ready")
            assert rows() == before
            job.release()
            job.wait_phase("reverse")
            assert rows() == after
            assert pgrecast.call(orders, "rollback", "orders").status == DONE
            assert rows() == before
            assert pgrecast.call(orders, "cutover", "--wait", "orders").status == DONE
            assert rows() == after
            assert pgrecast.call(orders, "finish", "orders").status == DONE
            assert job.wait().status == DONE
            ending.pop_all()
    assert observer.seen == {("integer", tuple(before)), ("bigint", tuple(after))}
    assert pgrecast.leftovers(orders) == []


REFUSALS = {
    "another state": ("UPDATE alembic_version SET version_num = 'z' WHERE version_num = 'y'", REFUSED, "there is no such row"),
    "there already": ("INSERT INTO schema_migrations (version, by) VALUES ('1', 'me')", REFUSED, "duplicate key"),
    "no column": ("INSERT INTO schema_migrations (name) VALUES ('1')", REFUSED, 'no column "name"'),
    "no table": ("INSERT INTO knex_migrations (name) VALUES ('1')", REFUSED, "knex_migrations"),
    "not to be made again": ("DELETE FROM schema_migrations WHERE version = '1'", REFUSED, 'does not name its column "by"'),
    "not to be found again": ("INSERT INTO schema_migrations (at) VALUES (now())", REFUSED, "could not find the row again"),
    "former value": ("UPDATE schema_migrations SET by = 'me' WHERE version = '1'", USAGE, "which values it replaces"),
    "all rows": ("DELETE FROM schema_migrations", USAGE, "column = constant"),
    "a function": ("INSERT INTO schema_migrations (version) VALUES (random()::text)", USAGE, "no constants"),
    "a query": ("INSERT INTO schema_migrations (version) SELECT '3'", USAGE, "more than VALUES"),
    "columns": ("INSERT INTO schema_migrations VALUES ('3')", USAGE, "does not name its columns"),
    "another table": ("INSERT INTO others (id) VALUES (1)", USAGE, "--history-table='\"others\"'"),
    "the table itself": ("DELETE FROM orders WHERE id = 1", USAGE, "rows of other tables"),
}


@pytest.mark.main_major
@pytest.mark.parametrize("command", ["plan", "run"])
def test_refused(orders, tmp_path, command):
    """All of them, with nothing left behind."""
    orders.execute("CREATE TABLE schema_migrations (version varchar PRIMARY KEY DEFAULT '9', by text, at timestamptz);"
                   "INSERT INTO schema_migrations VALUES ('1', 'me');"
                   "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('x');"
                   "CREATE TABLE others (id integer)")
    before = relations(orders)
    for name, (statement, status, words) in REFUSALS.items():
        outcome = pgrecast.call(orders, command, "-f", write(tmp_path, f"{WIDEN} {statement};"))
        assert outcome.status == status and words in outcome.stderr, f"{name}: {outcome}"
    assert relations(orders) == before and pgrecast.leftovers(orders) == []
    outcome = pgrecast.call(orders, "plan", "--rollback-window=0", "-f",
                            write(tmp_path, f"{WIDEN} {REFUSALS['not to be made again'][0]};"))
    assert outcome.status == DONE, str(outcome)


@pytest.mark.main_major
def test_row_that_is_not_as_it_was(orders, tmp_path):
    """The cutover waits until it is put right. A rollback does not."""
    table, text, query, before, after = TOOLS["alembic"]
    orders.execute(table)
    job = pgrecast.start_run(orders, None, "-f", write(tmp_path, text), "--cutover-attempts=2", "--cutover=hold", window=None)
    with contextlib.ExitStack() as ending:
        ending.callback(job.kill)
        job.wait_phase("ready")
        orders.execute("UPDATE alembic_version SET version_num = 'else' WHERE version_num = 'a1'")
        outcome = pgrecast.call(orders, "cutover", "--wait", "orders")
        assert outcome.status == NO_LOCK and "no such row" in outcome.stderr, str(outcome)
        assert pgrecast.job_phase(orders) == "ready"
        assert [row for row, in orders.execute(query)] == ["b1", "else"]
        orders.execute("UPDATE alembic_version SET version_num = 'a1' WHERE version_num = 'else'")
        assert pgrecast.call(orders, "cutover", "--wait", "orders").status == DONE
        assert [row for row, in orders.execute(query)] == after
        orders.execute("UPDATE alembic_version SET version_num = 'later'")
        outcome = pgrecast.call(orders, "rollback", "orders")
        assert outcome.status == DONE, str(outcome)
        assert [row for row, in orders.execute(query)] == ["b1", "later"]
        assert pgrecast.call(orders, "abort", "orders").status == DONE
        outcome = job.wait()
        assert "what the migration tool has noted was changed" in outcome.stderr, str(outcome)
        ending.pop_all()
    assert pgrecast.leftovers(orders) == []


@pytest.mark.main_major
@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_code_of_another_role_is_not_run(orders, tmp_path, when):
    """A trigger on the tool's table would run with the rights of the job's role."""
    table, text, query, before, _ = TOOLS["rails"]
    orders.execute(table)
    orders.superuser("DO $$ BEGIN CREATE ROLE planter_role; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
                     "GRANT ALL ON SCHEMA public TO planter_role")
    orders.execute("GRANT TRIGGER ON schema_migrations TO planter_role; CREATE TABLE ran (n integer); GRANT INSERT ON ran TO PUBLIC")

    def plant():
        orders.superuser("SET ROLE planter_role; CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS"
                         " 'BEGIN INSERT INTO public.ran VALUES (1); RETURN NEW; END'; CREATE TRIGGER planted BEFORE INSERT ON"
                         " schema_migrations FOR EACH ROW EXECUTE FUNCTION planted(); RESET ROLE")

    if when == "before":
        plant()
        outcome = pgrecast.run(orders, None, "-f", write(tmp_path, text))
        assert outcome.status == REFUSED and "planted()" in outcome.stderr and "--trust-owner=planter_role" in outcome.stderr, str(outcome)
    else:
        job = pgrecast.start_run(orders, None, "-f", write(tmp_path, text), hold="ready")
        job.wait_phase("ready")
        plant()
        job.release()
        outcome = job.wait()
        assert outcome.status != DONE and "planted()" in outcome.stderr, str(outcome)
        assert pgrecast.call(orders, "abort", "orders").status == DONE
    assert orders.execute("SELECT * FROM ran") == []
    assert [row for row, in orders.execute(query)] == before
    assert pgrecast.leftovers(orders) == []
