"""Migration files as the tools of frameworks print them: what surrounds the changes, and keys that are dropped and added again."""

import contextlib
import pathlib
import re
import shlex
import threading

import psycopg2
import pytest

import oracle
import pgrecast
from conftest import spread
from pgrecast import DONE, REFUSED, USAGE
from rewrite import Rewrite
from servers import wait_until
from tables import relations

TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id integer PRIMARY KEY, note text, code integer NOT NULL UNIQUE);
CREATE TABLE shop.items (id integer PRIMARY KEY, order_id integer NOT NULL CONSTRAINT fk REFERENCES shop.orders ON DELETE CASCADE);
CREATE TABLE orders_mirror (id integer PRIMARY KEY, note text, code integer);
CREATE TABLE items_mirror (id integer PRIMARY KEY, order_id integer);
INSERT INTO shop.orders SELECT g, 'note ' || g, -g FROM generate_series(1, 500) g;
INSERT INTO shop.items SELECT g, 1 + g % 500 FROM generate_series(1, 2000) g;
INSERT INTO orders_mirror SELECT * FROM shop.orders;
INSERT INTO items_mirror SELECT * FROM shop.items;
"""

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "frameworks.md"


def read_sections():
    """The SQL of each section of the document, by its title."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return {title: sql for title, sql in re.findall(r"^## ([^\n]*)$(?:(?!^## ).)*?^```sql\n(.*?)^```$", text, re.M | re.S)}


FILES = read_sections()
NEW_KEYS = {"Django": " DEFERRABLE INITIALLY DEFERRED", "Prisma": " ON UPDATE CASCADE ON DELETE CASCADE",
            "psql and Drizzle": " ON DELETE CASCADE"}
COMMANDS = [shlex.split(line) for line in re.findall(r"^    (pgrecast .*)$", DOCUMENT.read_text(encoding="utf-8"), re.M)]

FK = """
SELECT pg_get_constraintdef(oid), convalidated, confrelid = 'shop.orders'::regclass FROM pg_constraint
WHERE conrelid = 'shop.items'::regclass AND contype = 'f'
"""
TYPES = """
SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'shop.orders'::regclass AND attname = 'id'
UNION ALL SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'shop.items'::regclass AND attname = 'order_id'
"""


class Writer(threading.Thread):
    """An application that writes both tables, and the mirrors in the same transactions."""

    def __init__(self, database):
        super().__init__()
        self.database, self.number, self.error = database, 0, None
        self.ends = threading.Event()

    def run(self):
        with contextlib.closing(self.database.connect(autocommit=False)) as conn:
            while not self.ends.is_set():
                try:
                    with conn, conn.cursor() as cursor:
                        self.write(cursor, 10000 + self.number)
                    self.number += 1
                except psycopg2.Error as error:
                    self.error = error
                    return

    @staticmethod
    def write(cursor, n):
        for orders, items in (("shop.orders", "shop.items"), ("orders_mirror", "items_mirror")):
            cursor.execute(f"INSERT INTO {orders} VALUES (%s, 'new', %s)", (n, n))
            cursor.execute(f"INSERT INTO {items} SELECT 10 * %s + g, %s FROM generate_series(1, 3) g", (n, n))
            cursor.execute(f"UPDATE {items} SET order_id = %s WHERE id = %s", (n, n % 2000))
            cursor.execute(f"DELETE FROM {items} WHERE order_id = %s", (n - 2,))
            cursor.execute(f"DELETE FROM {orders} WHERE id = %s", (n - 2,))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.join()

    def goes_on(self):
        """Wait for ten more of its transactions, and compare."""
        until = self.number + 10
        wait_until(lambda: self.error is not None or self.number >= until, "the application's transactions")
        assert self.error is None, self.error
        for table, mirror in (("shop.orders", "orders_mirror"), ("shop.items", "items_mirror")):
            assert not oracle.compare(self.database, table, mirror)


def write(tmp_path, text):
    file = tmp_path / "migration.sql"
    file.write_text(text)
    return str(file)


def assert_keys(database, types, key):
    wait_until(lambda: [t for t, in database.execute(TYPES)] == types, f"the types {types}")
    wait_until(lambda: database.execute(FK) == [(key, True, True)], f"the foreign key {key}, validated")


@pytest.mark.parametrize("major, name", spread(sorted(NEW_KEYS)))
def test_forward_and_back_and_forward(database, tmp_path, name):
    """A wider key and its reference, as one file, while both tables are written."""
    database.execute(TABLES)
    # a table on the connection's own path has the name, too: it is not meant
    database.execute("CREATE TABLE items (id integer PRIMARY KEY)")
    file = write(tmp_path, "SET search_path TO shop;\n" + FILES[name])
    before, key = relations(database), database.execute(FK)[0][0]
    new_key = "FOREIGN KEY (order_id) REFERENCES shop.orders(id)" + NEW_KEYS[name]
    outcome = pgrecast.call(database, "plan", "-f", file)
    assert outcome.status == DONE, str(outcome)
    with Writer(database) as writer:
        job = pgrecast.start_run(database, None, "-f", file, "--job=wide", window=None)
        with contextlib.ExitStack() as after:
            after.callback(job.kill)
            job.wait_phase("reverse")
            for command, types, expected in ((None, ["bigint"] * 2, new_key), ("rollback", ["integer"] * 2, key),
                                             ("cutover", ["bigint"] * 2, new_key)):
                if command is not None:
                    outcome = pgrecast.call(database, command, "wide")
                    assert outcome.status == DONE, str(outcome)
                assert_keys(database, types, expected)
                writer.goes_on()
            assert pgrecast.call(database, "finish", "wide").status == DONE
            assert job.wait().status == DONE
            after.pop_all()
        writer.goes_on()
    assert pgrecast.leftovers(database) == []
    assert set(before) - set(relations(database)) == set()


@pytest.mark.main_major
def test_commands_of_the_document(database, tmp_path):
    """All of them, one after the other, with the first file; the application has the schema in its path."""
    database.execute(TABLES)
    database.execute("ALTER ROLE CURRENT_USER IN DATABASE current_database_name SET search_path = shop"
                     .replace("current_database_name", f'"{database.name}"'))
    file = write(tmp_path, FILES["Django"])
    assert [command[1] for command in COMMANDS] == ["plan", "run", "rollback", "cutover", "finish"] and set(FILES) == set(NEW_KEYS)
    words = [[file if word == "migration.sql" else word for word in command[1:] if word not in ("-d", "shop")] for command in COMMANDS]
    with contextlib.ExitStack() as after:
        for command in words:
            if command[0] == "run":
                job = pgrecast.start_run(database, None, *command[1:], window=None)
                after.callback(job.kill)
                job.wait_phase("reverse")
                continue
            outcome = pgrecast.call(database, *command)
            assert outcome.status == DONE, str(outcome)
        assert job.wait().status == DONE
        after.pop_all()
    assert [t for t, in database.execute(TYPES)] == ["bigint"] * 2
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_new_key_to_what_the_same_file_changes(database, tmp_path):
    """The key refers to the columns as they are after the job: another type, another name, a new unique key."""
    database.execute(TABLES)
    file = write(tmp_path, """
        ALTER TABLE shop.items DROP CONSTRAINT fk;
        ALTER TABLE shop.items ALTER order_id TYPE uuid USING md5(order_id::text)::uuid;
        ALTER TABLE shop.items ADD CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES shop.orders (uid);
        ALTER TABLE shop.orders ADD old integer DEFAULT 0, ALTER code TYPE uuid USING md5(id::text)::uuid;
        ALTER TABLE shop.orders RENAME code TO uid;""")
    outcome = pgrecast.run(database, None, "-f", file, "--job=uuids")
    assert outcome.status == DONE, str(outcome)
    assert database.execute(FK) == [("FOREIGN KEY (order_id) REFERENCES shop.orders(uid)", True, True)]
    assert database.execute("SELECT count(*) FROM shop.items JOIN shop.orders ON order_id = uid") == [(2000,)]
    assert pgrecast.leftovers(database) == []


BACKFILL = """
BEGIN;
ALTER TABLE orders ADD COLUMN label varchar(40) COLLATE "C" DEFAULT 'none', ADD COLUMN twice bigint;
UPDATE orders SET label = upper(orders.note), twice = code * 2;
ALTER TABLE orders ALTER COLUMN twice SET NOT NULL;
COMMIT;
"""
# Rows whose added columns are not what the backfill makes of the others.
OWN = "SELECT id, label, twice FROM orders WHERE (label, twice) IS DISTINCT FROM (upper(note), code * 2) ORDER BY id"


@pytest.mark.parametrize("major, end", spread(["finish"]))
def test_backfill(database, tmp_path, end):
    """
    Until the cutover the expression holds for all rows, then the application's own values do. Another cutover computes them anew for
    rows that have changed in between.
    """
    database.execute("CREATE TABLE orders (id integer PRIMARY KEY, note text, code integer);"
                     "INSERT INTO orders SELECT g, 'note ' || g, g FROM generate_series(1, 500) g")
    job = pgrecast.start_run(database, None, "-f", write(tmp_path, BACKFILL), window=None, hold="ready")
    with contextlib.ExitStack() as after:
        after.callback(job.kill)
        job.wait_phase("ready")
        database.execute("UPDATE orders SET note = 'changed' WHERE id = 1; INSERT INTO orders VALUES (501, 'new', 501);"
                         " DELETE FROM orders WHERE id = 9")
        job.release()
        job.wait_phase("reverse")
        assert database.execute(OWN) == [] and database.execute("SELECT count(*) FROM orders") == [(500,)]
        database.execute("UPDATE orders SET label = 'own' WHERE id IN (2, 3); INSERT INTO orders VALUES (502, 'new', 502, 'own', 7)")
        own = [(2, "own", 4), (3, "own", 6), (502, "own", 7)]
        assert database.execute(OWN) == own
        outcome = pgrecast.call(database, "verify", "orders")  # a column with the application's own values has nothing to be compared with
        assert outcome.status == DONE, str(outcome)
        assert pgrecast.call(database, "rollback", "orders").status == DONE
        database.execute("UPDATE orders SET note = 'again' WHERE id IN (3, 4)")
        assert pgrecast.call(database, "cutover", "--wait", "orders").status == DONE
        assert database.execute(OWN) == [own[0], own[2]]
        assert pgrecast.call(database, end, "orders").status == DONE
        assert job.wait().status == DONE
        after.pop_all()
    assert database.execute("SELECT attcollation::regcollation::text FROM pg_attribute WHERE attrelid = 'orders'::regclass"
                            " AND attname = 'label'") == [('"C"',)]
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_backfill_under_load(database):
    rewrite = Rewrite(database, rows=1000)
    rewrite.ignore = ("size",)  # the mirror does not have it
    rewrite.workload.alter = "ALTER TABLE items ADD size bigint; UPDATE items SET size = length(note) * id; " + rewrite.workload.alter
    with rewrite.load:
        rewrite.run(kill="copy-chunk").wait_killed()
        rewrite.resume().wait_phase("reverse")
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.roll_back()
        rewrite.wait_traffic()
        rewrite.assert_serves()
        rewrite.roll_forward()
        rewrite.wait_traffic()
        rewrite.assert_serves()
    rewrite.finish()


@pytest.mark.main_major
def test_keys_in_a_circle_are_refused(database, tmp_path):
    database.execute(TABLES)
    file = write(tmp_path, """
        ALTER TABLE shop.items ADD UNIQUE (order_id, id);
        ALTER TABLE shop.items ADD FOREIGN KEY (order_id) REFERENCES shop.orders;
        ALTER TABLE shop.orders ADD item integer REFERENCES shop.items;""")
    before = relations(database)
    outcome = pgrecast.run(database, None, "-f", file)
    assert outcome.status == REFUSED and "in a circle" in outcome.stderr, str(outcome)
    assert relations(database) == before


@pytest.mark.main_major
def test_what_is_not_read_is_named_with_its_place(database, tmp_path):
    database.execute(TABLES)
    file = write(tmp_path, "BEGIN;\nALTER TABLE shop.orders ALTER id TYPE bigint;\nUPDATE shop.items SET id = id;\nCOMMIT;\n")
    outcome = pgrecast.run(database, None, "-f", file)
    assert outcome.status == USAGE and "line 3, column 1" in outcome.stderr, str(outcome)
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_options_in_the_file(database, tmp_path):
    """The command line takes precedence. What is no option of a file is refused with its place."""
    database.execute("CREATE TABLE orders (id integer PRIMARY KEY, note text DEFAULT 'a'); INSERT INTO orders SELECT g FROM generate_series(1, 9) g")
    text = ("\\set x 'pgrecast: jobs=x'\n-- pgrecast: rollback-window=0 keep-original  job=wide\n--pgrecast: cutover=hold\n"
            "ALTER TABLE orders ALTER id TYPE bigint, ALTER note SET DEFAULT '\n-- pgrecast: nothing'; /* pgrecast: nothing */\n")
    outcome = pgrecast.run(database, None, "-f", write(tmp_path, text), "--cutover=auto", window=None)
    assert outcome.status == DONE and "options of the file: rollback-window=0 keep-original job=wide\n" in outcome.stderr, str(outcome)
    assert "job wide is done" in outcome.stdout, str(outcome)
    assert database.execute("SELECT count(*) FROM orders_pgrecast_old") == [(9,)]
    for option, words in (("trust-owner=postgres", 'a file cannot set "trust-owner"'), ("jobs", '"jobs" needs a value'),
                          ("no-verify=1", '"no-verify" takes no value'), ("job='wide", "no closing quote"),
                          ("rollback-window=24", "no unit"), ("spool-dir=/tmp", "a file cannot set"), ("dbname=x", "a file cannot set")):
        outcome = pgrecast.call(database, "plan", "-f", write(tmp_path, f"ALTER TABLE orders ALTER id TYPE integer;\n  -- pgrecast: {option}\n"))
        assert outcome.status == USAGE and words in outcome.stderr and "line 2, column 16" in outcome.stderr, str(outcome)
    database.execute("DROP TABLE orders_pgrecast_old")
    outcome = pgrecast.call(database, "plan", "-f", write(
        tmp_path, "ALTER TABLE orders ALTER note TYPE varchar(3); -- pgrecast: reverse-map='note = note || ''x y'''"))
    assert outcome.status == DONE and "reverse-map=note = note || 'x y'" in outcome.stderr, str(outcome)
