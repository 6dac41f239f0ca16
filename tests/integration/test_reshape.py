"""Reshaping while copying: the place of the table, the order of its columns, the rows that are kept."""

import pytest

import pgrecast
from conftest import spread
from pgrecast import DONE, REFUSED, USAGE
from rewrite import NEW, Rewrite
from tables import assert_follows, column_names, relations, row_differences, schema_differences
from test_restructuring import section


def refused(database, *arguments, reasons, status=REFUSED):
    """By plan and run, with all reasons and nothing created."""
    before = relations(database)
    for command in ("plan", "run"):
        outcome = pgrecast.call(database, command, *arguments)
        assert outcome.status == status, str(outcome)
        for reason in reasons:
            assert reason in outcome.stderr, str(outcome)
    assert relations(database) == before


# Tablespace

PLACES = """
SELECT c.relname::text, coalesce(s.spcname::text, '') FROM pg_class c LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
WHERE c.oid = 'items'::regclass OR c.oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'items'::regclass)
   OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'items'::regclass)
"""


def places(database):
    """The tablespace of the table, of its TOAST table and of its indexes."""
    found = dict(database.execute(PLACES))
    toast, = [name for name in found if name.startswith("pg_toast")]
    return found["items"], found[toast], found["items_pkey"], found["items_label_key"]


def test_tablespace_under_load(database, server):
    """The table is moved by a rebuild that is killed on the way; a rollback returns to where it was."""
    server.tablespace("other_space")
    rewrite = Rewrite(database, rows=1000, arguments=("-t", "items", "--rebuild", "--tablespace", "other_space"))
    rewrite.workload.alter = None
    with rewrite.load:
        rewrite.run(kill="copy-chunk").wait_killed()
        rewrite.resume().wait_phase("reverse")
        rewrite.wait_traffic()
        rewrite.assert_serves()
        assert places(database) == ("other_space", "other_space", "", "")
        rewrite.kill()
        rewrite.resume().wait_phase("reverse")
        rewrite.roll_back()
        assert places(database) == ("", "", "", "")
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.roll_forward()
        rewrite.wait_traffic()
    rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over()
    assert places(database) == ("other_space", "other_space", "", "")


TABLE = """
CREATE TABLE t (id integer PRIMARY KEY, note text, kind integer, EXCLUDE USING btree (kind WITH =) WHERE (kind > 900));
CREATE INDEX "t Note" ON t (note) WHERE kind > 3;
INSERT INTO t SELECT g, 'note ' || g, g FROM generate_series(1, 500) g;
"""


def test_tablespaces_with_a_change(new_database, server):
    """The same as by hand; the indexes of the table come along where that is asked for, new ones do not."""
    server.tablespace("other_space")
    database, twin = new_database(), new_database()
    change = "ALTER TABLE t ALTER id TYPE bigint; CREATE INDEX t_new ON t (kind)"
    for one in (database, twin):
        one.execute(TABLE)
    twin.execute('ALTER TABLE t SET TABLESPACE other_space; ALTER INDEX t_pkey SET TABLESPACE other_space;'
                 ' ALTER INDEX "t Note" SET TABLESPACE other_space; ALTER INDEX t_kind_excl SET TABLESPACE other_space')
    twin.execute(change)
    options = ("--tablespace", "other_space", "--index-tablespace", "other_space")
    outcome = pgrecast.call(database, "plan", "--sql", change, *options)
    assert outcome.status == DONE and "copies the table to the other tablespace" in outcome.stdout, str(outcome)
    outcome = pgrecast.run(database, change, *options)
    assert outcome.status == DONE, str(outcome)
    assert schema_differences(database, twin, "t") == []
    assert row_differences(database, twin, "t") == []
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_tablespace_with_a_file_that_sets_the_path(database, server, tmp_path):
    """The table that the file means moves, not the one of the same name on the connection's path."""
    server.tablespace("other_space")
    database.execute("CREATE SCHEMA shop; CREATE TABLE shop.t (id integer PRIMARY KEY); CREATE TABLE t (id integer PRIMARY KEY);"
                     "CREATE TABLE schema_migrations (version text)")
    file = tmp_path / "file.sql"
    file.write_text("-- pgrecast: tablespace=other_space\nBEGIN;\nSET search_path = shop;\nALTER TABLE t ALTER id TYPE bigint;\n"
                    "INSERT INTO public.schema_migrations (version) VALUES ('1');\nCOMMIT;\n")
    outcome = pgrecast.run(database, None, "-f", file, "--job=moved")
    assert outcome.status == DONE, str(outcome)
    assert database.execute("SELECT c.oid::regclass::text, coalesce(s.spcname::text, '') FROM pg_class c LEFT JOIN pg_tablespace s"
                            " ON s.oid = c.reltablespace WHERE c.relname = 't' ORDER BY 1") == [("shop.t", "other_space"), ("t", "")]
    assert database.execute("SELECT version FROM schema_migrations") == [("1",)]
    assert pgrecast.leftovers(database) == []


def test_a_tablespace_that_cannot_be_used(database, server):
    server.tablespace("other_space")
    database.execute(TABLE)
    server.tablespace("denied_space")
    server.execute("REVOKE ALL ON TABLESPACE denied_space FROM PUBLIC, app_owner")
    refused(database, "-t", "t", "--rebuild", "--tablespace", "no_space", "--index-tablespace", "denied_space",
            reasons=['there is no tablespace "no_space"', 'may not create in tablespace "denied_space"',
                     "GRANT CREATE ON TABLESPACE"])
    refused(database, "--sql", "ALTER TABLE t ALTER id TYPE bigint", "--tablespace", "pg_global",
            reasons=['tablespace "pg_global" is only for'])
    refused(database, "-t", "t", "--target", "/dev/null", "--tablespace", "other_space", status=USAGE,
            reasons=["do not go with --target"])


def test_the_example_of_a_tablespace(database, server):
    sql, (plan, run, rollback, finish) = section("Move a table to another tablespace")
    server.tablespace("archive")
    database.execute(sql)
    place = "SELECT s.spcname::text FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.relname = %s"
    outcome = pgrecast.call(database, *plan)
    assert outcome.status == DONE and "SET TABLESPACE archive" in outcome.stdout, str(outcome)
    job = pgrecast.start_run(database, None, *run[1:], window=None)
    job.wait_phase("reverse")
    assert [database.execute(place, name) for name in ("events", "events_pkey")] == [[("archive",)]] * 2
    assert pgrecast.call(database, *rollback).status == DONE
    assert [database.execute(place, name) for name in ("events", "events_pkey")] == [[], []]
    assert pgrecast.call(database, *finish).status == DONE
    assert job.wait().status == DONE
    assert pgrecast.leftovers(database) == []


# Order of columns

IN_ORDER = ["id", "n", "note", "label", "document", "flag", "at", "small", "number", "twice"]
PACKED = ["at", "number", "twice", "id", "n", "small", "flag", "note", "label", "document"]


@pytest.mark.parametrize("point", ["copy-chunk", "cutover-swapped", "reverse"])
@pytest.mark.majors((15, 18))
def test_packed_under_load(database, point):
    """Killed on the way, rolled back and cut over again: every value is in its column."""
    rewrite = Rewrite(database, "workloads:Padded", rows=1000)
    with rewrite.load:
        if point == "reverse":
            rewrite.run().wait_phase("reverse")
            rewrite.kill()
        else:
            rewrite.run(kill=point).wait_killed()
        rewrite.resume().wait_phase("reverse")
        rewrite.wait_traffic()
        rewrite.assert_serves()
        assert column_names(database, "items") == PACKED
        rewrite.roll_back()
        assert column_names(database, "items") == IN_ORDER
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.roll_forward()
        rewrite.wait_traffic()
    rewrite.assert_follows()
    rewrite.finish()
    rewrite.assert_over()
    assert column_names(database, "items") == PACKED


def test_packed_with_a_change_and_new_maps(database):
    """The columns of the result are packed, also if a rollback asks for other maps."""
    database.execute("""
        CREATE TABLE t (a boolean, id integer PRIMARY KEY, b boolean, c integer, note text, d integer, e smallint);
        INSERT INTO t SELECT true, g, false, g, 'note ' || g, g * 100, 1 FROM generate_series(1, 500) g""")
    change = "ALTER TABLE t ALTER id TYPE bigint, ADD f bigint DEFAULT 5, DROP c; ALTER TABLE t ALTER d TYPE bigint USING d * 10"
    job = pgrecast.start_run(database, change, "--pack-columns", "--reverse-map", "d=d / 10", window=None)
    job.wait_phase("reverse")
    assert column_names(database, "t") == ["id", "d", "f", "e", "a", "b", "note"]
    database.execute("INSERT INTO t (id, d, e) VALUES (1001, 7, 2); UPDATE t SET d = 70, b = true WHERE id = 1")
    job.kill()
    outcome = pgrecast.call(database, "rollback", "t", "--reverse-map", "d=d / 7")
    assert outcome.status == DONE, str(outcome)
    assert database.execute("SELECT * FROM t WHERE id IN (1, 2, 1001) ORDER BY id") == [
        (True, 1, True, 1, "note 1", 10, 1), (True, 2, False, 2, "note 2", 200, 1), (None, 1001, None, None, None, 1, 2)]
    assert pgrecast.call(database, "finish", "t").status == DONE
    assert pgrecast.leftovers(database) == []


OBJECTS = """
CREATE TABLE t (a boolean, id integer PRIMARY KEY, b boolean, c integer, note text, d bigint, "C d" text,
    s integer GENERATED ALWAYS AS (c + 1) STORED, CONSTRAINT t_c CHECK (c > 0));
CREATE INDEX t_note ON t (note) INCLUDE (a, d) WHERE b;
CREATE STATISTICS t_st ON c, a FROM t;
CREATE STATISTICS t_of (ndistinct) ON (c % 3), "C d", d, a, lower(note) FROM t;
GRANT SELECT (a, note), UPDATE (d) ON t TO PUBLIC;
COMMENT ON COLUMN t.d IS 'of d';
INSERT INTO t (a, id, b, c, note, d) SELECT g % 2 = 0, g, g % 3 = 0, g, 'note ' || g, g * 100 FROM generate_series(1, 300) g;
CREATE VIEW v AS SELECT * FROM t WHERE a;
CREATE VIEW w AS SELECT x.id, y.d FROM v AS x JOIN t AS y USING (id);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.note = NEW.id || '' '' || NEW.b; RETURN NEW; END';
CREATE TRIGGER stamp BEFORE UPDATE OF c ON t FOR EACH ROW WHEN (NEW.c > OLD.c) EXECUTE FUNCTION stamp();
CREATE POLICY p ON t USING (c > 0);
CREATE PUBLICATION published FOR TABLE t;
"""


def test_packed_with_what_depends_on_it(new_database):
    """Everything finds its columns by their names: as in a table that was made so by hand, but for the order."""
    database, twin = new_database(), new_database()
    for one in (database, twin):
        one.execute(OBJECTS)
    outcome = pgrecast.call(database, "plan", "-t", "t", "--rebuild", "--pack-columns")
    assert outcome.status == DONE and "packing the columns saves" in outcome.stdout, str(outcome)
    assert "INSERT and COPY without a list of columns" in " ".join(outcome.stdout.split()), str(outcome)
    outcome = pgrecast.run(database, None, "-t", "t", "--rebuild", "--pack-columns")
    assert outcome.status == DONE, str(outcome)
    assert column_names(database, "t") == ["d", "id", "c", "s", "a", "b", "note", '"C d"']
    change = "UPDATE t SET c = c + 1, d = d - 1 WHERE id % 5 = 0; INSERT INTO t (id, c, note) VALUES (999, 9, 'new')"
    columns = 'id, a, b, c, note, d, s, "C d"'
    for one in (database, twin):
        one.execute(change)
    for query in (f"SELECT {columns} FROM t ORDER BY id", "SELECT * FROM v ORDER BY id", "SELECT * FROM w ORDER BY id",
                  "SELECT pg_get_indexdef('t_note'::regclass)",
                  "SELECT a.attname::text FROM pg_statistic_ext AS x JOIN pg_attribute AS a ON a.attrelid = x.stxrelid"
                  " AND a.attnum = ANY (x.stxkeys) ORDER BY 1",
                  "SELECT attname::text, attacl::text, col_description('t'::regclass, attnum) FROM pg_attribute"
                  " WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY 1",
                  "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 't'::regclass",
                  "SELECT pubname::text, tablename::text FROM pg_publication_tables"):
        assert database.execute(query) == twin.execute(query), query
    outcome = pgrecast.call(database, "plan", "-t", "t", "--rebuild", "--pack-columns")
    assert "gains nothing: they are in that order already" in " ".join(outcome.stdout.split()), str(outcome)


def test_what_takes_columns_by_their_place(database):
    """It is refused by name, all at once."""
    database.execute("""
        CREATE TABLE t (a boolean, id integer PRIMARY KEY, b boolean, d bigint);
        CREATE VIEW named AS SELECT x.p, x.q FROM t AS x (p, q, r, s);
        CREATE VIEW built AS SELECT ROW(true, 1, false, 2)::t AS made;
        CREATE VIEW whole_row AS SELECT id, t::text AS all_of_it FROM t;
        CREATE VIEW fine AS SELECT x.*, u.k FROM t AS x, unnest(ARRAY[1]) AS u (k);
        CREATE FUNCTION gives() RETURNS SETOF t LANGUAGE sql AS 'SELECT a, id, b, d FROM t';
        CREATE POLICY p ON t USING (EXISTS (SELECT FROM t AS o (w, x) WHERE o.x = 1));""")
    refused(database, "-t", "t", "--rebuild", "--pack-columns", reasons=[
        "view public.named uses the row", "view public.built uses the row", "view public.whole_row uses the row",
        "function public.gives() takes or gives rows", "policy p on table public.t uses the row"])
    outcome = pgrecast.call(database, "plan", "-t", "t", "--rebuild", "--pack-columns")
    assert "view public.fine" not in outcome.stderr, str(outcome)
    refused(database, "-t", "t", "--target", "/dev/null", "--pack-columns", status=USAGE, reasons=["does not go with --target"])
    outcome = pgrecast.call(database, "run", "-t", "t", "--rebuild", "--pack-columns", "--or-resume")
    assert outcome.status == USAGE and "does not go with --or-resume" in outcome.stderr, str(outcome)


def test_the_example_of_packed_columns(database):
    sql, (plan, run, rollback, finish) = section("Pack the columns")
    database.execute(sql)
    outcome = pgrecast.call(database, *plan)
    assert outcome.status == DONE and "packing the columns saves 16.0 bytes per row" in outcome.stdout, str(outcome)
    job = pgrecast.start_run(database, None, *run[1:], window=None)
    job.wait_phase("reverse")
    assert column_names(database, "readings") == ["at", "value", "sensor", "valid", "checked"]
    assert pgrecast.call(database, *rollback).status == DONE
    assert column_names(database, "readings") == ["valid", "at", "checked", "value", "sensor"]
    assert pgrecast.call(database, *finish).status == DONE
    assert job.wait().status == DONE
    assert pgrecast.leftovers(database) == []


# Rows that are kept

# The documents are stored out of line, and most changes leave them unchanged.
KEPT = "n % 2 = 0 AND length(coalesce(document, '')) < 6000"
MIRROR_KEPT = f"(SELECT * FROM items_mirror WHERE {KEPT}) AS kept"


@pytest.mark.parametrize("point", ["copy-chunk", "verify-done"])
@pytest.mark.majors((15, 18))
def test_where_under_load(database, point):
    """Rows enter and leave the new table as they begin and cease to match; the program is killed on the way."""
    rewrite = Rewrite(database, rows=1000, arguments=("-t", "items", "--rebuild", "--cutover=hold", "--where", KEPT))
    rewrite.workload.alter = None
    with rewrite.load:
        rewrite.run(kill=point, window="0").wait_killed()
        rewrite.resume().wait_phase("ready")
        rewrite.wait_traffic(100)
        rewrite.load.pause()
        assert_follows(database, NEW, MIRROR_KEPT)
        rewrite.load.go_on()
        rewrite.wait_traffic(50)
        rewrite.command("verify")
    rewrite.assert_load_unharmed()
    rewrite.assert_serves()  # all rows, up to the cutover
    rewrite.command("cutover")
    rewrite.end_of_instance()
    assert_follows(database, "items", MIRROR_KEPT)
    rewrite.assert_gone()


CHANGES = """
BEGIN; UPDATE t SET state = 'open' WHERE id = 2; UPDATE t SET state = 'done' WHERE id = 2; COMMIT;
BEGIN; UPDATE t SET state = 'done' WHERE id = 1; UPDATE t SET state = 'open', n = 11 WHERE id = 1; COMMIT;
UPDATE t SET state = 'open' WHERE id = 4;
UPDATE t SET state = NULL WHERE id = 3;
UPDATE t SET n = 55 WHERE id IN (5, 6);
UPDATE t SET id = id + 1000 WHERE id IN (7, 8);
BEGIN; UPDATE t SET id = 2009, state = 'done' WHERE id = 9; UPDATE t SET id = 9, state = 'open' WHERE id = 10; COMMIT;
UPDATE t SET doc = 'hidden' WHERE id = 11;
UPDATE t SET n = 12 WHERE id = 11;
DELETE FROM t WHERE id IN (13, 14);
INSERT INTO t VALUES (13, 'done', 0, 'new'), (14, 'open', 0, 'new'), (15000, NULL, 0, 'new');
"""


@pytest.mark.parametrize("major, identity", spread(["DEFAULT", "FULL"]))
def test_where_with_values_left_unchanged(new_database, identity):
    """The filter reads a value that a change does not have; rows enter and leave in a transaction, and with their keys."""
    table = f"""
        CREATE TABLE t (id integer PRIMARY KEY, state text, n integer, doc text, UNIQUE (id, n));
        ALTER TABLE t ALTER doc SET STORAGE EXTERNAL;
        ALTER TABLE t REPLICA IDENTITY {identity};
        INSERT INTO t SELECT g, CASE WHEN g % 2 = 1 THEN 'open' ELSE 'done' END, g, repeat(g::text, 3000)
            FROM generate_series(1, 400) g"""
    where = "state = 'open' AND doc <> 'hidden' AND length(doc) <> 5"
    database, twin = new_database(), new_database()
    for one in (database, twin):
        one.execute(table)
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER n TYPE bigint", "--where", where, "--cutover=hold", hold="copy")
    job.wait_phase("copy")
    job.release()
    job.wait_phase("ready")
    for statement in CHANGES.strip().split("\n"):
        database.execute(statement)
        twin.execute(statement)
    twin.execute(f"DELETE FROM t WHERE ({where}) IS NOT TRUE; ALTER TABLE t ALTER n TYPE bigint")
    assert pgrecast.call(database, "cutover", "t").status == DONE
    outcome = job.wait()
    assert outcome.status == DONE, str(outcome)
    assert row_differences(database, twin, "t") == []
    assert schema_differences(database, twin, "t") == []
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_rows_that_are_left_out_need_not_be_valid(database):
    """Neither a CHECK that does not hold any more, nor a foreign key that a row violates, is a reason to refuse."""
    database.execute("""
        CREATE FUNCTION fits(integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
        CREATE TABLE other (id integer PRIMARY KEY); INSERT INTO other VALUES (1);
        CREATE TABLE t (id integer PRIMARY KEY, n integer CHECK (fits(n)), other integer);
        INSERT INTO t SELECT g, g, CASE WHEN g > 100 THEN 1 ELSE 2 END FROM generate_series(1, 200) g;
        CREATE OR REPLACE FUNCTION fits(integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 50'""")
    sql = "ALTER TABLE t ADD CONSTRAINT to_other FOREIGN KEY (other) REFERENCES other"
    for where, reason in (("n > 40", "CHECK"), ("n > 60", "violate foreign key")):
        outcome = pgrecast.run(database, sql, "--where", where)
        assert outcome.status == REFUSED and reason.lower() in outcome.stderr.lower(), str(outcome)
    outcome = pgrecast.run(database, sql, "--where", "n > 100")
    assert outcome.status == DONE, str(outcome)
    assert database.execute("SELECT count(*), min(id) FROM t") == [(100, 101)]
    assert database.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'to_other'") == [(True,)]
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_a_filter_that_is_refused(database):
    """All reasons at once, where the expression can be read; nothing is created."""
    database.execute("""
        CREATE TABLE t (id integer PRIMARY KEY, n integer, g integer GENERATED ALWAYS AS (n + 1) STORED, at timestamptz);
        CREATE TABLE u (t integer CONSTRAINT u_t REFERENCES t); CREATE TABLE w (id integer PRIMARY KEY);
        CREATE FUNCTION mine(integer) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0'""")
    rebuild = ("-t", "t", "--rebuild")
    refused(database, *rebuild, "--where", "g > 3", reasons=[
        "--where needs --rollback-window=0", "foreign key \"u_t\" of public.u could refer to a row that is left out",
        "reads the generated column \"g\""])
    refused(database, *rebuild, "--where", "true", "--rollback-window=0", reasons=["reads no column"])
    refused(database, *rebuild, "--where", "mine(n)", "--rollback-window=0", reasons=["uses function public.mine(integer)"])
    for where, reason in (("n > random()", "must be marked IMMUTABLE"), ("at > now()", "must be marked IMMUTABLE"),
                          ("id IN (SELECT id FROM w)", "cannot use subquery"), ("count(n) > 1", "aggregate functions"),
                          ("nothing > 1", 'column "nothing" does not exist'), ("n", "must be type boolean"),
                          ("n > 1) OR (n < 1", "not an expression")):
        refused(database, *rebuild, "--where", where, "--rollback-window=0", status=USAGE, reasons=[reason])
    refused(database, "--sql", "ALTER TABLE t ALTER id TYPE bigint; ALTER TABLE w ALTER id TYPE bigint", "--where", "n > 1",
            "--rollback-window=0", status=USAGE, reasons=["--where goes with a change of one table"])
    outcome = pgrecast.call(database, "run", *rebuild, "--where", "n > 1", "--or-resume")
    assert outcome.status == USAGE and "does not go with --or-resume" in outcome.stderr, str(outcome)


@pytest.mark.main_major
def test_the_example_of_a_filter(database):
    sql, (plan, run) = section("Keep only some rows")
    database.execute(sql)
    outcome = pgrecast.call(database, *plan)
    assert outcome.status == DONE and "--where leaves out 800 of 1000 rows" in outcome.stdout, str(outcome)
    outcome = pgrecast.start_run(database, None, *run[1:], window=None).wait()
    assert outcome.status == DONE, str(outcome)
    assert database.execute("SELECT count(*), min(state) FROM tasks") == [(200, "open")]
    assert database.execute("SELECT count(*) FROM tasks_pgrecast_old") == [(1000,)]
