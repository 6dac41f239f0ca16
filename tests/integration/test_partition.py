"""A plain table becomes a partitioned one: a target file with PARTITION BY and its partitions."""

import re
import shlex

import psycopg2
import pytest

import pgrecast
from pgrecast import DONE, REFUSED
from rewrite import Rewrite
from servers import wait_until
from tables import assert_clean, assert_untouched, describe, relations, row_differences, schema_differences
from workloads import CompositeKey, Workload

OTHERS = """
CREATE VIEW seen AS SELECT id, at FROM t WHERE kind > 2;
CREATE TRIGGER same BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY positive ON t USING (id > 0);
CREATE STATISTICS t_together ON at, kind FROM t;
GRANT SELECT, INSERT (note) ON t TO PUBLIC;
"""
TABLE = """
CREATE TABLE t (
    id bigint NOT NULL, at date NOT NULL DEFAULT '2026-01-01', note text DEFAULT 'none', kind integer,
    CONSTRAINT t_kind CHECK (kind >= 0), PRIMARY KEY (id, at)) WITH (fillfactor = 80);
ALTER TABLE t ALTER note SET STATISTICS 50, ALTER note SET STORAGE EXTERNAL;
CREATE INDEX t_kind_at ON t (kind, at);
COMMENT ON TABLE t IS 'by day';
COMMENT ON COLUMN t.note IS 'stays';
{others}
INSERT INTO t SELECT g, date '2026-01-01' + g % 90, 'note ' || g, g % 7 FROM generate_series(1, 600) g;
""".format(others=OTHERS)
HEAD = """
CREATE TABLE t (
    id bigint NOT NULL, at date NOT NULL DEFAULT '2026-01-01', note text DEFAULT 'none', kind integer,
    CONSTRAINT t_kind CHECK (kind >= 0), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
"""
PARTS = """
CREATE TABLE t_01 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE t_02 PARTITION OF t FOR VALUES FROM ('2026-02-01') TO ('2026-03-01') PARTITION BY HASH (id);
CREATE TABLE t_02_0 PARTITION OF t_02 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t_02_1 PARTITION OF public.t_02 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE t_rest PARTITION OF t DEFAULT;
"""
INDEX = "CREATE INDEX t_kind_at ON t (kind, at);"
TARGET = HEAD + PARTS + INDEX
# The same by hand: the rows are inserted into the partitioned table.
LEAVES = ("t_01", "t_02_0", "t_02_1", "t_rest")
BY_HAND = ("CREATE TABLE kept AS TABLE t; DROP TABLE t CASCADE;" + HEAD + PARTS
           + "".join(f"ALTER TABLE {leaf} SET (fillfactor = 80);" for leaf in LEAVES) + INDEX
           + "ALTER TABLE t ALTER note SET STATISTICS 50, ALTER note SET STORAGE EXTERNAL;"
           "COMMENT ON TABLE t IS 'by day'; COMMENT ON COLUMN t.note IS 'stays';" + OTHERS
           + "INSERT INTO t SELECT * FROM kept; DROP TABLE kept;")


def write(tmp_path, text):
    file = tmp_path / "target.sql"
    file.write_text(text)
    return str(file)


def call(database, tmp_path, command, text, *arguments):
    return pgrecast.call(database, command, "-t", "t", "--target", write(tmp_path, text), *arguments)


def test_as_by_hand(new_database, tmp_path):
    database, twin = new_database(), new_database()
    database.execute(TABLE)
    twin.execute(TABLE + BY_HAND)
    outcome = call(database, tmp_path, "plan", TARGET)
    assert outcome.status == DONE and "has no command for it" in outcome.stdout, str(outcome)
    outcome = call(database, tmp_path, "run", TARGET, "--rollback-window=0")
    assert outcome.status == DONE, str(outcome)
    for table in ("t", "t_02", *LEAVES):
        assert schema_differences(database, twin, table) == []
        assert row_differences(database, twin, table) == []


CHILDREN = """
CREATE TABLE parent (id integer PRIMARY KEY);
INSERT INTO parent SELECT generate_series(0, 6);
CREATE TABLE child (a bigint, b date, CONSTRAINT child_t FOREIGN KEY (a, b) REFERENCES t ON DELETE CASCADE);
INSERT INTO child SELECT id, at FROM t;
"""
OF_PARENT = "ALTER TABLE t ADD CONSTRAINT t_parent FOREIGN KEY (kind) REFERENCES parent ON DELETE CASCADE;"
KEYS = """
SELECT conname::text, convalidated FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND conrelid IN ('t'::regclass, 'child'::regclass) ORDER BY 1
"""


def test_foreign_keys(database, tmp_path, major):
    """Those that refer to the table; those of the table from 18 on."""
    database.execute(TABLE + CHILDREN + (OF_PARENT if major >= 18 else ""))
    keys = [("child_t", True)] + ([("t_parent", True)] if major >= 18 else [])
    running = pgrecast.start_run(database, None, "-t", "t", "--target", write(tmp_path, TARGET), window=None)
    running.wait_phase("reverse")
    for number, command in enumerate(("rollback", "cutover", "finish")):
        wait_until(lambda: database.execute(KEYS) == keys, "the keys, validated")
        database.execute("DELETE FROM t WHERE id = %s" % (number + 1))
        assert database.value("SELECT count(*) FROM child") == 599 - number
        with pytest.raises(psycopg2.errors.ForeignKeyViolation):
            database.execute("INSERT INTO child VALUES (9999, '2026-01-01')")
        if major >= 18:
            with pytest.raises(psycopg2.errors.ForeignKeyViolation):
                database.execute("INSERT INTO t VALUES (9999, '2026-01-01', 'x', 99)")
        outcome = pgrecast.call(database, command, "t")
        assert outcome.status == DONE, str(outcome)
    assert running.wait().status == DONE
    assert_clean(database)


@pytest.mark.main_major
def test_worked_example(database, tmp_path):
    """The section of docs/restructuring.md."""
    text = (pgrecast.REPOSITORY / "docs" / "restructuring.md").read_text().split("## Partition a table")[1].split("\n## ")[0]
    table, target = re.findall(r"^```sql\n(.*?)^```$", text, re.M | re.S)
    commands = [shlex.split(line) for line in re.findall(r"^    pgrecast (.*)$", text, re.M)]
    file = write(tmp_path, target)
    for words in commands:
        words[1:3] = []  # the database of the example
        words[:] = [file if word == "partitioned.sql" else word for word in words]
    plan, run, rollback, cutover, finish = commands
    database.execute(table)
    outcome = pgrecast.call(database, *plan)
    assert outcome.status == DONE and "PARTITION BY RANGE (at)" in outcome.stdout, str(outcome)
    running = pgrecast.start_run(database, None, *run[1:], window=None)
    running.wait_phase("reverse")
    database.execute("INSERT INTO events VALUES (1001, '2026-02-03', 'new'); UPDATE events SET at = at + 40 WHERE id < 20")
    assert database.value("SELECT count(*) FROM events_2026_02") > 400
    for command in (rollback, cutover, finish):
        outcome = pgrecast.call(database, *command)
        assert outcome.status == DONE, str(outcome)
    assert running.wait().status == DONE
    assert_clean(database)
    assert database.execute("SELECT data FROM events_2026_02 WHERE id = 1001") == [("new",)]


class Listed(CompositeKey):
    """The key's first column divides the rows: a change of the key may move a row."""

    name = "listed"
    target = """
        CREATE TABLE items (region text NOT NULL, number bigint NOT NULL, n integer, note text, label text, document text,
            PRIMARY KEY (region, number)) PARTITION BY LIST (region);
        CREATE TABLE items_0 PARTITION OF items FOR VALUES IN ('région 0');
        CREATE TABLE items_1 PARTITION OF items FOR VALUES IN ('région 1') PARTITION BY HASH (number);
        CREATE TABLE items_1_a PARTITION OF items_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE items_1_b PARTITION OF items_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
        CREATE TABLE items_rest PARTITION OF items DEFAULT;"""


class Hashed(Workload):
    name = "hashed"
    target = """
        CREATE TABLE items (id integer PRIMARY KEY, n integer, note varchar(200), label text, document text)
            PARTITION BY HASH (id);
        """ + "".join(f"CREATE TABLE items_{n} PARTITION OF items FOR VALUES WITH (MODULUS 3, REMAINDER {n});" for n in range(3))


class Ranged(Workload):
    """The key gets a second column, which divides the rows. An update of it alone moves a row to another partition."""

    name = "ranged"
    target = """
        CREATE TABLE items (id integer, n integer NOT NULL, note varchar(200), label text, document text, PRIMARY KEY (id, n))
            PARTITION BY RANGE (n);
        CREATE TABLE items_low PARTITION OF items FOR VALUES FROM (MINVALUE) TO (100);
        CREATE TABLE items_mid PARTITION OF items FOR VALUES FROM (100) TO (5000);
        CREATE TABLE items_rest PARTITION OF items DEFAULT;"""

    def ddl(self, table):
        yield from super().ddl(table)
        yield f"ALTER TABLE {table} ALTER n SET NOT NULL, ALTER n SET DEFAULT 0"

    def small_values(self, rng):
        values = super().small_values(rng)
        if values.get("n") is None:
            values["n"] = rng.choice(("99", "100", "4999", "5000"))
        return values


def rewrite_of(database, workload, tmp_path, **options):
    """One writer: with several, one that waits for a row which another moves to another partition gets an error (40001)."""
    target = write(tmp_path, workload.target)
    rewrite = Rewrite(database, workload=f"{__name__}:{workload.__name__}", arguments=("-t", "items", "--target", target),
                      writers=1, **options)
    rewrite.workload.alter = None
    return rewrite


@pytest.mark.parametrize("workload", [Listed, Hashed, Ranged], ids=lambda w: w.name)
def test_under_load(database, tmp_path, workload):
    """Forward, back and forward again, killed on the way."""
    rewrite = rewrite_of(database, workload, tmp_path, rows=500)
    with rewrite.load:
        rewrite.run(kill="copy-chunk").wait_killed()
        rewrite.resume(kill="index-key").wait_killed()
        rewrite.resume().wait_phase("reverse")
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.assert_follows()
        rewrite.kill()
        rewrite.resume().wait_phase("reverse")
        rewrite.roll_back()
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.assert_follows()
        rewrite.roll_forward()
        rewrite.wait_traffic()
        rewrite.assert_serves()
    rewrite.finish()
    rewrite.assert_over()


@pytest.fixture
def reversed_items(database, tmp_path):
    """Cut over, without a load; a table of five partitions by range, and the job follows."""
    rewrite = rewrite_of(database, Ranged, tmp_path, rows=300)
    rewrite.to_reverse()
    return rewrite


def refuse_rollback(rewrite, *reasons):
    outcome = rewrite.command("rollback", status=pgrecast.NO_PARITY)
    print(outcome)
    for reason in reasons:
        assert reason in outcome.stderr, str(outcome)
    assert rewrite.phase == "reverse"


@pytest.mark.main_major
def test_truncated_partition(database, reversed_items):
    database.execute("TRUNCATE items_mid")
    refuse_rollback(reversed_items, "extra in the original: (")
    reversed_items.finish()


@pytest.mark.main_major
def test_detached_partition(database, reversed_items):
    database.execute("ALTER TABLE items DETACH PARTITION items_mid")
    refuse_rollback(reversed_items, "extra in the original: (")
    database.execute("ALTER TABLE items ATTACH PARTITION items_mid FOR VALUES FROM (100) TO (5000)")
    reversed_items.command("verify")
    reversed_items.roll_back()
    reversed_items.assert_serves()
    reversed_items.finish()
    reversed_items.assert_over_with_original()


def test_added_partition(database, reversed_items):
    """An empty one is taken for right. One that brings rows is not."""
    database.execute("CREATE TABLE items_high PARTITION OF items FOR VALUES FROM (10000) TO (20000)")
    database.execute("INSERT INTO items VALUES (10000, 15000, 'new')")
    database.execute("INSERT INTO items_mirror VALUES (10000, 15000, 'new')")
    database.execute("INSERT INTO items_high VALUES (10001, 15001, 'direct')")
    database.execute("INSERT INTO items_mirror VALUES (10001, 15001, 'direct')")
    reversed_items.assert_follows()
    reversed_items.roll_back()
    reversed_items.assert_serves()
    with pytest.raises(psycopg2.Error) as caught:
        database.execute("INSERT INTO items_high VALUES (10002, 15002)")
    assert caught.value.pgcode == "PGRG1"
    reversed_items.roll_forward()
    database.execute("CREATE TABLE more (LIKE items INCLUDING ALL); INSERT INTO more VALUES (10003, 30000);"
                     "ALTER TABLE items ATTACH PARTITION more FOR VALUES FROM (30000) TO (40000)")
    refuse_rollback(reversed_items, "missing in the original: (10003, 30000)")
    reversed_items.finish()


@pytest.mark.main_major
def test_unstreamed_partition(database, reversed_items):
    """A partition that somebody adds may have changes that are not in the log, or not by the key."""
    for add, undo, what in (
            ("CREATE UNLOGGED TABLE more PARTITION OF items FOR VALUES FROM (10000) TO (20000)", "DROP TABLE more",
             "partition public.more of \"public\".\"items\" is unlogged: not all of its changes"),
            ("ALTER TABLE items_mid REPLICA IDENTITY FULL", "ALTER TABLE items_mid REPLICA IDENTITY DEFAULT",
             "has a replica identity of its own: not all of its changes come through the stream"),
            ("CREATE TRIGGER same BEFORE UPDATE ON items_mid FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
             "DROP TRIGGER same ON items_mid", "has row triggers of its own (same), which would run for the program's writes")):
        database.execute(add)
        outcome = reversed_items.command("rollback", status=pgrecast.NO_ROLLBACK)
        assert what in outcome.stderr, str(outcome)
        database.execute(undo)
    reversed_items.roll_back()
    reversed_items.assert_serves()
    reversed_items.finish()


def refused(database, tmp_path, text, *reasons, status=REFUSED):
    before = relations(database)
    for command in ("plan", "run"):
        outcome = call(database, tmp_path, command, text)
        assert outcome.status == status, str(outcome)
        for reason in reasons:
            assert reason in outcome.stderr, str(outcome)
    assert relations(database) == before


@pytest.mark.main_major
def test_no_partition_for_a_row(database, tmp_path):
    """Rows that the copy and the stream find are named by their keys; nothing is swapped."""
    database.execute(TABLE)
    before = describe(database, "t")
    target = TARGET.replace("CREATE TABLE t_rest PARTITION OF t DEFAULT;",
                            "CREATE TABLE t_03 PARTITION OF t FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');")
    database.execute("INSERT INTO t VALUES (601, '2026-04-01')")
    outcome = pgrecast.run(database, None, "-t", "t", "--target", write(tmp_path, target))
    assert outcome.status == pgrecast.FAILED and "(601, 2026-04-01)" in outcome.stderr, str(outcome)
    database.execute("DELETE FROM t WHERE id = 601")
    outcome = pgrecast.call(database, "abort", "t")
    assert outcome.status == DONE, str(outcome)
    assert_untouched(database, before, "t")
    running = pgrecast.start_run(database, None, "-t", "t", "--target", write(tmp_path, target), "--cutover=hold")
    running.wait_phase("ready")
    database.execute("INSERT INTO t VALUES (602, '2026-04-02')")
    outcome = running.wait()
    assert outcome.status == pgrecast.FAILED, str(outcome)
    assert ("the row with the key (602, 2026-04-02), changed meanwhile, cannot be converted:"
            " no partition of relation \"t_pgrecast_new\" found for row\n") in outcome.stderr, str(outcome)
    database.execute("DELETE FROM t WHERE id = 602; INSERT INTO t VALUES (603, '2026-01-02')")
    running = pgrecast.start_resume(database, "t")
    running.wait_phase("ready")
    outcome = pgrecast.call(database, "cutover", "t")
    assert outcome.status == DONE and running.wait().status == DONE, str(outcome)
    assert database.value("SELECT count(*) FROM t WHERE id > 600") == 1
    assert_clean(database)


@pytest.mark.main_major
def test_no_partition_after_a_rollback(database, tmp_path):
    """The original serves. Once the row is changed, the job goes on, and another cutover is possible."""
    database.execute(TABLE)
    target = write(tmp_path, TARGET.replace("CREATE TABLE t_rest PARTITION OF t DEFAULT;",
                                            "CREATE TABLE t_03 PARTITION OF t FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');"))
    running = pgrecast.start_run(database, None, "-t", "t", "--target", target, window=None)
    running.wait_phase("reverse")
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == DONE, str(outcome)
    database.execute("INSERT INTO t VALUES (602, '2026-04-02')")
    outcome = running.wait()
    assert outcome.status == pgrecast.FAILED and "(602, 2026-04-02)" in outcome.stderr, str(outcome)
    database.execute("UPDATE t SET at = '2026-03-02' WHERE id = 602; TRUNCATE t; INSERT INTO t VALUES (604, '2026-03-03')")
    running = pgrecast.start_resume(database, "t")
    wait_until(lambda: pgrecast.the_job(database)["running"], "the instance to hold the job")
    outcome = pgrecast.call(database, "cutover", "t", "--wait")
    assert outcome.status == DONE, str(outcome)
    assert database.execute("SELECT id FROM t_03") == [(604,)]
    outcome = pgrecast.call(database, "finish", "t")
    assert outcome.status == DONE and running.wait().status == DONE, str(outcome)
    assert_clean(database)


@pytest.mark.main_major
def test_owner_not_trusted(database, tmp_path):
    """No lock keeps the owner from attaching a partition with a trigger while another role writes rows."""
    database.execute(TABLE)
    arguments = ("-t", "t", "--target", write(tmp_path, TARGET))
    for command in ("plan", "run"):
        outcome = pgrecast.call(database, command, *arguments, user="postgres")
        assert outcome.status == REFUSED and "its owner app_owner could add partitions with triggers" in outcome.stderr, str(outcome)
    outcome = pgrecast.run(database, None, *arguments, "--trust-owner=app_owner", user="postgres")
    assert outcome.status == DONE, str(outcome)


@pytest.mark.main_major
def test_code_of_the_partition_key(database, tmp_path):
    """A function that the target itself names may run; one that belongs to another role than the table and the session."""
    database.superuser("DO $$ BEGIN CREATE ROLE stranger; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                       "CREATE FUNCTION f(bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1 % 3';"
                       "ALTER FUNCTION f(bigint) OWNER TO stranger")
    database.execute("CREATE TABLE k (id bigint); INSERT INTO k SELECT generate_series(1, 30); ALTER TABLE k ADD PRIMARY KEY (id)")
    target = ("CREATE TABLE k (id bigint NOT NULL) PARTITION BY LIST (f(id));"
              "CREATE TABLE k_0 PARTITION OF k FOR VALUES IN (0); CREATE TABLE k_rest PARTITION OF k DEFAULT")
    outcome = pgrecast.run(database, None, "-t", "k", "--target", write(tmp_path, target), "--trust-owner=app_owner", user="postgres")
    assert outcome.status == DONE, str(outcome)
    assert database.value("SELECT count(*) FROM k_0") == 10


@pytest.mark.main_major
def test_partition_by_an_event_trigger(database, tmp_path):
    database.execute(TABLE)
    before = relations(database)
    database.superuser("""
        CREATE FUNCTION on_new() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE made record;
        BEGIN
            FOR made IN SELECT object_identity AS name FROM pg_event_trigger_ddl_commands() LOOP
                IF made.name = 'public.t_02_0' THEN
                    CREATE TABLE public.t_more PARTITION OF public.t_pgrecast_new FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
                END IF;
            END LOOP;
        END $$;
        CREATE EVENT TRIGGER on_new ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION on_new()""")
    outcome = call(database, tmp_path, "run", TARGET)
    assert outcome.status == REFUSED and "not planned: partition public.t_more" in outcome.stderr, str(outcome)
    assert relations(database) == before


@pytest.mark.main_major
def test_only_some_rows(database, tmp_path):
    """Of those that are left out, none needs a partition."""
    database.execute(TABLE)
    target = TARGET.replace("CREATE TABLE t_rest PARTITION OF t DEFAULT;", "")
    arguments = ("-t", "t", "--target", write(tmp_path, target), "--where", "at < '2026-03-01'", "--cutover=hold")
    running = pgrecast.start_run(database, None, *arguments)
    running.wait_phase("ready")
    database.execute("INSERT INTO t VALUES (601, '2026-04-01'), (602, '2026-02-28'); UPDATE t SET at = '2026-05-05' WHERE id IN (5, 6);"
                     "UPDATE t SET at = '2026-01-31' WHERE id IN (85, 86)")
    kept = database.execute("SELECT * FROM t WHERE at < '2026-03-01' ORDER BY id")
    outcome = pgrecast.call(database, "cutover", "t")
    assert outcome.status == DONE and running.wait().status == DONE, str(outcome)
    assert database.execute("SELECT * FROM t ORDER BY id") == kept
    assert_clean(database)


@pytest.mark.main_major
def test_names(database, tmp_path):
    """All of them have to be quoted, also those in the statements on each partition."""
    table = """CREATE TABLE "S'x"."Tab\\le" ("I d" integer, "at" date, PRIMARY KEY ("I d", "at"))"""
    database.execute(f"""CREATE SCHEMA "S'x"; {table}; INSERT INTO "S'x"."Tab\\le" SELECT g, '2026-01-01' FROM generate_series(1, 60) g""")
    target = table + """ PARTITION BY RANGE ("at"); CREATE TABLE "S'x"."P'1\\" PARTITION OF "S'x"."Tab\\le" DEFAULT"""
    job = "o'b\\$$x"
    running = pgrecast.start_run(database, None, "-t", '"S\'x"."Tab\\le"', "--target", write(tmp_path, target), "--job", job, window=None)
    running.wait_phase("reverse")
    for command in ("rollback", "finish"):
        outcome = pgrecast.call(database, command, job)
        assert outcome.status == DONE, str(outcome)
    assert running.wait().status == DONE
    assert_clean(database)


@pytest.mark.majors((18,))
def test_identity(database, tmp_path):
    """And a check that is NOT VALID."""
    head = """CREATE TABLE i (id bigint GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 2), at date NOT NULL, n integer,
        PRIMARY KEY (id, at))"""
    later = "ALTER TABLE i ADD CONSTRAINT later CHECK (n < 1000) NOT VALID"
    database.execute(f"{head}; {later}; INSERT INTO i (at, n) SELECT date '2026-01-01' + g, g FROM generate_series(1, 50) g")
    target = f"""{head} PARTITION BY RANGE (at); CREATE TABLE i_1 PARTITION OF i FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE i_2 PARTITION OF i DEFAULT; {later}"""
    running = pgrecast.start_run(database, None, "-t", "i", "--target", write(tmp_path, target), window=None)
    running.wait_phase("reverse")
    assert database.execute("SELECT attrelid::regclass::text, attidentity::text FROM pg_attribute WHERE attname = 'id' AND attrelid IN"
                            " ('i'::regclass, 'i_1'::regclass, 'i_2'::regclass) ORDER BY 1") == [("i", "a"), ("i_1", "a"), ("i_2", "a")]
    database.execute("INSERT INTO i (at, n) VALUES ('2026-01-15', 7)")
    for command in ("rollback", "cutover", "finish"):
        outcome = pgrecast.call(database, command, "i")
        assert outcome.status == DONE, str(outcome)
        database.execute("INSERT INTO i (at, n) VALUES ('2026-01-15', 7)")
    assert running.wait().status == DONE
    assert database.execute("SELECT count(DISTINCT id), max(id) FROM i") == [(54, 111)]


def test_refused(database, tmp_path, major):
    database.execute(TABLE)
    refused(database, tmp_path, TARGET.replace("PRIMARY KEY (id, at)", "PRIMARY KEY (id)"),
            "unique constraint on partitioned table must include all partitioning columns", "lacks column \"at\"")
    refused(database, tmp_path, HEAD + INDEX, "the target has no partition that could hold its rows")
    refused(database, tmp_path, TARGET.replace("t_rest", "t_pgrecast_old") + "CREATE INDEX t_01_kind_idx ON t (kind);",
            "partition \"t_pgrecast_old\" has a name as the job's own tables have",
            "the new index \"t_01_kind_idx\" has a name that the server may give to an index of partition \"t_01\"")
    refused(database, tmp_path, TARGET + "CREATE TABLE other.t_04 PARTITION OF t FOR VALUES FROM ('2026-05-01') TO ('2026-06-01');"
            "CREATE TABLE t_05 PARTITION OF other FOR VALUES FROM (1) TO (2);"
            "CREATE TABLE t_06 PARTITION OF t (CHECK (kind > 1)) FOR VALUES FROM ('2026-06-01') TO ('2026-07-01');"
            "CREATE UNLOGGED TABLE t_07 PARTITION OF t FOR VALUES FROM ('2026-07-01') TO ('2026-08-01') WITH (fillfactor = 50);",
            "a partition in another schema", "t_05", "a partition with columns or constraints of its own",
            "an UNLOGGED or TEMPORARY partition", "a partition with WITH")
    refused(database, tmp_path, TARGET.replace("TO ('2026-03-01')", "TO ('2026-01-15')"), "empty range bound",
            status=pgrecast.USAGE)
    database.execute("""
        CREATE TABLE parent (id integer PRIMARY KEY); INSERT INTO parent SELECT generate_series(0, 6);
        ALTER TABLE t ADD CONSTRAINT t_parent FOREIGN KEY (kind) REFERENCES parent;
        CREATE TABLE t_02_1 (); CREATE PUBLICATION told FOR TABLE t;
        CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER tables AFTER INSERT ON t REFERENCING NEW TABLE AS new FOR EACH ROW EXECUTE FUNCTION f();
        CREATE TRIGGER off AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t DISABLE TRIGGER off;
        ALTER TABLE t REPLICA IDENTITY FULL, CLUSTER ON t_kind_at""")
    refused(database, tmp_path, TARGET, "t_02_1 exists already", "publication told: its subscribers would get",
            "trigger tables is FOR EACH ROW and has transition tables", "trigger off is FOR EACH ROW, and is disabled",
            "replica identity is not the primary key", "marked for CLUSTER",
            *(("t_parent", "before PostgreSQL 18 foreign keys are not carried over") if major < 18 else ()))
