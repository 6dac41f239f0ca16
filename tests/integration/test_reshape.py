"""Reshaping while copying: the place of the table, the order of its columns."""

import pgrecast
from pgrecast import DONE, REFUSED, USAGE
from rewrite import Rewrite
from tables import relations, row_differences, schema_differences
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
