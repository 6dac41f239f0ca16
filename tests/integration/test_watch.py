"""What others change while a job runs: its publications, the definition of its tables, what depends on them."""

import signal

import psycopg2
import pytest
from psycopg2.extras import LogicalReplicationConnection

import pgrecast
from conftest import rotate
from pgrecast import DONE, FAILED, NO_ROLLBACK
from servers import APP_ROLE, drop_slot, lose_slot, wait_until

WIDEN = "ALTER TABLE t ALTER COLUMN id TYPE bigint"


class Held:
    """A small table in a job that is in sync and waits for its cutover, or has cut over."""

    def __init__(self, database, *arguments, window="0", until="ready", sql=WIDEN, prepare=""):
        self.database = database
        database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer);"
                         " INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;" + prepare)
        arguments = [*arguments, "--cutover=hold"] if until == "ready" else arguments
        self.instance = pgrecast.start_run(database, sql, *arguments, window=window)
        self.instance.wait_phase(until)

    def write(self):
        self.database.execute("UPDATE t SET n = -n WHERE id <= 20")
        self.database.execute("DELETE FROM t WHERE id = 50")
        self.database.execute("INSERT INTO t VALUES (1000, 1)")

    @property
    def status(self):
        return pgrecast.the_job(self.database)

    def publication(self, of="publication_name"):
        return self.database.value(f"SELECT {of} FROM pgrecast.stream ORDER BY id DESC LIMIT 1")

    def wait_held(self, *words):
        """Until the status says that nothing is swapped, and names these."""

        def held():
            found = self.status["held"]
            return found if found and all(word in found["reason"] for word in words) else None

        return wait_until(held, f"the job to be held: {words}")

    def wait_released(self):
        wait_until(lambda: self.status["held"] is None, "the job to be released")

    def assert_written(self):
        """The table has what write() wrote, whichever it is."""
        assert self.database.value("SELECT count(*) FROM t WHERE id <= 20 AND n < 0") == 20
        assert self.database.value("SELECT count(*) FROM t WHERE id IN (50, 1000)") == 1
        assert self.database.value("SELECT n FROM t WHERE id = 1000") == 1

    def id_type(self):
        return self.database.value("SELECT atttypid::regtype::text FROM pg_attribute"
                                   " WHERE attrelid = 't'::regclass AND attname = 'id'")


# What is changed while the job runs, what puts it right, and the words that name it.
DEFINITION = {
    "index_comment": ("COMMENT ON INDEX t_pkey IS 'x'", "COMMENT ON INDEX t_pkey IS NULL", "index t_pkey: comment"),
    "owners_grant": (f"REVOKE TRUNCATE ON t FROM {APP_ROLE}", f"GRANT TRUNCATE ON t TO {APP_ROLE}", "table: privileges"),
    "autovacuum": ("ALTER TABLE t SET (autovacuum_enabled = off)", "ALTER TABLE t RESET (autovacuum_enabled)", "table: storage parameters"),
    "index": ("CREATE UNIQUE INDEX late ON t (n)", "DROP INDEX late", "index late added"),
    "clustering": ("ALTER TABLE t CLUSTER ON t_pkey", "ALTER TABLE t SET WITHOUT CLUSTER", "index t_pkey: clustering"),
    "view": ("CREATE VIEW late AS SELECT id FROM t", "DROP VIEW late", "view public.late added"),
    "trigger": ("CREATE TRIGGER late BEFORE UPDATE ON t FOR EACH ROW WHEN (new.n = 0) EXECUTE FUNCTION suppress_redundant_updates_trigger()",
                "DROP TRIGGER late ON t", "trigger late on table public.t added"),
    "default": ("ALTER TABLE t ALTER n SET DEFAULT 3", "ALTER TABLE t ALTER n DROP DEFAULT", "column n: default"),
    "row_security": ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", "ALTER TABLE t DISABLE ROW LEVEL SECURITY", "table: row security"),
    "column": ("ALTER TABLE t ADD COLUMN late integer", "ALTER TABLE t DROP COLUMN late", "column late added"),
    "shadow": ("CREATE INDEX late ON t_pgrecast_new (n)", "DROP INDEX late", "t_pgrecast_new"),
    "statistics": ("ALTER STATISTICS t_stat SET STATISTICS 7", "ALTER STATISTICS t_stat SET STATISTICS -1", "statistics t_stat: target"),
}


@pytest.mark.parametrize("case", DEFINITION)
def test_definition_changed(database, case):
    """The job is held, and says why; once all is as it was it cuts over by itself."""
    change, back, words = DEFINITION[case]
    database.execute("CREATE TABLE other (id integer)")
    held = Held(database, "--job", "t", prepare="CREATE STATISTICS t_stat ON id, n FROM t")
    database.execute(change)
    held.wait_held(words)
    assert pgrecast.call(database, "cutover", "t").status == DONE
    changes = held.status["held"]["changes"]
    assert not held.status["held"]["for_good"] and changes and changes[0]["object"] in words + " table index late"
    assert words in pgrecast.call(database, "status", "t").stdout
    assert database.value("SELECT count(*) FROM pgrecast.event WHERE kind = 'held'") == 1
    assert held.id_type() == "integer" and held.status["phase"] == "ready"
    if case != "column":  # a row with it would end the job
        held.write()
    database.execute(back)
    if case == "column":
        held.write()
    outcome = held.instance.wait(90)
    assert outcome.status == DONE and words in outcome.stderr, str(outcome)
    assert held.id_type() == "bigint"
    assert database.value("SELECT count(*) FROM pgrecast.event WHERE kind = 'released'") == 1
    held.assert_written()


# Changes that are made on the other table too; what says so, of the table with this oid.
CARRIED = {
    "comments": ("COMMENT ON COLUMN t.n IS 'it''s'; COMMENT ON TABLE t IS 'late'",
                 "SELECT col_description({0}, 2) || obj_description({0}, 'pg_class')", "it'slate"),
    "comment_dropped": ("COMMENT ON COLUMN t.id IS NULL", "SELECT coalesce(col_description({0}, 1), 'none')", "none"),
    "storage": ("ALTER TABLE t SET (fillfactor = 50, toast.vacuum_truncate = off, autovacuum_vacuum_threshold = 7)",
                "SELECT array_to_string(ARRAY(SELECT o FROM unnest(c.reloptions || x.reloptions) o WHERE o !~ 'enabled' ORDER BY o), ' ')"
                " FROM pg_class c LEFT JOIN pg_class x ON x.oid = c.reltoastrelid WHERE c.oid = {0}",
                "autovacuum_analyze_threshold=9 autovacuum_vacuum_threshold=7 fillfactor=50 vacuum_truncate=off"),
    "storage_reset": ("ALTER TABLE t RESET (autovacuum_analyze_threshold)",
                      "SELECT coalesce(reloptions::text, '') ~ 'analyze' FROM pg_class WHERE oid = {0}", False),
    "target": ("ALTER TABLE t ALTER n SET STATISTICS 7",
               "SELECT attstattarget::text FROM pg_attribute WHERE attrelid = {0} AND attname = 'n'", "7"),
}


@pytest.mark.parametrize("major, case", rotate(list(CARRIED)))
def test_harmless_change_is_carried_over(database, case):
    """Before the cutover to the new table, in the window to the original: no swap loses it."""
    change, look, value = CARRIED[case]
    held = Held(database, window=None, until="ready",
                prepare="COMMENT ON COLUMN t.id IS 'key'; ALTER TABLE t ADD COLUMN x text;"
                        " ALTER TABLE t SET (autovacuum_analyze_threshold = 9, autovacuum_enabled = on)")

    def found(table):
        return database.value(look.format(f"'{table}'::regclass::oid"))

    def carried(times):
        return database.value("SELECT count(*) FROM pgrecast.event WHERE kind = 'carried'") >= times

    before = found("t_pgrecast_new")
    database.execute(change)
    wait_until(lambda: found("t_pgrecast_new") == value and carried(1), "the change to be carried over")
    assert before != value
    assert pgrecast.call(database, "cutover", "t").status == DONE
    held.instance.wait_phase("reverse")
    assert found("t") == value and held.id_type() == "bigint"
    database.execute("COMMENT ON TABLE t IS 'of the window'")
    wait_until(lambda: database.value("SELECT obj_description('t_pgrecast_old'::regclass, 'pg_class')") == "of the window",
               "the change to be carried back")
    held.write()
    wait_until(lambda: held.status["held"] is None, "the job not to be held")  # a lock may have to be waited for
    assert pgrecast.call(database, "rollback", "t").status == DONE
    assert held.id_type() == "integer" and database.value("SELECT obj_description('t'::regclass, 'pg_class')") == "of the window"
    if case != "comments":
        assert found("t") == value
    held.assert_written()
    assert pgrecast.call(database, "finish", "t").status == DONE
    outcome = held.instance.wait(30)
    assert outcome.status == DONE and "was opened" not in outcome.stderr, str(outcome)


PRIVILEGES = """
SELECT coalesce(attname, ''), CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END, privilege_type, is_grantable
FROM (SELECT NULL, relacl FROM pg_class WHERE oid = %s::regclass
      UNION ALL SELECT attname, attacl FROM pg_attribute WHERE attrelid = %s::regclass) AS h (attname, acl), aclexplode(acl)
WHERE grantee <> (SELECT oid FROM pg_roles WHERE rolname = current_user) ORDER BY 1, 2, 3"""


def test_grants_are_carried_over(database):
    """Granted and revoked before the cutover, and in the window: the active table keeps them, the other one has none."""

    def privileges(table):
        return database.execute(PRIVILEGES, table, table)

    def carried(number):
        wait_until(lambda: database.value("SELECT count(*) FROM pgrecast.event WHERE kind = 'carried'") >= number,
                   "the change to be carried over")
        wait_until(lambda: held.status["held"] is None, "the job not to be held")

    for role in ("reader", 'wri"ter'):
        database.server.execute(f"""DO $do$ BEGIN CREATE ROLE "{role.replace('"', '""')}"; EXCEPTION WHEN duplicate_object THEN END $do$""")
    leaver = f"leaver_{database.name}"
    database.server.execute(f"CREATE ROLE {leaver}")
    held = Held(database, window=None, until="ready", prepare='GRANT SELECT, INSERT ON t TO "wri""ter"; GRANT UPDATE (n) ON t TO reader;'
                f" GRANT DELETE ON t TO PUBLIC; GRANT SELECT ON t TO {leaver}; GRANT UPDATE (n) ON t TO {leaver}")
    database.execute('REVOKE INSERT ON t FROM "wri""ter"; GRANT UPDATE (n), DELETE ON t TO "wri""ter" WITH GRANT OPTION;'
                     " REVOKE DELETE ON t FROM PUBLIC; GRANT SELECT (id, n) ON t TO PUBLIC; REVOKE UPDATE (n) ON t FROM reader;"
                     f" REVOKE ALL ON t FROM {leaver}")
    before = privileges("t")
    carried(1)
    database.server.execute(f"DROP ROLE {leaver}")  # no swap may name it
    assert privileges("t_pgrecast_new") == [] and privileges("t") == before
    assert pgrecast.call(database, "cutover", "t").status == DONE
    held.instance.wait_phase("reverse")
    assert held.id_type() == "bigint" and privileges("t") == before and privileges("t_pgrecast_old") == []
    database.execute("GRANT TRUNCATE ON t TO reader; REVOKE SELECT (n) ON t FROM PUBLIC")
    before = privileges("t")
    carried(2)
    held.instance.kill()  # the plan that is stored has it
    held.instance = pgrecast.start_resume(database, "t")
    wait_until(lambda: held.status["running"] and held.status["rollback"]["possible"], "the job to continue")
    assert pgrecast.call(database, "rollback", "t").status == DONE
    assert held.id_type() == "integer" and privileges("t") == before and privileges("t_pgrecast_new") == []
    held.instance.wait_phase("rolled_back")
    database.execute("REVOKE ALL ON t FROM reader")
    before = privileges("t")
    carried(3)
    assert pgrecast.call(database, "cutover", "t", "--wait").status == DONE
    assert held.id_type() == "bigint" and privileges("t") == before and privileges("t_pgrecast_old") == []
    assert pgrecast.call(database, "finish", "t").status == DONE
    assert held.instance.wait(90).status == DONE
    assert privileges("t") == before


@pytest.mark.main_major
def test_grants_of_others_hold_the_job(database):
    """Nobody but the grantor can make them again."""
    database.server.execute("DO $do$ BEGIN CREATE ROLE passing_on; EXCEPTION WHEN duplicate_object THEN END $do$")
    held = Held(database, "--job", "t")
    database.execute("GRANT SELECT ON t TO passing_on WITH GRANT OPTION")
    database.superuser("SET ROLE passing_on; GRANT SELECT ON t TO PUBLIC")
    held.wait_held("table: privileges")
    database.execute("REVOKE SELECT ON t FROM passing_on CASCADE")
    held.wait_released()
    assert pgrecast.call(database, "cutover", "t").status == DONE
    assert held.instance.wait(90).status == DONE
    assert held.id_type() == "bigint" and database.value("SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE oid = 't'::regclass"
                                                         " AND grantee <> relowner") == 0


INDEXES = """
SELECT i.relname::text, regexp_replace(pg_get_indexdef(i.oid), '^CREATE INDEX .* USING', 'USING'), obj_description(i.oid, 'pg_class'),
       (SELECT max(attstattarget) FROM pg_attribute WHERE attrelid = i.oid), x.indisvalid
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %s::regclass AND NOT x.indisprimary ORDER BY 1"""

# Indexes that are made while the job runs.
LATE_INDEXES = {
    "plain": "CREATE INDEX late ON t (id) INCLUDE (n); COMMENT ON INDEX late IS 'it''s'",
    "parts": "CREATE INDEX late ON t ((n + 1) DESC, n) WITH (fillfactor = 70) WHERE n > 3; ALTER INDEX late ALTER COLUMN 1 SET STATISTICS 9",
    "concurrently": 'CREATE INDEX CONCURRENTLY "La te" ON t USING brin (n)',
}


@pytest.mark.parametrize("major, case", rotate(list(LATE_INDEXES)))
def test_index_is_carried_over(database, case):
    """Added to the original, and dropped from it, before the cutover and after a rollback: both tables have the same, all swaps know the names."""
    held = Held(database, window=None, until="ready", prepare="CREATE INDEX early ON t (n); CREATE INDEX kept ON t (n)")
    made = LATE_INDEXES[case]
    name = "La te" if "La te" in made else "late"

    def indexes(table, suffix=""):
        return [(index.removesuffix(suffix), *rest) for index, *rest in database.execute(INDEXES, table)]

    def carried(number):
        wait_until(lambda: database.value("SELECT count(*) FROM pgrecast.event WHERE kind = 'carried'") >= number,
                   "the change to be carried over")
        wait_until(lambda: held.status["held"] is None, "the job not to be held")

    database.execute(made)
    carried(1)
    database.execute("DROP INDEX early")
    carried(2)
    wanted = indexes("t")
    assert sorted(index for index, *_ in wanted) == sorted(["kept", name])
    assert indexes("t_pgrecast_new", "_pgrecast_new") == wanted
    held.write()
    assert pgrecast.call(database, "cutover", "t", "--wait").status == DONE
    held.instance.wait_phase("reverse")
    assert held.id_type() == "bigint"
    assert indexes("t") == wanted and indexes("t_pgrecast_old", "_pgrecast_old") == wanted
    held.instance.kill()  # the plan that is stored has the names
    held.instance = pgrecast.start_resume(database, "t")
    wait_until(lambda: held.status["running"] and held.status["rollback"]["possible"], "the job to continue")
    assert pgrecast.call(database, "rollback", "t").status == DONE
    held.instance.wait_phase("rolled_back")
    assert held.id_type() == "integer"
    assert indexes("t") == wanted and indexes("t_pgrecast_new", "_pgrecast_new") == wanted
    database.execute(f'DROP INDEX "{name}"; CREATE INDEX early ON t (n) WHERE n > 5')
    carried(3)
    wanted = [index for index in indexes("t") if index[0] in ("early", "kept")]
    assert len(wanted) == 2
    assert pgrecast.call(database, "cutover", "t", "--wait").status == DONE
    assert held.id_type() == "bigint" and indexes("t") == wanted
    held.assert_written()
    assert pgrecast.call(database, "finish", "t").status == DONE
    outcome = held.instance.wait(90)
    assert outcome.status == DONE and "was opened" not in outcome.stderr, str(outcome)
    assert indexes("t") == wanted


TRIGGERS = """
SELECT tgname::text, pg_get_triggerdef(oid), tgenabled::text, obj_description(oid, 'pg_trigger')
FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgname <> 'pgrecast_guard' ORDER BY 1"""
LATE_TRIGGERS = """
CREATE FUNCTION count_up() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN new.n := new.n + 1000; RETURN new; END$$;
CREATE TRIGGER late BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION count_up();
CREATE TRIGGER "La te" AFTER UPDATE ON t REFERENCING OLD TABLE AS o FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE t DISABLE TRIGGER "La te"; COMMENT ON TRIGGER "La te" ON t IS 'it''s'"""


def test_trigger_is_carried_over(database):
    """Added to the active table, and dropped from it, before each swap: it is on the active table only, and fires there."""
    held = Held(database, window=None, until="ready",
                prepare="CREATE TRIGGER early BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()")

    def triggers(table):
        return database.execute(TRIGGERS, table)

    def swapped(command, phase, other):
        before, events = triggers("t"), "SELECT count(*) FROM pgrecast.event WHERE kind = 'carried'"
        wait_until(lambda: database.value(events) > carried[0], "the change to be carried over")
        wait_until(lambda: held.status["held"] is None, "the job not to be held")
        carried[0] = database.value(events)
        assert triggers(other) == [] and triggers("t") == before
        assert pgrecast.call(database, command, "t", *(["--wait"] if command == "cutover" else [])).status == DONE
        held.instance.wait_phase(phase)
        assert triggers("t") == before
        return before

    carried = [0]
    database.execute("DROP TRIGGER early ON t;" + LATE_TRIGGERS)
    assert [name for name, *_ in swapped("cutover", "reverse", "t_pgrecast_new")] == ["La te", "late"]
    assert triggers("t_pgrecast_old") == [] and held.id_type() == "bigint"
    held.instance.kill()  # the plan that is stored has them
    held.instance = pgrecast.start_resume(database, "t")
    database.execute("INSERT INTO t VALUES (500, 1); DROP TRIGGER \"La te\" ON t")
    assert [name for name, *_ in swapped("rollback", "rolled_back", "t_pgrecast_old")] == ["late"]
    assert triggers("t_pgrecast_new") == [] and held.id_type() == "integer"
    database.execute("INSERT INTO t VALUES (501, 1); DROP TRIGGER late ON t;"
                     "CREATE TRIGGER early BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()")
    assert [name for name, *_ in swapped("cutover", "reverse", "t_pgrecast_new")] == ["early"]
    assert database.execute("SELECT id, n FROM t WHERE id > 499 ORDER BY 1") == [(500, 1001), (501, 1001)]
    held.write()
    held.assert_written()
    assert pgrecast.call(database, "finish", "t").status == DONE
    outcome = held.instance.wait(90)
    assert outcome.status == DONE and "was opened" not in outcome.stderr, str(outcome)


VIEW = """
SELECT pg_get_viewdef('late'::regclass), obj_description('late'::regclass, 'pg_class'),
       has_table_privilege('public', 'late', 'SELECT')::text, relowner, reloptions::text
FROM pg_class WHERE oid = 'late'::regclass"""


@pytest.mark.main_major
def test_view_is_carried_over(database):
    """Added to the active table, and dropped, before each swap: it reads the active table, and is what it was."""
    held = Held(database, window=None, until="ready", prepare="CREATE TABLE other (n integer, name text); INSERT INTO other VALUES (47, 'x');"
                " CREATE VIEW early AS SELECT n FROM t; CREATE VIEW kept AS SELECT n FROM t WHERE n > 5; GRANT SELECT ON kept TO PUBLIC")

    def swapped(command, phase):
        events = "SELECT count(*) FROM pgrecast.event WHERE kind = 'carried'"
        wait_until(lambda: database.value(events) > carried[0], "the change to be carried over")
        wait_until(lambda: held.status["held"] is None, "the job not to be held")
        carried[0] = database.value(events)
        assert pgrecast.call(database, command, "t", *(["--wait"] if command == "cutover" else [])).status == DONE
        held.instance.wait_phase(phase)
        assert database.value("SELECT count(*) FROM t WHERE n > 5") == database.value("SELECT count(*) FROM kept")

    carried = [0]
    database.execute("DROP VIEW early; CREATE VIEW late WITH (security_barrier) AS SELECT n AS m, count(*) OVER () FROM t LEFT JOIN other USING (n)"
                     " WHERE n BETWEEN 45 AND 49; GRANT SELECT ON late TO PUBLIC; COMMENT ON VIEW late IS 'it''s'")
    view = database.execute(VIEW)
    swapped("cutover", "reverse")
    assert held.id_type() == "bigint" and database.execute(VIEW) == view
    database.execute("DELETE FROM t WHERE n = 46")
    assert database.value("SELECT array_agg(m ORDER BY m) FROM late") == [45, 47, 48, 49]
    held.instance.kill()  # the plan that is stored has it
    held.instance = pgrecast.start_resume(database, "t")
    database.execute("CREATE VIEW window_only AS SELECT max(n) FROM t")
    swapped("rollback", "rolled_back")
    assert held.id_type() == "integer" and database.execute(VIEW) == view
    database.execute("DELETE FROM t WHERE n = 48")
    assert database.value("SELECT array_agg(m ORDER BY m) FROM late") == [45, 47, 49]
    database.execute("DROP VIEW late")
    swapped("cutover", "reverse")
    database.execute("INSERT INTO t VALUES (2000, 5000)")
    assert database.value("SELECT max FROM window_only") == 5000 and held.id_type() == "bigint"
    held.write()
    held.assert_written()
    assert pgrecast.call(database, "finish", "t").status == DONE
    outcome = held.instance.wait(90)
    assert outcome.status == DONE and "was opened" not in outcome.stderr, str(outcome)
    assert database.value("SELECT count(*) FROM window_only") == 1


@pytest.mark.main_major
def test_what_differs_on_purpose_is_not_carried_over(database):
    """The change gives the column another target: which of the two is wanted, nobody knows."""
    held = Held(database, sql="ALTER TABLE t ALTER COLUMN id TYPE bigint, ALTER n SET STATISTICS 9")
    database.execute("ALTER TABLE t ALTER n SET STATISTICS 7")
    held.wait_held("column n: statistics target")
    database.execute("ALTER TABLE t ALTER n SET STATISTICS -1")
    held.wait_released()
    assert pgrecast.call(database, "cutover", "t").status == DONE
    assert held.instance.wait(30).status == DONE
    assert database.value("SELECT attstattarget FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'n'") == 9


@pytest.mark.parametrize("major, case", rotate(["owners_grant", "trigger", "column", "view"]))
def test_definition_changed_in_the_window(database, case):
    """A rollback would lose what was changed: it is not possible until that is as it was."""
    change, back, words = DEFINITION[case]
    held = Held(database, window=None, until="reverse")
    database.execute(change)
    held.wait_held(words)
    assert not held.status["rollback"]["possible"] and words in held.status["rollback"]["reason"]
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == NO_ROLLBACK and words in outcome.stderr, str(outcome)
    database.execute(back)
    held.wait_released()
    held.write()
    assert held.status["rollback"]["possible"]
    assert pgrecast.call(database, "rollback", "t").status == DONE
    assert held.id_type() == "integer"
    held.assert_written()
    assert pgrecast.call(database, "finish", "t").status == DONE
    assert held.instance.wait(30).status == DONE


@pytest.mark.main_major
def test_index_in_the_window(database):
    """A change of indexes that a rollback undoes is no reason against it, but the log names it."""
    held = Held(database, window=None, until="reverse")
    for change, words in (("CREATE INDEX late ON t (n)", "index late added"),
                          ("ALTER INDEX late RENAME TO later", "index later added"),
                          ("COMMENT ON INDEX t_pkey IS 'x'", "index t_pkey: comment"),
                          ("ALTER TABLE t CLUSTER ON t_pkey", "clustering changed"),
                          ("ALTER INDEX t_pkey SET (fillfactor = 70)", "definition changed")):
        database.execute(change)
        wait_until(lambda words=words: any("were changed after the cutover" in line and words in line
                                           for line in held.instance.errors_so_far().splitlines()), f"{words} in the log")
    database.execute("COMMENT ON TABLE t IS 'of the window'")  # is carried over nevertheless
    wait_until(lambda: database.value("SELECT obj_description('t_pgrecast_old'::regclass, 'pg_class')") == "of the window",
               "the comment to be carried over")
    wait_until(lambda: held.status["held"] is None, "the job not to be held")
    assert pgrecast.call(database, "rollback", "t").status == DONE
    assert held.status["held"] is None
    assert pgrecast.call(database, "finish", "t").status == DONE


# As a superuser: what feeds the table, or publishes its whole schema.
SURROUNDINGS = {
    "subscription": ("CREATE SUBSCRIPTION late CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false)",
                     "INSERT INTO pg_subscription_rel SELECT s.oid, 't'::regclass, 'r', NULL FROM pg_subscription s"
                     " WHERE s.subname = 'late'",
                     "DELETE FROM pg_subscription_rel WHERE srrelid = 't'::regclass", "subscription late added"),
    "all_tables": (None, "CREATE PUBLICATION late FOR ALL TABLES", "DROP PUBLICATION late", "publication late added"),
    "schema": (None, "CREATE PUBLICATION late FOR TABLES IN SCHEMA public", "DROP PUBLICATION late", "publication late added"),
}


@pytest.mark.parametrize("case", SURROUNDINGS)
def test_surroundings_changed(database, major, case):
    """What would be refused at the start holds the job later: a subscription, a publication of all tables or of the schema."""
    if major < 15 and case == "schema":
        pytest.skip("a clause of 15")
    before, change, back, words = SURROUNDINGS[case]
    held = Held(database)
    if before:
        database.superuser(before)
        change, back = "SET allow_system_table_mods = on; " + change, "SET allow_system_table_mods = on; " + back
    database.superuser(change)
    held.wait_held(words)
    assert pgrecast.call(database, "cutover", "t").status == DONE
    held.write()
    assert held.id_type() == "integer"
    database.superuser(back)
    outcome = held.instance.wait(30)
    if before:
        database.superuser("ALTER SUBSCRIPTION late SET (slot_name = NONE); DROP SUBSCRIPTION late")
    assert outcome.status == DONE, str(outcome)
    held.assert_written()
    assert held.id_type() == "bigint"


PUBLICATION = {
    "dropped": ("DROP PUBLICATION {p}",),
    "without_the_table": ("ALTER PUBLICATION {p} DROP TABLE t",),
    "inserts_only": ("ALTER PUBLICATION {p} SET (publish = 'insert')",),
    "changed_back": ("ALTER PUBLICATION {p} SET (publish = 'insert')",
                     "ALTER PUBLICATION {p} SET (publish = 'insert, update, delete, truncate')"),
    "table_back": ("ALTER PUBLICATION {p} DROP TABLE t", "ALTER PUBLICATION {p} ADD TABLE ONLY t"),
    "row_filter": ("ALTER PUBLICATION {p} SET TABLE t WHERE (id > 10)",),
    "columns": ("ALTER PUBLICATION {p} SET TABLE t (id)",),
}


def change_publication(held, case, of="publication_name"):
    for statement in PUBLICATION[case]:
        held.database.execute(statement.format(p=held.publication(of)))


@pytest.mark.parametrize("case", PUBLICATION)
def test_publication_changed(database, major, case):
    """What was committed meanwhile may be missing in the stream: the job fails, and nothing is swapped."""
    if major < 15 and case in ("row_filter", "columns"):
        pytest.skip("a clause of 15")
    held = Held(database)
    change_publication(held, case)
    held.write()
    outcome = held.instance.wait(30)
    assert outcome.status == FAILED and "publication" in outcome.stderr, str(outcome)
    assert pgrecast.job_phase(database) == "failed" and held.id_type() == "integer"
    held.assert_written()
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
@pytest.mark.parametrize("case", ["dropped", "changed_back"])
def test_publication_changed_while_stopped(database, case):
    """An instance that was not there to see it finds it out."""
    held = Held(database)
    held.instance.kill()
    change_publication(held, case)
    held.write()
    outcome = pgrecast.resume(database, "t")
    assert outcome.status == FAILED and "publication" in outcome.stderr and "pgrecast abort t" in outcome.stderr, str(outcome)
    assert held.status["held"]["for_good"] and "publication" in held.status["held"]["reason"]
    assert pgrecast.call(database, "abort", "t").status == DONE
    held.assert_written()
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_publication_changed_just_before_the_cutover(database):
    """Also where there is no time to notice it before: the look before and under the lock does."""
    held = Held(database)
    change_publication(held, "inserts_only")
    held.write()
    assert pgrecast.call(database, "cutover", "t").status in (DONE, FAILED)
    outcome = held.instance.wait(30)
    assert outcome.status == FAILED and "publication" in outcome.stderr, str(outcome)
    assert held.id_type() == "integer"
    held.assert_written()


@pytest.mark.parametrize("major, case", rotate(["dropped", "without_the_table", "changed_back"]))
def test_publication_changed_in_the_window(database, case):
    """The new table is active; a rollback would lose what was written, so there is none any more."""
    held = Held(database, window=None, until="reverse")
    change_publication(held, case, "back_publication_name")
    held.write()
    outcome = held.instance.wait(30)
    assert outcome.status == FAILED and "pgrecast finish t" in outcome.stderr, str(outcome)
    assert not held.status["rollback"]["possible"] and "publication" in held.status["rollback"]["reason"]
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == NO_ROLLBACK and "publication" in outcome.stderr, str(outcome)
    assert pgrecast.call(database, "finish", "t").status == DONE
    held.assert_written()
    assert held.id_type() == "bigint" and pgrecast.leftovers(database) == []


@pytest.mark.parametrize("major, until", rotate(["ready", "reverse"]))
def test_slot_dropped(database, until):
    """The changes are lost: before the cutover the job is removed, after it no rollback is possible, and status says so."""
    held = Held(database, window=None if until == "reverse" else "0", until=until)
    slot = held.publication("slot_name")
    drop_slot(database.server, slot)
    outcome = held.instance.wait(30)
    assert outcome.status == FAILED and f'replication slot "{slot}" is gone' in outcome.stderr, str(outcome)
    held.write()
    if until == "ready":
        assert pgrecast.job_phase(database) == "failed" and held.id_type() == "integer"
    else:
        assert "pgrecast finish t" in outcome.stderr, str(outcome)
        assert pgrecast.call(database, "rollback", "t").status == NO_ROLLBACK
        assert pgrecast.call(database, "finish", "t").status == DONE
    held.assert_written()
    assert pgrecast.leftovers(database) == []


def slot_lost_while_stopped(server, database):
    """Status says so before anybody resumes, resume says so, and abort removes what is left."""
    held = Held(database, "--job", "t")
    slot = held.publication("slot_name")
    held.instance.kill()
    lose_slot(server, database)
    held.write()
    invalidated = f"replication slot {slot} was invalidated by the server"
    found = held.status
    assert found["slot_lost"].startswith(invalidated) and not found["running"] and found["phase"] == "ready", found
    assert [entry["command"].split()[1] for entry in found["next"]] == ["abort"]
    assert f"lost         {invalidated}" in pgrecast.call(database, "status", "t").stdout
    outcome = pgrecast.resume(database, "t")
    assert outcome.status == FAILED, str(outcome)
    assert f'replication slot "{slot}" was invalidated by the server' in outcome.stderr, str(outcome)
    assert "max_slot_wal_keep_size" in outcome.stderr and "pgrecast abort t" in outcome.stderr, str(outcome)
    assert "was invalidated by the server" in held.status["error"]
    assert pgrecast.call(database, "abort", "t").status == DONE
    assert held.status["phase"] == "aborted" and held.status["slot_lost"] is None
    held.assert_written()
    assert pgrecast.leftovers(database) == []


def slot_lost_while_held(server, database):
    """The program runs and keeps up; it ends by itself, and removes the job."""
    held = Held(database, "--job", "t")
    slot = held.publication("slot_name")
    database.execute("CREATE VIEW late AS SELECT id FROM t")
    held.wait_held("view public.late added")
    lose_slot(server, database)
    held.write()
    outcome = held.instance.wait(60)
    assert outcome.status == FAILED, str(outcome)
    assert f'replication slot "{slot}" was invalidated by the server' in outcome.stderr, str(outcome)
    assert "max_slot_wal_keep_size" in outcome.stderr, str(outcome)
    assert held.status["phase"] == "failed" and "was invalidated by the server" in held.status["error"]
    held.assert_written()
    assert database.value("SELECT count(*) FROM late") == 100 and held.id_type() == "integer"
    assert pgrecast.leftovers(database) == []


def slot_lost_while_halted(server, database):
    """In the window, and the program neither reads nor ends: once it goes on, there is no rollback any more."""
    held = Held(database, "--job", "t", window=None, until="reverse")
    held.instance.kill(signal.SIGSTOP)
    lose_slot(server, database)
    held.write()
    assert "was invalidated by the server" in held.status["rollback"]["reason"] and not held.status["rollback"]["possible"]
    held.instance.kill(signal.SIGCONT)
    outcome = held.instance.wait(60)
    assert outcome.status == FAILED, str(outcome)
    assert "was invalidated by the server" in outcome.stderr and "pgrecast finish t" in outcome.stderr, str(outcome)
    found = held.status
    assert found["phase"] == "reverse" and "was invalidated by the server" in found["slot_lost"]
    assert [entry["command"].split()[1] for entry in found["next"]] == ["finish"]
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == NO_ROLLBACK and "was invalidated by the server" in outcome.stderr, str(outcome)
    assert pgrecast.call(database, "finish", "t").status == DONE
    held.assert_written()
    assert held.id_type() == "bigint" and pgrecast.leftovers(database) == []


@pytest.mark.majors((14, 15, 18))
def test_slot_invalidated(lonely):
    """By the server itself, with max_slot_wal_keep_size: with the program stopped, running, and halted."""
    server, database = lonely
    for case in (slot_lost_while_stopped, slot_lost_while_held, slot_lost_while_halted):
        case(server, database)
        server.configure(max_slot_wal_keep_size="-1")
        database = server.new_database()


@pytest.mark.parametrize("major, program", rotate(["lost connection", "stopped"]))
def test_slot_taken(database, program):
    """Another session that streams from the slot is named, and the job waits for it; what it has confirmed is missing."""
    held = Held(database, "--cutover=hold")
    slot = held.publication("slot_name")
    other = psycopg2.connect(host=database.server.socket_folder, port=database.server.port, dbname=database.name, user="postgres",
                             connection_factory=LogicalReplicationConnection)
    if program == "stopped":
        held.instance.kill()
    with other.cursor() as cursor:

        def taken():
            database.terminate("pgrecast stream")
            try:
                cursor.start_replication(slot_name=slot, options={"proto_version": 1, "publication_names": held.publication()})
                return True
            except psycopg2.Error:
                return False

        wait_until(taken, "the slot to be taken", interval=0)
        instance = pgrecast.start_resume(database, "t") if program == "stopped" else held.instance
        wait_until(lambda: f'replication slot "{slot}" is used by another session' in instance.errors_so_far(), "the user to be named", 20)
        assert f"pg_terminate_backend({other.info.backend_pid})" in instance.errors_so_far()
    other.close()
    held.write()
    wait_until(lambda: held.status["running"] and held.status["phase"] == "ready", "the job to continue", 30)
    assert pgrecast.call(database, "cutover", "t").status == DONE
    assert instance.wait(30).status == DONE
    held.assert_written()
    assert held.id_type() == "bigint"


# What an event trigger does to each new table, and whether that can be undone by the owner of the table.
ADDED = {
    "row_security": ("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", True),
    "policy": ("CREATE POLICY added ON %s USING (false)", True),
    "trigger": ("CREATE TRIGGER added BEFORE INSERT ON %s FOR EACH ROW EXECUTE FUNCTION public.halve()", True),
    "grant": ("GRANT SELECT ON %s TO PUBLIC", True),
    "publication": ("ALTER PUBLICATION cdc ADD TABLE %s", False),
    "column": ("ALTER TABLE %s ADD COLUMN added integer", False),
    "statistics": ("CREATE STATISTICS public.added ON id, n FROM %s", False),
}


def event_trigger(database, action, tag="CREATE TABLE", kind="table"):
    database.superuser("CREATE PUBLICATION cdc")
    database.superuser("CREATE FUNCTION halve() RETURNS trigger LANGUAGE plpgsql AS 'begin new.n := new.n / 2; return new; end'")
    database.superuser(
        "CREATE FUNCTION on_new() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $f$ DECLARE r record; BEGIN"
        " IF current_setting('pgrecast_test.inside', true) = 'yes' THEN RETURN; END IF;"
        " PERFORM set_config('pgrecast_test.inside', 'yes', true);"
        f" FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE schema_name = 'public' AND object_type = '{kind}'"
        f" LOOP EXECUTE format('{action}', r.object_identity); END LOOP;"
        " PERFORM set_config('pgrecast_test.inside', 'no', true); END $f$")
    database.superuser(f"CREATE EVENT TRIGGER on_new ON ddl_command_end WHEN TAG IN ('{tag}') EXECUTE FUNCTION on_new()")


@pytest.mark.parametrize("case", ADDED)
def test_event_trigger_on_new_tables(database, case):
    """What it adds to the new table is removed, or the job is refused before anything is copied; plan names it."""
    action, undone = ADDED[case]
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer);"
                     " INSERT INTO t SELECT i, i FROM generate_series(1, 100) i")
    event_trigger(database, action)
    outcome = pgrecast.call(database, "plan", "--sql", WIDEN)
    assert "event trigger on_new" in " ".join(outcome.stdout.split()), str(outcome)
    outcome = pgrecast.run(database, WIDEN)
    if undone:
        assert outcome.status == DONE and "on_new" in outcome.stderr, str(outcome)
        assert database.value("SELECT NOT relrowsecurity AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid)"
                              " AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)"
                              " AND NOT EXISTS (SELECT FROM aclexplode(relacl) a WHERE a.grantee <> relowner)"
                              " FROM pg_class c WHERE oid = 't'::regclass")
        assert database.value("SELECT atttypid = 'bigint'::regtype FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'id'")
    else:
        assert outcome.status == pgrecast.REFUSED and "on_new" in outcome.stderr, str(outcome)
        assert pgrecast.leftovers(database) == []
    assert database.value("SELECT sum(n) FROM t") == 5050


ADDED_LATER = {
    "index": ("CREATE INDEX added ON {0} (n)", None),
    "constraint": ("ALTER TABLE {0} ADD CONSTRAINT added CHECK (n < 1000000)", None),
    "policy": ("CREATE POLICY added ON {0} USING (false)", None),
    "statistics": ("CREATE STATISTICS added ON id, n FROM {0}", None),
    "default": ("ALTER TABLE {0} ALTER n SET DEFAULT 3", "ALTER TABLE {0} ALTER n DROP DEFAULT"),
    "parameters": ("ALTER TABLE {0} SET (fillfactor = 50)", "ALTER TABLE {0} RESET (fillfactor)"),
}


@pytest.mark.parametrize("major, case", rotate(list(ADDED_LATER)))
def test_added_before_the_new_table_is_complete(database, case):
    """Between its creation and its completion: removed again, or named, and then the job continues once it was undone."""
    change, back = (text and text.format("t_pgrecast_new") for text in ADDED_LATER[case])
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i")
    instance = pgrecast.start_run(database, WIDEN, hold="catchup")
    instance.wait_phase("catchup")
    database.execute(change)
    instance.release()
    outcome = instance.wait(30)
    if back:
        words = {"default": "column n: default", "parameters": "table: storage parameters"}[case]
        assert outcome.status == FAILED and words in outcome.stderr and "pgrecast resume t" in outcome.stderr, str(outcome)
        database.execute(back)
        outcome = pgrecast.resume(database, "t")
    assert outcome.status == DONE, str(outcome)
    assert database.value("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass") == 1
    assert database.value("SELECT count(*) FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'c'") == 0
    assert database.value("SELECT count(*) FROM pg_policy") == 0
    assert database.value("SELECT count(*) FROM pg_statistic_ext") == 0
    assert database.value("SELECT sum(n) FROM t") == 5050


@pytest.mark.main_major
def test_statistics_added_while_the_new_table_is_completed(database):
    """By an event trigger, with those of the table: these stay, and what was added is removed."""
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i;"
                     " CREATE STATISTICS s ON id, n FROM t; CREATE STATISTICS s2 (ndistinct) ON n, id FROM t")
    event_trigger(database, "CREATE STATISTICS IF NOT EXISTS public.added ON id, n FROM public.t_pgrecast_new;"
                  f" ALTER STATISTICS public.added OWNER TO {APP_ROLE}", "CREATE STATISTICS", "statistics object")
    before = database.execute("SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext ORDER BY 1")
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER COLUMN id TYPE bigint")
    assert outcome.status == DONE and "statistics added" in outcome.stderr, str(outcome)
    assert database.execute("SELECT stxname, pg_get_statisticsobjdef(oid) FROM pg_statistic_ext ORDER BY 1") == before


@pytest.mark.main_major
def test_publication_with_a_name_like_ours(database):
    """What is the program's own is known by its ledger: a publication of the user's goes with the table, whatever its name."""
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer); CREATE PUBLICATION pgrecast_app FOR TABLE t")
    assert "pgrecast_app" in pgrecast.call(database, "plan", "--sql", WIDEN).stdout
    outcome = pgrecast.run(database, WIDEN)
    assert outcome.status == DONE, str(outcome)
    assert database.value("SELECT prrelid = 't'::regclass FROM pg_publication_rel") is True
    database.superuser("CREATE PUBLICATION pgrecast_all FOR ALL TABLES")
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER COLUMN n TYPE bigint")
    assert outcome.status == pgrecast.REFUSED and "pgrecast_all" in outcome.stderr, str(outcome)


@pytest.mark.main_major
@pytest.mark.parametrize("how", ["finish", "watch"])
def test_schema_renamed_in_the_window(database, how):
    """The old table is dropped by its oid; a table of its name in a schema of its name is not touched."""
    database.execute("CREATE SCHEMA s; CREATE TABLE s.t (id integer PRIMARY KEY, n integer);"
                     " INSERT INTO s.t SELECT i, i FROM generate_series(1, 100) i")
    instance = pgrecast.start_run(database, "ALTER TABLE s.t ALTER COLUMN id TYPE bigint", window=None)
    instance.wait_phase("reverse")
    database.execute("ALTER SCHEMA s RENAME TO s2; CREATE SCHEMA s; CREATE TABLE s.t_pgrecast_old (other integer)")
    if how == "watch":  # the job's statements would find the other one
        outcome = instance.wait(30)
        assert outcome.status == FAILED and "schema" in outcome.stderr, str(outcome)
        assert not pgrecast.the_job(database)["rollback"]["possible"]
    assert pgrecast.call(database, "finish", "s.t").status == DONE
    if how == "finish":
        instance.wait(30)
    assert database.value("SELECT string_agg(oid::regclass::text, ' ') FROM pg_class"
                          " WHERE relname ~ '_pgrecast_' AND relkind = 'r'") == "s.t_pgrecast_old"
    assert database.value("SELECT count(*) FROM s2.t") == 100
    assert pgrecast.job_phase(database) == "finished"
