"""Rows of which the server, the stream or a type has something of its own to say: a load of single statements on table and mirror."""

import dataclasses
import json

import pytest

import pgrecast
from conftest import rotate
from servers import wait_until
from tables import assert_clean, assert_equal, assert_follows

JOB = "t"


def both(database, sql):
    """One transaction on table and mirror."""
    database.execute(f"BEGIN; {sql.format(t='t')}; {sql.format(t='m')}; COMMIT")


def command(database, name, *arguments, status=pgrecast.DONE):
    outcome = pgrecast.call(database, name, JOB, *arguments)
    assert outcome.status == status, str(outcome)
    return outcome


def finish(database, job):
    command(database, "finish")
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_clean(database)


# Keys that are stored out of line

# 2.4 kB of text that do not compress, and fit into an index: the heap keeps them out of line.
LONG = "(SELECT string_agg(md5(({g})::text || '/' || x), '' ORDER BY x) FROM generate_series(1, 76) x)"

TABLE_OF_LONG_KEYS = f"""
CREATE TABLE t (part integer NOT NULL, url text NOT NULL, hits integer, big text, {{key}});
ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
INSERT INTO t SELECT g % 3, {LONG.format(g='g')}, g, repeat('b', 3000) FROM generate_series(1, 40) g;
CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t;
"""
KEYS = {
    "single": ("PRIMARY KEY (url)", ""),
    "composite": ("PRIMARY KEY (part, url)", ""),
    "identity_index": ("UNIQUE (part, url)", "ALTER TABLE t REPLICA IDENTITY USING INDEX t_part_url_key"),
}


def changes_of_long_keys(n):
    """The key as it was, half of it changed, all of it changed, several changes of a row in one transaction."""
    return (
        f"UPDATE {{t}} SET hits = hits + 100 WHERE hits = {n}",
        f"UPDATE {{t}} SET part = part + 10 WHERE hits BETWEEN {n + 1} AND {n + 4}",
        f"UPDATE {{t}} SET url = {LONG.format(g='hits + 1000')} WHERE hits BETWEEN {n + 5} AND {n + 7}",
        f"UPDATE {{t}} SET hits = hits + 100 WHERE hits = {n + 8}; UPDATE {{t}} SET part = part + 10 WHERE hits = {n + 108};"
        f" UPDATE {{t}} SET big = 'short' WHERE hits = {n + 108}; UPDATE {{t}} SET hits = {n + 200} WHERE hits = {n + 108}",
        f"DELETE FROM {{t}} WHERE hits = {n + 9}",
        f"UPDATE {{t}} SET hits = 300 WHERE hits = {n + 10}; DELETE FROM {{t}} WHERE hits = 300",
    )


@pytest.mark.parametrize("major, key", rotate(KEYS))
def test_key_stored_out_of_line(database, key):
    """The server sends it whole with the row before, and as unchanged with the row after: in the copy, behind it, in the window."""
    declared, identity = KEYS[key]
    database.execute(TABLE_OF_LONG_KEYS.format(key=declared) + identity)
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER hits TYPE bigint", "--cutover=hold", window=None, hold="copy")
    job.wait_phase("copy")
    both(database, "UPDATE {t} SET hits = hits WHERE hits = 1")
    job.release()
    job.wait_phase("ready")
    for sql in changes_of_long_keys(2):
        both(database, sql)
    assert_follows(database, "t_pgrecast_new", "m")
    command(database, "cutover")
    job.wait_phase("reverse")
    for sql in changes_of_long_keys(20):
        both(database, sql)
    assert_follows(database, "t_pgrecast_old", "m")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    both(database, "UPDATE {t} SET hits = 1000 WHERE hits = 40")
    assert_follows(database, "t_pgrecast_new", "m")
    finish(database, job)


def test_decoded_key_stored_out_of_line(database):
    """What the row before tells is part of the row after, for other readers of the stream too."""
    database.execute(TABLE_OF_LONG_KEYS.format(key="PRIMARY KEY (url)"))
    database.execute("CREATE PUBLICATION p FOR TABLE t")
    database.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    database.execute("UPDATE t SET hits = 77 WHERE hits = 5")
    outcome = pgrecast.call(database, "decode", "--slot=s", "--publication=p", "--limit=4")
    assert outcome.status == pgrecast.DONE, str(outcome)
    (update,) = [record for record in map(json.loads, outcome.stdout.splitlines()) if record["kind"] == "update"]
    url = database.value("SELECT url FROM t WHERE hits = 77")
    assert update["old_key"]["url"] == url and update["new_row"]["url"] == url
    assert update["unchanged"] == ["big"]


# Keys that are equal although their texts differ

CASELESS = """
CREATE COLLATION nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE DOMAIN caseless AS text COLLATE nd;
CREATE DOMAIN caseless_too AS caseless;
CREATE TYPE named AS (name text COLLATE nd, n integer);
"""
CASELESS_KEYS = {  # the key's type, how a word becomes a key, and the index that is the replica identity
    "column": ("text COLLATE nd", "{}", ""),
    "domain": ("caseless", "{}", ""),
    "domain_of_domain": ("caseless_too", "{}", ""),
    "array": ("caseless[]", "ARRAY[{}]::caseless[]", ""),
    "composite": ("named", "ROW({}, 1)::named", ""),
    "index": ("text NOT NULL", "{}", "CREATE UNIQUE INDEX t_key ON t (id COLLATE nd); ALTER TABLE t REPLICA IDENTITY USING INDEX t_key"),
}


def caseless_changes(key, words):
    """Each row's key is written in capitals, moved to another word, or exchanged; the large value stays where it is."""
    a, b, c, d = (key.format(f"'{word}'") for word in words)
    a_again, b_again = (key.format(f"'{word.upper()}'") for word in words[:2])
    moved = key.format(f"'moved {words[2]}'")
    return (
        f"UPDATE {{t}} SET id = {a_again} WHERE id = {a}",
        f"UPDATE {{t}} SET id = {b_again} WHERE id = {b}; UPDATE {{t}} SET k = k + 1 WHERE id = {b_again}",
        f"UPDATE {{t}} SET id = {moved} WHERE id = {c}; INSERT INTO {{t}} VALUES ({c}, 77, 'new')",
        f"DELETE FROM {{t}} WHERE id = {d}; INSERT INTO {{t}} VALUES ({key.format(repr(words[3].upper()))}, 88, 'new')",
    )


@pytest.mark.parametrize("major, name", rotate(CASELESS_KEYS))
def test_key_without_case(database, name):
    """A key that is written anew is the same row, and keeps what the change leaves unchanged, wherever the collation is declared."""
    type_, key, identity = CASELESS_KEYS[name]
    primary = "" if identity else "PRIMARY KEY"
    database.execute(f"{CASELESS} CREATE TABLE t (id {type_} {primary}, k integer, big text);"
                     f" ALTER TABLE t ALTER big SET STORAGE EXTERNAL; {identity}")
    database.execute("INSERT INTO t SELECT " + key.format("'word ' || g") + ", g, repeat(g::text, 3000) FROM"
                     " generate_series(1, 30) g")
    database.execute("CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER k TYPE bigint", "--cutover=hold", window=None)
    job.wait_phase("ready")
    for sql in caseless_changes(key, ["word 1", "word 2", "word 3", "word 4"]):
        both(database, sql)
    assert_follows(database, "t_pgrecast_new", "m")
    command(database, "cutover")
    job.wait_phase("reverse")
    for sql in caseless_changes(key, ["word 11", "word 12", "word 13", "word 14"]):
        both(database, sql)
    assert_follows(database, "t_pgrecast_old", "m")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    finish(database, job)


def test_key_loses_its_collation(database):
    """From a domain that knows no case to text: the rows are found by the key as it was, and two that now differ are two."""
    database.execute(CASELESS + "CREATE TABLE t (id caseless PRIMARY KEY, k integer, big text);"
                     " ALTER TABLE t ALTER big SET STORAGE EXTERNAL;"
                     " INSERT INTO t SELECT 'word ' || g, g, repeat(g::text, 3000) FROM generate_series(1, 30) g;"
                     " CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER id TYPE text", "--cutover=hold", window="0")
    job.wait_phase("ready")
    for sql in caseless_changes("{}", ["word 1", "word 2", "word 3", "word 4"]):
        both(database, sql)
    assert_follows(database, "t_pgrecast_new", "m", ignore=("pgrecast_key_1",))
    command(database, "cutover")
    assert job.wait().status == pgrecast.DONE
    assert_equal(database, "t", "m")
    assert_clean(database)


# Rows that fail, whatever the SQLSTATE

SECRET = "secret-4111"  # a value that nobody is to read but in the table
TABLE_OF_FAILURES = """
CREATE TABLE t (id integer PRIMARY KEY, n integer, v text);
CREATE INDEX t_v ON t (v);
INSERT INTO t SELECT g, g, 'v' || g FROM generate_series(1, 300) g;
CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t;
"""
RAISING = """
CREATE FUNCTION {name}({of} text) RETURNS {type} IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF $1 LIKE 'secret%' THEN
        RAISE EXCEPTION 'bad %', $1 USING DETAIL = 'detail ' || $1, HINT = 'hint ' || $1, ERRCODE = '{state}';
    END IF;
    RETURN {result};
END $$;
"""


@dataclasses.dataclass
class Failing:
    """A change whose rollback a row refuses that was written after the cutover."""

    alter: str
    damage: str
    arguments: tuple = ()
    setup: str = ""
    reason: str = ""


TOO_LONG = f"(SELECT '{SECRET}' || string_agg(md5(x::text), '') FROM generate_series(1, 300) x)"
FAILING = {
    "not_supported": Failing("ALTER TABLE t ALTER n TYPE numeric", "INSERT INTO t VALUES (5000, 'NaN', 'x')"),
    "index_row": Failing("ALTER TABLE t ALTER id TYPE bigint; DROP INDEX t_v", f"INSERT INTO t VALUES (5000, 1, {TOO_LONG})",
                         reason="index row"),
    "index_row_later": Failing("ALTER TABLE t ALTER id TYPE bigint; DROP INDEX t_v",
                               f"INSERT INTO t VALUES (5000, 1, 'x'); UPDATE t SET v = {TOO_LONG} WHERE id = 5000",
                               reason="index row"),
    **{state: Failing("ALTER TABLE t ALTER n TYPE text USING n::text", f"INSERT INTO t VALUES (5000, '{SECRET}', 'x')",
                      ("--reverse-map", "n=public.back(n)"),
                      RAISING.format(name="back", of="v", type="integer", state=state, result="$1::integer"), state)
       for state in ("ZZ999", "42P01", "0A000", "P0001", "23514")},
}


def assert_kept_secret(database, *outcomes):
    """The value is in no output, and not in what the job stores."""
    texts = [outcome.text for outcome in outcomes]
    for table in ("job", "event", "request", "blocked"):
        texts.append(str(database.execute(f"SELECT x::text FROM pgrecast.{table} x")))
    texts.append(str(pgrecast.status(database)))
    texts.append(pgrecast.call(database, "status").text)
    for text in texts:
        assert SECRET not in text and "NaN" not in text, text


@pytest.mark.parametrize("major, name", rotate(FAILING))
def test_row_that_fails_in_the_window(database, name):
    """It is set aside by its key, whatever the SQLSTATE; what comes after it is applied, and without it the rollback goes well."""
    case = FAILING[name]
    database.execute(TABLE_OF_FAILURES + case.setup)
    job = pgrecast.start_run(database, case.alter, *case.arguments, window=None)
    job.wait_phase("reverse")
    database.execute(case.damage)
    wait_until(lambda: pgrecast.the_job(database)["rollback"]["blocked_keys"] == ["(5000)"], "the row to be set aside")
    assert case.reason in database.value("SELECT error FROM pgrecast.blocked")
    both(database, "INSERT INTO {t} VALUES (5001, 7, 'after')")
    wait_until(lambda: database.value("SELECT true FROM t_pgrecast_old WHERE id = 5001"), "the next change to be applied")
    refused = command(database, "rollback", status=pgrecast.NO_ROLLBACK)
    assert "(5000)" in refused.stderr
    assert_kept_secret(database, refused)
    database.execute("DELETE FROM t WHERE id = 5000")
    wait_until(lambda: pgrecast.the_job(database)["rollback"]["possible"], "the rollback to be possible")
    rolled_back = command(database, "rollback")
    assert_equal(database, "t", "m")
    finish(database, job)
    assert_kept_secret(database, rolled_back, job.outcome())


FORWARD = ("ZZ999", "42P01", "0A000", "54000", "P0001", "23505", "XX000")


@pytest.mark.parametrize("major, state", rotate(FORWARD))
def test_row_that_fails_before_the_cutover(database, state):
    """In the copy and in what comes after it: its key is named, its value is not; an error of the server's own names no row."""
    database.execute(TABLE_OF_FAILURES + RAISING.format(name="conv", of="v", type="integer", state=state, result="1"))
    key = "the row with the key (77)" if state != "XX000" else ""
    alter = "ALTER TABLE t ALTER v TYPE integer USING public.conv(v)"
    database.execute(f"UPDATE t SET v = '{SECRET}' WHERE id = 77")
    copied = pgrecast.run(database, alter)
    assert copied.status == pgrecast.FAILED and key in copied.stderr and f"SQLSTATE {state}" in copied.stderr, str(copied)
    assert_kept_secret(database, copied)
    command(database, "abort")
    database.execute("UPDATE t SET v = 'v77' WHERE id = 77")
    job = pgrecast.start_run(database, alter, "--cutover=hold")
    job.wait_phase("ready")
    database.execute(f"UPDATE t SET v = '{SECRET}' WHERE id = 77")
    applied = job.wait()
    assert applied.status == pgrecast.FAILED and key in applied.stderr and f"SQLSTATE {state}" in applied.stderr, str(applied)
    assert_kept_secret(database, applied)
    command(database, "abort")


def test_duplicates_are_named_by_their_columns(database):
    """Which values are there twice is for a query of the user's to say: they are no key."""
    database.execute(TABLE_OF_FAILURES + f"UPDATE t SET v = '{SECRET}' WHERE id < 3")
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER id TYPE bigint, ADD UNIQUE (v, n), ADD UNIQUE (v)")
    assert outcome.status == pgrecast.FAILED and "Several rows have the same values in (v). GROUP BY v HAVING" in outcome.stderr, str(outcome)
    assert_kept_secret(database, outcome)
    command(database, "abort")


# Publications of the user's that the working tables come under by themselves

PUBLISHED = {  # the key, and what becomes of it
    "same_key": ("id integer PRIMARY KEY", "ALTER TABLE t ALTER n TYPE bigint"),
    "wider_key": ("id integer PRIMARY KEY", "ALTER TABLE t ALTER id TYPE bigint"),
    "other_key": ("id integer PRIMARY KEY", "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n, id)"),
    "index": ("id integer NOT NULL UNIQUE", "ALTER TABLE t ALTER n TYPE bigint"),
}


@pytest.mark.parametrize("major, name", rotate(PUBLISHED))
def test_published_table_is_written_meanwhile(database, name):
    """With --published=accept: the new table is published before it has its key, and takes updates and deletions all the same."""
    key, alter = PUBLISHED[name]
    database.execute(f"CREATE TABLE t ({key}, n integer NOT NULL, v text);"
                     " INSERT INTO t SELECT g, g, 'v' || g FROM generate_series(1, 300) g;"
                     " CREATE TABLE m (LIKE t); ALTER TABLE m REPLICA IDENTITY FULL; INSERT INTO m SELECT * FROM t")
    if name == "index":
        database.execute("ALTER TABLE t REPLICA IDENTITY USING INDEX t_id_key")
    identity = database.value("SELECT relreplident FROM pg_class WHERE oid = 't'::regclass")
    database.superuser("CREATE PUBLICATION everything FOR ALL TABLES")
    job = pgrecast.start_run(database, alter, "--published=accept", "--cutover=hold", window=None, hold="copy")
    job.wait_phase("copy")
    for sql in ("UPDATE {t} SET v = 'w' WHERE id % 7 = 0", "DELETE FROM {t} WHERE id % 11 = 0",
                "UPDATE {t} SET id = id + 1000 WHERE id % 13 = 0", "INSERT INTO {t} VALUES (5000, 1, 'new')"):
        both(database, sql)
    job.release()
    job.wait_phase("ready")
    both(database, "UPDATE {t} SET v = 'x' WHERE id % 5 = 0")
    assert_follows(database, "t_pgrecast_new", "m", ignore=("pgrecast_key_1",))
    command(database, "cutover")
    job.wait_phase("reverse")
    assert_equal(database, "t", "m")
    assert database.value("SELECT relreplident FROM pg_class WHERE oid = 't'::regclass") == identity
    both(database, "UPDATE {t} SET v = 'y' WHERE id % 3 = 0")
    assert_follows(database, "t_pgrecast_old", "m")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    finish(database, job)


# Rows from before a domain's constraint that is NOT VALID

UNVALIDATED = {  # what makes the type "t_type" with the domain qty, and how a number becomes a value of it
    "domain": ("CREATE DOMAIN t_type AS qty", "{}"),
    "array": ("CREATE DOMAIN t_type AS qty[]", "ARRAY[{}]::qty[]"),
    "composite": ("CREATE TYPE t_type AS (q qty, note text)", "ROW({}, 'x')::t_type"),
    "range": ("CREATE TYPE t_type AS RANGE (subtype = qty)", "t_type({0}, {0}, '[]')"),
}


@pytest.mark.parametrize("major, name", rotate(UNVALIDATED))
def test_row_older_than_its_domains_constraint(database, name):
    """PostgreSQL keeps such a value through an update of other columns. So does the job, to the new table and back."""
    type_, value = UNVALIDATED[name]
    database.execute(f"CREATE DOMAIN qty AS integer; {type_};"
                     " CREATE TABLE t (id integer PRIMARY KEY, q t_type, a integer, big text);"
                     " ALTER TABLE t ALTER big SET STORAGE EXTERNAL;"
                     f" INSERT INTO t SELECT g, {value.format('CASE WHEN g % 2 = 0 THEN -g ELSE g END')}, g, repeat('b', 3000)"
                     " FROM generate_series(1, 60) g;"
                     " CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t;"
                     " CREATE TABLE before AS SELECT * FROM t;"
                     " ALTER DOMAIN qty ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID")

    def changes(n):
        return (f"UPDATE {{t}} SET a = a + 100 WHERE id IN ({n}, {n + 1})",
                f"UPDATE {{t}} SET id = id + 1000 WHERE id IN ({n + 2}, {n + 3})",
                f"UPDATE {{t}} SET q = {value.format(5)} WHERE id = {n + 4}",
                f"DELETE FROM {{t}} WHERE id = {n + 6}; INSERT INTO {{t}} SELECT * FROM before WHERE id = {n + 6}",
                f"INSERT INTO {{t}} SELECT id + 2000, q, a, 'copied' FROM before WHERE id = {n + 8}",
                f"UPDATE {{t}} SET big = 'short', a = 1 WHERE id = {n + 10}; UPDATE {{t}} SET q = NULL WHERE id = {n + 10}",
                f"DELETE FROM {{t}} WHERE id = {n + 12}")

    job = pgrecast.start_run(database, "ALTER TABLE t ALTER a TYPE bigint", "--cutover=hold", window=None, hold="copy")
    job.wait_phase("copy")
    for sql in changes(2):
        both(database, sql)
    job.release()
    job.wait_phase("ready")
    for sql in changes(16):
        both(database, sql)
    assert_follows(database, "t_pgrecast_new", "m")
    command(database, "cutover")
    job.wait_phase("reverse")
    assert_equal(database, "t", "m")
    for sql in changes(30):
        both(database, sql)
    assert_follows(database, "t_pgrecast_old", "m")
    assert pgrecast.the_job(database)["rollback"]["blocked_rows"] == 0
    command(database, "rollback")
    assert_equal(database, "t", "m")
    both(database, "UPDATE {t} SET a = 7 WHERE id = 44")
    assert_follows(database, "t_pgrecast_new", "m")
    database.execute("DROP TABLE before")
    finish(database, job)


NO_WAY = {
    "key": ("ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (q)"),
    "unique": ("ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE t ADD UNIQUE (q)"),
    "new_unique": ("ALTER TABLE t ALTER a TYPE bigint, ADD UNIQUE (q)", ""),
    "changed_back": ("ALTER TABLE t ALTER q TYPE integer", ""),
}


@pytest.mark.parametrize("major, name", rotate(NO_WAY))
def test_domains_constraint_must_be_valid(database, name):
    """Where values of the column could not be carried: before anything is made, and with the way out."""
    alter, setup = NO_WAY[name]
    database.execute("CREATE DOMAIN qty AS integer; CREATE TABLE t (id integer PRIMARY KEY, q qty NOT NULL, a integer);"
                     " INSERT INTO t SELECT g, g, g FROM generate_series(1, 60) g;"
                     f" ALTER DOMAIN qty ADD CONSTRAINT positive CHECK (VALUE > 0) NOT VALID; {setup}")
    refused = pgrecast.run(database, alter, window=None)
    assert refused.status == pgrecast.REFUSED and '"q"' in refused.stderr, str(refused)
    assert "ALTER DOMAIN ... VALIDATE CONSTRAINT first" in refused.stderr, str(refused)
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0
    database.execute("ALTER DOMAIN qty VALIDATE CONSTRAINT positive")
    assert pgrecast.run(database, alter).status == pgrecast.DONE
    assert_clean(database)


# REPLICA IDENTITY FULL

FULL = {  # the key, if any, and what is done
    "primary_key": ("PRIMARY KEY (id)", "ALTER TABLE t ALTER n TYPE bigint"),
    "wider_key": ("PRIMARY KEY (id), UNIQUE (n)", "ALTER TABLE t ALTER id TYPE bigint"),
    "unique": ("UNIQUE (n, id)", "ALTER TABLE t ALTER v TYPE varchar(100)"),
    "other_key": ("PRIMARY KEY (id)", "ALTER TABLE t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (n, id)"),
}


def changes_of_a_full_row(n):
    return (f"UPDATE {{t}} SET v = 'w' WHERE id BETWEEN {n} AND {n + 3}",
            f"UPDATE {{t}} SET id = id + 1000, v = NULL WHERE id BETWEEN {n + 4} AND {n + 6}",
            f"UPDATE {{t}} SET n = n + 1000 WHERE id = {n + 7}; UPDATE {{t}} SET big = 'short' WHERE id = {n + 7}",
            f"DELETE FROM {{t}} WHERE id BETWEEN {n + 8} AND {n + 9}; INSERT INTO {{t}} SELECT {n + 8}, {n + 8}, 'new', NULL",
            f"DELETE FROM {{t}} WHERE v = 'v{n + 11}'")


@pytest.mark.parametrize("major, name", rotate(FULL))
def test_full_replica_identity(database, name):
    """Rows are found by a key of the table; its consumers keep the whole row before each change."""
    key, alter = FULL[name]
    database.execute(f"CREATE TABLE t (id integer NOT NULL, n integer NOT NULL, v text, big text, {key});"
                     " ALTER TABLE t ALTER big SET STORAGE EXTERNAL; ALTER TABLE t REPLICA IDENTITY FULL;"
                     " INSERT INTO t SELECT g, g, 'v' || g, repeat(g::text, 3000) FROM generate_series(1, 200) g;"
                     " CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, alter, "--cutover=hold", window=None, hold="copy")
    job.wait_phase("copy")
    for sql in changes_of_a_full_row(2):
        both(database, sql)
    job.release()
    job.wait_phase("ready")
    for sql in changes_of_a_full_row(22):
        both(database, sql)
    assert_follows(database, "t_pgrecast_new", "m", ignore=("pgrecast_key_1",))
    command(database, "cutover")
    job.wait_phase("reverse")
    assert_equal(database, "t", "m")
    assert database.value("SELECT relreplident FROM pg_class WHERE oid = 't'::regclass") == "f"
    for sql in changes_of_a_full_row(42):
        both(database, sql)
    assert_follows(database, "t_pgrecast_old", "m")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    finish(database, job)


def test_full_replica_identity_without_a_key(database):
    database.execute("CREATE TABLE t (id integer UNIQUE, n integer); ALTER TABLE t REPLICA IDENTITY FULL")
    refused = pgrecast.run(database, "ALTER TABLE t ALTER n TYPE bigint")
    assert refused.status == pgrecast.REFUSED and "rows cannot be found by a key" in refused.stderr, str(refused)
    assert "The replica identity may stay as it is." in refused.stderr


@pytest.mark.majors((15, 18, 19))
def test_full_replica_identity_with_a_generated_column(database, server):
    """18 takes no more updates of such a table once it is published: the application would notice."""
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer, twice integer GENERATED ALWAYS AS (n * 2) STORED);"
                     " ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t SELECT g, g FROM generate_series(1, 50) g")
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER id TYPE bigint")
    if server.major < 18:
        assert outcome.status == pgrecast.DONE, str(outcome)
        return
    assert outcome.status == pgrecast.REFUSED and '"twice"' in outcome.stderr, str(outcome)
    database.execute("UPDATE t SET n = 7 WHERE id = 7")
    assert pgrecast.leftovers(database) == []


# Labels that are renamed

ENUM = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE t (id integer PRIMARY KEY, state mood, n integer);
INSERT INTO t SELECT g, 'ok', g FROM generate_series(1, 50) g;
CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t;
"""


def test_label_renamed_before_the_cutover(database):
    """A change that waits has the old label. The job holds, says why, and continues once the label is back."""
    database.execute(ENUM)
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER n TYPE bigint", "--cutover=hold", window="0", hold="copy")
    job.wait_phase("copy")
    both(database, "UPDATE {t} SET state = 'sad', n = 0 WHERE id = 7")
    database.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'glum'")
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.FAILED, str(outcome)
    assert ('the row with the key (7), changed meanwhile, has a label in column "state" that type public.mood no longer has'
            in outcome.stderr), str(outcome)
    assert "ALTER TYPE ... RENAME VALUE" in outcome.stderr and "'sad'" not in outcome.stderr, str(outcome)
    database.execute("ALTER TYPE mood RENAME VALUE 'glum' TO 'sad'")
    job = pgrecast.start_resume(database, JOB)
    job.wait_phase("ready")
    assert_follows(database, "t_pgrecast_new", "m")
    database.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'glum'")
    command(database, "cutover")
    assert job.wait().status == pgrecast.DONE
    assert_equal(database, "t", "m")
    assert_clean(database)


FORMER_FORMS = {  # the type and its values, a key of the table, a change, what becomes of the type meanwhile, the way back
    "label_of_a_key": ("CREATE TYPE kind AS ENUM ('a', 'b')", "CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b' END::kind",
                       "DELETE FROM {t} WHERE id = 7", "ALTER TYPE kind RENAME VALUE 'b' TO 'c'",
                       "ALTER TYPE kind RENAME VALUE 'c' TO 'b'", 'a label in column "v" that type public.kind no longer has'),
    "label_in_an_array": ("CREATE TYPE label AS ENUM ('a', 'b'); CREATE DOMAIN kind AS label[]", "'{a,b}'::kind",
                          "UPDATE {t} SET n = 0 WHERE id = 7", "ALTER TYPE label RENAME VALUE 'b' TO 'c'",
                          "ALTER TYPE label RENAME VALUE 'c' TO 'b'",
                          'a value in column "v" that type public.kind no longer takes'),
    "attribute": ("CREATE TYPE kind AS (x integer, y text)", "(g, 'hidden')::kind", "UPDATE {t} SET n = 0 WHERE id = 7",
                  "ALTER TYPE kind ADD ATTRIBUTE z text", "ALTER TYPE kind DROP ATTRIBUTE z",
                  'a value in column "v" that type public.kind no longer takes'),
}


@pytest.mark.parametrize("major, name", rotate(FORMER_FORMS))
def test_change_in_a_types_former_form(database, name):
    """The cause and the way out are named, and the value is not; once the type is as it was, the job continues."""
    create, value, change, alter, undo, words = FORMER_FORMS[name]
    key = "id, v" if name == "label_of_a_key" else "id"
    database.execute(f"{create}; CREATE TABLE t (id integer, v kind, n integer, PRIMARY KEY ({key}));"
                     f" INSERT INTO t SELECT g, {value}, g FROM generate_series(1, 20) g;"
                     " CREATE TABLE m (LIKE t); INSERT INTO m SELECT * FROM t")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER n TYPE bigint", window="0", hold="copy")
    job.wait_phase("copy")
    both(database, change)
    database.execute(alter)
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.FAILED and words in outcome.stderr, str(outcome)
    assert ", resume the job, and" in outcome.stderr and "hidden" not in outcome.stderr, str(outcome)
    database.execute(undo)
    job = pgrecast.start_resume(database, JOB)
    assert job.wait().status == pgrecast.DONE, str(job.outcome())
    assert_equal(database, "t", "m")
    assert_clean(database)


def test_label_renamed_in_the_window(database):
    """The row is read again as it is now: nothing is lost, and nobody has to do anything."""
    database.execute(ENUM)
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER n TYPE bigint", window=None)
    job.wait_phase("reverse")
    job.kill()
    both(database, "UPDATE {t} SET state = 'sad', n = 0 WHERE id = 7")
    database.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'glum'")
    both(database, "UPDATE {t} SET n = 1 WHERE id = 8")
    job = pgrecast.start_resume(database, JOB)
    assert_follows(database, "t_pgrecast_old", "m")
    wait_until(lambda: pgrecast.the_job(database)["rollback"]["possible"], "the rollback to be possible")
    command(database, "rollback")
    assert_equal(database, "t", "m")
    finish(database, job)


# What the server says to whoever connects

@pytest.mark.majors((15, 18, 19))
def test_warning_of_the_server_is_a_log_line(database):
    """A record of the log, once for each command however many sessions get it, and nothing raw."""
    database.execute(TABLE_OF_FAILURES)
    database.superuser("UPDATE pg_database SET datcollversion = '0' WHERE datname = current_database()")
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER n TYPE bigint", "--log-format=json")
    assert outcome.status == pgrecast.DONE, str(outcome)
    warnings = [line for line in map(json.loads, outcome.stderr.splitlines()) if "collation version" in json.dumps(line)]
    assert len(warnings) == 1 and warnings[0]["level"] == "warning", str(outcome)


@pytest.mark.majors((14, 15, 18))
def test_warning_of_the_server_in_the_middle(database, new_database):
    """A collation's version: each session that uses it is warned. What a function says is not written: it may be a value."""
    database.execute(TABLE_OF_FAILURES)
    database.superuser("""CREATE COLLATION german (provider = icu, locale = 'de');
        UPDATE pg_collation SET collversion = '0' WHERE collname = 'german';
        ALTER COLLATION german OWNER TO app_owner;
        CREATE FUNCTION loud(v integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
            AS $$ BEGIN IF v < 3 THEN RAISE WARNING 'the value is %', v; END IF; RETURN v; END $$;
        ALTER FUNCTION loud OWNER TO app_owner""")
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER n TYPE bigint USING public.loud(n)"
                                     " + (('a'::text COLLATE german < 'b'))::integer", "--log-format=json", window="0")
    assert outcome.status == pgrecast.DONE, str(outcome)
    lines = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert "the value is" not in outcome.text, str(outcome)
    warnings = [line for line in lines if "collation" in line["message"]]
    assert len(warnings) == 1 and warnings[0]["level"] == "warning", str(outcome)
