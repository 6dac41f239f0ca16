"""The short form of a partitioned target: --partition-by and what belongs to it."""

import re
import shlex

import pytest

import pgrecast
from pgrecast import DONE, REFUSED, USAGE
from tables import assert_clean, relations

BY = ("--partition-by", "range (at)")
MONTHS = (*BY, "--every", "1 month")
TABLE = """
CREATE TABLE t (
    id bigint DEFAULT 7, at {type} NOT NULL, "Note" text COLLATE "C", n integer CONSTRAINT positive CHECK (n > 0),
    CONSTRAINT t_key PRIMARY KEY (id) INCLUDE (n), UNIQUE (n, at));
CREATE UNIQUE INDEX t_lower ON t (lower("Note"), (n + 1)) WHERE n <> 3;
CREATE INDEX t_at ON t USING {index} (at);
COMMENT ON CONSTRAINT t_key ON t IS 'the key';
COMMENT ON INDEX t_lower IS 'by note';
ALTER TABLE t ADD CONSTRAINT later CHECK (n < 100000) NOT VALID;
INSERT INTO t SELECT g, timestamp '2020-01-15' + g * interval '1 day', 'note ' || g, g FROM generate_series(1, 400) g;
ANALYZE t;
"""
PARTS = """
SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 't'::regclass ORDER BY 1
"""


def table(type="timestamptz", index="btree"):
    return TABLE.format(type=type, index=index)


def plan(database, *arguments, status=DONE, **options):
    outcome = pgrecast.call(database, "plan", "-t", "t", *arguments, **options)
    assert outcome.status == status, str(outcome)
    return outcome


def partitions(outcome):
    """(name, from, to) of the target that plan prints."""
    return re.findall(r'^CREATE TABLE "public"\."(\S+)" PARTITION OF \S+ FOR VALUES FROM \(\'(.*)\'\) TO \(\'(.*)\'\);', outcome.stdout, re.M)


def this_day(database):
    return database.value("SELECT current_date")


def months_until(database, first, ahead):
    """The names of the partitions from the month on."""
    today = this_day(database)
    last = today.year * 12 + today.month - 1 + ahead
    return [f"t_{m // 12}_{m % 12 + 1:02}" for m in range(first[0] * 12 + first[1] - 1, last + 1)]


@pytest.mark.parametrize("index", ["btree", "brin"])
def test_run(database, tmp_path, index):
    """The file that is written gives the same table as the options, with all its keys."""
    database.execute(table(index=index))
    file = tmp_path / "target.sql"
    arguments = (*BY, "--every", "1 year", "--extend-key", "--default", "--ahead", "2")
    years = [f"t_{year}" for year in range(2020, this_day(database).year + 3)]
    outcome = plan(database, *arguments, "--write-target", str(file))
    for text in ('primary key "t_key" becomes PRIMARY KEY (id, "at") INCLUDE (n)', 'unique index "t_lower" becomes USING btree (lower("Note"), ((n + 1)), "at") WHERE',
                 "accepts the same values"):
        assert text in " ".join(outcome.stdout.split()), str(outcome)
    assert 't_n_at_key" becomes' not in outcome.stdout
    assert file.read_text() in outcome.stdout
    assert [name for name, _, _ in partitions(outcome)] == years
    assert partitions(outcome)[1] == ("t_2021", "2021-01-01 00:00:00+00", "2022-01-01 00:00:00+00")
    again = plan(database, *arguments, "--write-target", str(file), status=USAGE)
    assert "File exists" in again.stderr, str(again)
    from_file = plan(database, "--target", str(file))
    assert from_file.stdout.partition("\nThe statements\n")[2] in outcome.stdout
    outcome = pgrecast.run(database, None, "-t", "t", *arguments)
    assert outcome.status == DONE, str(outcome)
    names = [name for name, _ in database.execute(PARTS)]
    assert names == [*years, "t_default"]
    assert database.value("SELECT count(*) FROM t_2020") == 351
    assert database.execute("SELECT conname::text, pg_get_constraintdef(oid), obj_description(oid) FROM pg_constraint WHERE conrelid = 't'::regclass"
                            " AND contype <> 'n' ORDER BY 1") == [
        ("later", "CHECK ((n < 100000)) NOT VALID", None), ("positive", "CHECK ((n > 0))", None),
        ("t_key", "PRIMARY KEY (id, at) INCLUDE (n)", "the key"), ("t_n_at_key", "UNIQUE (n, at)", None)]
    assert database.value("SELECT obj_description('t_lower'::regclass)") == "by note"
    assert_clean(database)


@pytest.mark.main_major
def test_bounds(database):
    """Types, units, time zones, infinity, the first and the last partition."""
    database.execute(table("date"))
    key = ("--extend-key",)
    found = partitions(plan(database, *BY, "--every", "1 year", *key, "--ahead", "0"))
    assert found[0] == ("t_2020", "2020-01-01", "2021-01-01") and found[-1][0] == f"t_{this_day(database).year}"
    assert partitions(plan(database, *BY, "--every", "3 months", *key))[1] == ("t_2020_04", "2020-04-01", "2020-07-01")
    assert partitions(plan(database, *BY, "--every", "5 months", *key))[1] == ("t_2020_06", "2020-06-01", "2020-11-01")
    assert partitions(plan(database, *MONTHS, *key, "--from", "2019-10-31"))[1] == ("t_2019_11", "2019-11-30", "2019-12-31")
    later = f"{this_day(database).year + 2}-05-05"
    database.execute("INSERT INTO t VALUES (1001, '-infinity', 'a', 1001), (1002, 'infinity', 'b', 1002), (1003, '%s', 'c', 1003)" % later)
    assert partitions(plan(database, *MONTHS, *key, "--ahead", "1"))[-1] == (
        f"t_{later[:4]}_06", f"{later[:4]}-06-01", f"{later[:4]}-07-01")
    assert [name for name, _, _ in partitions(plan(database, *MONTHS, *key, "--ahead", "1", "--default"))] == months_until(database, (2020, 1), 1)
    database.execute("INSERT INTO t VALUES (1004, '2090-05-05', 'd', 1004)")
    outcome = plan(database, *BY, "--every", "1 day", *key, status=REFUSED)
    assert "more than 10000 partitions" in outcome.stderr, str(outcome)
    database.execute("DELETE FROM t WHERE id > 1000; ALTER TABLE t ALTER at TYPE timestamptz")
    assert partitions(plan(database, *MONTHS, *key, environment={"PGTZ": "Asia/Tokyo"}))[0] == (
        "t_2020_01", "2020-01-01 00:00:00+09", "2020-02-01 00:00:00+09")
    database.execute("ALTER TABLE t ALTER at TYPE timestamp(3)")
    assert partitions(plan(database, *MONTHS, *key))[0] == ("t_2020_01", "2020-01-01 00:00:00", "2020-02-01 00:00:00")
    database.execute("TRUNCATE t; ALTER TABLE t ALTER at TYPE date; INSERT INTO t VALUES (1, current_date - 20, 'a', 1)")
    monday, day = database.execute("SELECT date_trunc('week', at)::date::text, at::text FROM t")[0]
    assert partitions(plan(database, *BY, "--every", "1 week", *key, "--ahead", "0"))[0][1] == monday
    assert partitions(plan(database, *BY, "--every", "2 days", *key, "--ahead", "0"))[0][:2] == ("t_" + day.replace("-", "_"), day)
    database.execute("TRUNCATE t")
    today = this_day(database)
    assert [name for name, _, _ in partitions(plan(database, *MONTHS, *key))] == months_until(database, (today.year, today.month), 6)


@pytest.mark.main_major
def test_old_statistics(database):
    """A BRIN index tells also of values beyond the statistics. Without these it tells nothing."""
    database.execute("""
        CREATE TABLE t (id bigint, at date NOT NULL, filler text) WITH (autovacuum_enabled = false);
        INSERT INTO t SELECT g, date '2020-01-15' + g / 100, repeat('x', 500) FROM generate_series(1, 3000) g;
        ALTER TABLE t ADD PRIMARY KEY (id, at); CREATE INDEX ON t USING brin (at) WITH (pages_per_range = 4)""")
    outcome = plan(database, *MONTHS, status=REFUSED)
    assert "has no statistics, by which the BRIN index would tell where its values begin: ANALYZE the table, or give --from" in outcome.stderr, str(outcome)
    later = f"{this_day(database).year + 1}-12-12"
    database.execute("ANALYZE t")
    database.execute(f"INSERT INTO t VALUES (0, '2019-11-11', 'x'), (30000, '{later}', 'x'), (30001, 'infinity', 'x'), (30002, '-infinity', 'x')")
    found = partitions(plan(database, *MONTHS, "--ahead", "0"))
    assert found[0][0] == "t_2019_11" and found[-1][0] == f"t_{later[:4]}_12"


def refused(database, *reasons, arguments=MONTHS, status=REFUSED):
    before = relations(database)
    for command in ("plan", "run"):
        outcome = pgrecast.call(database, command, "-t", "t", *arguments)
        assert outcome.status == status, str(outcome)
        for reason in reasons:
            assert reason in outcome.text, str(outcome)
    assert relations(database) == before


@pytest.mark.main_major
def test_refused(database):
    database.execute(table() + "CREATE TABLE child (t bigint CONSTRAINT child_t REFERENCES t)")
    refused(database, 'primary key "t_key", PRIMARY KEY (id) INCLUDE (n), lacks column "at"', "--extend-key would make it PRIMARY KEY (id, \"at\")",
            'unique index "t_lower"', "foreign key child_t of public.child to public.t refers to columns without \"at\"",
            "before --from: add --default", arguments=(*MONTHS, "--from", "2020-03-01"))
    database.execute("DROP INDEX t_at; DROP TABLE child")
    refused(database, "no index tells where the values of column \"at\" begin: give --from", arguments=(*MONTHS, "--extend-key"))
    plan(database, *MONTHS, "--extend-key", "--from", "2020-01-01")
    for every, status, text in (("1 hour", USAGE, "--every takes whole days, weeks, months or years, not '1 hour'"), ("1 month 1 day", USAGE, "--every takes"),
                                ("-1 month", USAGE, "--every takes"), ("often", USAGE, "invalid input syntax for type interval")):
        refused(database, text, arguments=(*BY, "--every", every, "--extend-key", "--from", "2020-01-01"), status=status)
    refused(database, "--from soon", arguments=(*MONTHS, "--extend-key", "--from", "soon"), status=USAGE)
    for by in ("list (at)", "hash (at)", "range (at, id)", "range (lower(at))", "range (at); DROP TABLE t", "range", "range (at) TABLESPACE x", "range (at COLLATE \"C\")"):
        refused(database, "--partition-by takes one column and a range", arguments=("--partition-by", by, "--every", "1 month"), status=USAGE)
    refused(database, "it has no column \"no\"", arguments=("--partition-by", "range (no)", "--every", "1 month"))
    refused(database, "column \"n\" is of type integer: --partition-by divides by date", arguments=("--partition-by", "range (n)", "--every", "1 month"))


def test_options(database):
    """What goes together."""
    for arguments, text in (
            (("-t", "t", *BY), "--partition-by needs --every"), (MONTHS, "--partition-by needs -t TABLE"),
            (("-t", "t", "--rebuild", "--every", "1 month"), "--every goes with --partition-by"),
            (("-t", "t", "--rebuild", "--extend-key"), "--extend-key goes with --partition-by"),
            (("-t", "t", *MONTHS, "--rebuild"), "say what to change: one of"), (("-t", "t", *MONTHS, "--map", "a=b"), "--map goes with --target"),
            (("-t", "t", *MONTHS, "--pack-columns"), "--pack-columns does not go with --partition-by"),
            (("-t", "t", *MONTHS, "--tablespace", "x"), "do not go with --partition-by"), (("-t", "t", *MONTHS, "--or-resume"), "--or-resume does not go with")):
        outcome = pgrecast.call(database, "plan", *arguments)
        assert outcome.status == USAGE and text in outcome.stderr, str(outcome)


@pytest.mark.main_major
def test_worked_example(database, tmp_path):
    """The section of docs/restructuring.md."""
    text = (pgrecast.REPOSITORY / "docs" / "restructuring.md").read_text().split("## Partition by time")[1].split("\n## ")[0]
    (table,) = re.findall(r"^```sql\n(.*?)^```$", text, re.M | re.S)
    commands = [shlex.split(line) for line in re.findall(r"^    pgrecast (.*)$", text, re.M)]
    file = tmp_path / "visits.sql"
    for words in commands:
        words[1:3] = []  # the database of the example
        words[:] = [str(file) if word == "visits.sql" else word for word in words]
    plan, run, rollback, finish = commands
    database.execute(table)
    outcome = pgrecast.call(database, *(word for word in plan if word != "--extend-key"))
    assert outcome.status == REFUSED and "PRIMARY KEY (id, \"created_at\")" in outcome.stderr, str(outcome)
    outcome = pgrecast.call(database, *plan)
    assert outcome.status == DONE and file.read_text() in outcome.stdout, str(outcome)
    running = pgrecast.start_run(database, None, *run[1:], window=None)
    running.wait_phase("reverse")
    database.execute("INSERT INTO visits VALUES (0, now(), 'new')")
    for command in (rollback, finish):
        outcome = pgrecast.call(database, *command)
        assert outcome.status == DONE, str(outcome)
    assert running.wait().status == DONE
    assert database.value("SELECT count(*) FROM visits") == 3001
    assert_clean(database)
