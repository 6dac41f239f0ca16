"""The change as the definition that the table is to have: a file, and a --map for what has no source."""

import re
import shlex

import pgrecast
from pgrecast import DONE, REFUSED, USAGE
from rewrite import Rewrite
from tables import relations, row_differences, schema_differences

TABLE = """
CREATE TABLE t (
    id integer PRIMARY KEY, amount integer NOT NULL DEFAULT 0, note text, n serial, kind varchar(20),
    CONSTRAINT t_amount CHECK (amount >= 0));
CREATE INDEX t_note ON t (note);
COMMENT ON COLUMN t.kind IS 'stays';
INSERT INTO t (id, amount, note, kind) SELECT g, g * 10, 'note ' || g, 'k' || g % 7 FROM generate_series(1, 500) g;
"""
TARGET = """
-- what t is to be
CREATE TABLE t (
    id bigint PRIMARY KEY,
    amount numeric(14,2) NOT NULL DEFAULT 1,
    n integer NOT NULL DEFAULT nextval('t_n_seq'),
    kind text CONSTRAINT t_kind CHECK (kind <> ''),
    label text NOT NULL DEFAULT 'none',
    checked boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX t_label ON t (label, id);
ALTER TABLE t ADD CONSTRAINT t_amount CHECK (amount >= -1);
COMMENT ON TABLE t IS 'made of a file';
COMMENT ON COLUMN t.label IS 'note and kind';
COMMENT ON INDEX t_label IS 'for lists';
"""
MAPS = ("--map", "amount=amount / 100.0", "--map", "label=coalesce(note, '') || kind")
BACK = ("--reverse-map", "amount=(amount * 100)::integer", "--reverse-map", "note=label")
# The same by hand.
BY_HAND = """
ALTER TABLE t DROP CONSTRAINT t_amount, ADD label text;
ALTER TABLE t ALTER id TYPE bigint, ALTER amount TYPE numeric(14,2) USING amount / 100.0, ALTER kind TYPE text,
    ALTER label TYPE text USING coalesce(note, '') || kind, ADD checked boolean NOT NULL DEFAULT false;
ALTER TABLE t DROP note, ALTER label SET NOT NULL, ALTER label SET DEFAULT 'none', ALTER amount SET DEFAULT 1,
    ADD CONSTRAINT t_kind CHECK (kind <> ''), ADD CONSTRAINT t_amount CHECK (amount >= -1);
CREATE UNIQUE INDEX t_label ON t (label, id);
COMMENT ON TABLE t IS 'made of a file';
COMMENT ON COLUMN t.label IS 'note and kind';
COMMENT ON INDEX t_label IS 'for lists';
"""


def write(tmp_path, text):
    file = tmp_path / "target.sql"
    file.write_text(text)
    return str(file)


def call(database, tmp_path, command, text, *arguments, table="t"):
    return pgrecast.call(database, command, "-t", table, "--target", write(tmp_path, text), *arguments)


def refused(database, tmp_path, text, *reasons, arguments=(), status=REFUSED):
    before = relations(database)
    for command in ("plan", "run"):
        outcome = call(database, tmp_path, command, text, *arguments)
        assert outcome.status == status, str(outcome)
        for reason in reasons:
            assert reason in outcome.stderr, str(outcome)
    assert relations(database) == before


def test_becomes_what_the_file_says(new_database, tmp_path):
    """As by hand; then there is nothing to do."""
    database, twin = new_database(), new_database()
    database.execute(TABLE)
    twin.execute(TABLE + BY_HAND)
    outcome = call(database, tmp_path, "plan", TARGET, *MAPS, *BACK)
    assert outcome.status == DONE and "USING (amount / 100.0)" in outcome.stdout, str(outcome)
    outcome = pgrecast.run(database, None, "-t", "t", "--target", write(tmp_path, TARGET), *MAPS)
    assert outcome.status == DONE, str(outcome)
    assert schema_differences(database, twin, "t") == []
    assert row_differences(database, twin, "t") == []
    outcome = call(database, tmp_path, "run", TARGET)
    assert outcome.status == DONE and "nothing to do" in outcome.stdout, str(outcome)


ITEMS = """
CREATE TABLE items (id bigint NOT NULL, n integer, note varchar(200), label text UNIQUE, document text,
    twice numeric DEFAULT 7, PRIMARY KEY (id));
"""


def test_under_load(database, tmp_path):
    """Forward, back and forward again, killed on the way."""
    rewrite = Rewrite(database, rows=500, arguments=("-t", "items", "--target", write(tmp_path, ITEMS),
                                                     "--map", "twice=n * 2::numeric"))
    rewrite.workload.alter = None
    rewrite.ignore = ("twice",)
    with rewrite.load:
        rewrite.run(kill="copy-chunk").wait_killed()
        rewrite.resume().wait_phase("reverse")
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.assert_follows()
        rewrite.kill()
        rewrite.resume().wait_phase("reverse")
        rewrite.roll_back()
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.roll_forward()
        rewrite.wait_traffic()
        rewrite.assert_serves()
    rewrite.finish()


def test_all_reasons_at_once(database, tmp_path):
    database.execute(TABLE)
    refused(database, tmp_path,
            "CREATE TABLE t (id integer PRIMARY KEY) PARTITION BY RANGE (id);"
            "CREATE TABLE t_1 PARTITION OF other FOR VALUES FROM (1) TO (9); CREATE TABLE other (id integer);"
            "DROP TABLE t; ALTER TABLE t DROP COLUMN id; ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES t",
            "PARTITION OF other", "CREATE TABLE other (id", "DROP TABLE t", "DROP COLUMN id", "foreign key")
    refused(database, tmp_path,
            "CREATE TABLE t (note text, id integer PRIMARY KEY, k serial, amount integer GENERATED ALWAYS AS (1) STORED)",
            "another place", "\"k\" of the target is an identity column or serial", "\"amount\" is generated",
            "\"nowhere\"", "--map 'n'", "--map 'note=a, DROP COLUMN id'",
            arguments=("--map", "nowhere=1", "--map", "n", "--map", "note=a, DROP COLUMN id"))
    for part in ("WITH (fillfactor = 50)", "TABLESPACE pg_default", "USING heap", "INHERITS (u)"):
        refused(database, tmp_path, f"CREATE TABLE t (id integer PRIMARY KEY) {part}", part.split()[0])
    refused(database, tmp_path, "COMMENT ON TABLE t IS 'alone'", "no CREATE TABLE")


def test_rollback_needs_a_map(database, tmp_path):
    """A NOT NULL column without a default that is not in the target."""
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, code text NOT NULL)")
    target = "CREATE TABLE t (id integer PRIMARY KEY)"
    refused(database, tmp_path, target, "code")
    outcome = call(database, tmp_path, "plan", target, "--reverse-map", "code=id::text")
    assert outcome.status == DONE, str(outcome)


def test_wrong_usage(database, tmp_path):
    database.execute(TABLE)
    refused(database, tmp_path, "CREATE TABLE t (id nosuchtype)", "nosuchtype", status=USAGE)
    refused(database, tmp_path, "CREATE TABL t", "syntax error", status=USAGE)
    for arguments in (["--target", "x"], ["--sql", "ALTER TABLE t DROP note", "--map", "n=1"], ["-t", "t"],
                      ["-t", "t", "--target", str(tmp_path / "none")]):
        outcome = pgrecast.call(database, "plan", *arguments)
        assert outcome.status == USAGE, str(outcome)


def test_documented(database, tmp_path):
    """The example of the manual, as it stands there."""
    text = (pgrecast.REPOSITORY / "docs" / "restructuring.md").read_text().split("## A target as DDL")[1].split("\n## ")[0]
    table, target = re.findall(r"```sql\n(.*?)```", text, re.S)
    plan, run = re.findall(r"```sh\npgrecast (.*?)\n```", text, re.S)
    database.execute(table)
    database.execute("INSERT INTO orders VALUES (1, 5, 'Ada', 'Lovelace'), (2, 7, NULL, 'Noether')")
    for command in (plan, run):
        words = shlex.split(command.replace("target.sql", write(tmp_path, target)))
        spool = ["--spool-dir", pgrecast.new_spool(database)] if words[0] == "run" else []
        outcome = pgrecast.call(database, *words, *spool)
        assert outcome.status == DONE, str(outcome)
    assert database.value("SELECT string_agg(o::text, ' ' ORDER BY id) FROM orders o") == \
        '(1,5,"Ada Lovelace") (2,7,Noether)'
