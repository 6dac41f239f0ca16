"""Clients that work on the table while it is swapped: sessions with all kinds of state, pgbench, node-postgres.

Every transaction that changes items changes items_mirror alike. A client that gets an error notes it, ends its transaction
and goes on, in the same session where it has one; pgbench ends, and is started anew at the next stage.
"""

import collections
import io
import itertools
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import threading
import time

import psycopg2

from servers import CLIENT_BIN, cache_folder, die_with_parent, wait_until

HERE = pathlib.Path(__file__).resolve().parent
ROWS = 2000  # each client has a range of its own among them
OWN = 100
STAGES = ("before", "swap", "back", "end")

TABLES = f"""
CREATE TABLE items (id serial PRIMARY KEY, n integer NOT NULL, note text, ticket integer GENERATED ALWAYS AS IDENTITY);
CREATE TABLE items_mirror (id integer PRIMARY KEY, n integer NOT NULL, note text, ticket integer);
INSERT INTO items (n, note) SELECT g, 'note ' || g FROM generate_series(1, {ROWS}) g;
INSERT INTO items_mirror SELECT * FROM items;
CREATE TABLE beats (client integer PRIMARY KEY, n integer NOT NULL);

CREATE FUNCTION add_row(value integer) RETURNS void LANGUAGE sql AS $$
    WITH made AS (INSERT INTO items (n, note) VALUES (value, 'made') RETURNING id, n, note, ticket)
    INSERT INTO items_mirror (id, n, note, ticket) SELECT id, n, note, ticket FROM made $$;

CREATE FUNCTION bump_sql(key integer) RETURNS void LANGUAGE sql AS $$
    UPDATE items SET n = n + 1 WHERE id = key;
    UPDATE items_mirror SET n = n + 1 WHERE id = key $$;

CREATE FUNCTION n_of(key integer) RETURNS integer LANGUAGE sql AS $$ SELECT n FROM items WHERE id = key $$;

CREATE FUNCTION bump_row(key integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    r items%ROWTYPE;
    k items.id%TYPE;
BEGIN
    SELECT * INTO STRICT r FROM items WHERE id = key FOR UPDATE;
    k := r.id;
    r.n := r.n + 1;
    UPDATE items SET n = r.n WHERE id = k;
    UPDATE items_mirror SET n = r.n WHERE id = k;
    RETURN r.note;
END $$;

CREATE FUNCTION bump_loop(low integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    r record;
    total integer := 0;
BEGIN
    FOR r IN SELECT id, n FROM items WHERE id BETWEEN low AND low + 4 ORDER BY id FOR UPDATE LOOP
        UPDATE items SET n = r.n + 1 WHERE id = r.id;
        UPDATE items_mirror SET n = r.n + 1 WHERE id = r.id;
        total := total + 1;
    END LOOP;
    RETURN total;
END $$;

CREATE FUNCTION rows_of(low integer) RETURNS TABLE (a integer, b integer) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT id, n FROM items WHERE id BETWEEN low AND low + 4;
END $$;

CREATE PROCEDURE walk(low integer) LANGUAGE plpgsql AS $$
DECLARE
    r items%ROWTYPE;
BEGIN
    FOR i IN low .. low + 9 LOOP
        SELECT * INTO r FROM items WHERE id = i;
        COMMIT; -- here the table may be swapped, with a row of the old one in the variable
        PERFORM pg_sleep(0.002);
        UPDATE items SET n = n + 1 WHERE id = r.id;
        UPDATE items_mirror SET n = n + 1 WHERE id = r.id;
        COMMIT;
    END LOOP;
END $$;
"""


class Wrong(Exception):
    """The server has given an answer that it must not give."""


def said(error):
    """A server's error as it is compared: SQLSTATE and message."""
    if isinstance(error, psycopg2.Error):
        return f"{error.pgcode} {(error.diag.message_primary or str(error)).strip()}"
    return f"{type(error).__name__} {error}"


# What a session does again and again. prepare() is done once, step() in each round; low: where its own rows begin.


class Kind:
    pace = 0.01  # between two rounds

    def __init__(self, database, low):
        self.database = database
        self.low = low

    @classmethod
    def name(cls):
        return re.sub("(?<!^)([A-Z])", r" \1", cls.__name__).lower()

    def prepare(self, cursor):
        pass

    def key(self, number):
        return self.low + number % OWN

    @staticmethod
    def rows(cursor, sql, *parameters):
        cursor.execute(sql, parameters or None)
        return cursor.fetchall()

    def expect(self, found, expected, what):
        if found != expected:
            raise Wrong(f"{what}: {found!r}, not {expected!r}")


class Plain(Kind):
    """No prepared statement: the simple protocol, and a transaction with a savepoint."""

    def step(self, cursor, number):
        key = self.key(number)
        cursor.execute("BEGIN")
        (before,) = self.rows(cursor, "SELECT id, n FROM items WHERE id = %s FOR UPDATE", key)
        cursor.execute("SAVEPOINT s; DELETE FROM items WHERE id = %s; ROLLBACK TO s", (key,))
        cursor.execute("UPDATE items SET n = n + 1 WHERE id = %s", (key,))
        cursor.execute("UPDATE items_mirror SET n = n + 1 WHERE id = %s", (key,))
        self.expect(self.rows(cursor, "SELECT id, n FROM items WHERE id = %s", key), [(before[0], before[1] + 1)],
                    "its own row")
        cursor.execute("SELECT add_row(1)")
        cursor.execute("COMMIT")


class PreparedWrites(Kind):
    """Prepared statements that return nothing, or nothing whose type changes."""

    def prepare(self, cursor):
        cursor.execute("PREPARE here AS UPDATE items SET n = n + 1 WHERE id = $1 RETURNING note;"
                       "PREPARE there AS UPDATE items_mirror SET n = n + 1 WHERE id = $1")

    def step(self, cursor, number):
        cursor.execute("BEGIN")
        key = self.key(number)
        self.expect(self.rows(cursor, "EXECUTE here(%s)", key), [(f"note {key}",)], "the row")
        cursor.execute("EXECUTE there(%s)", (key,))
        cursor.execute("COMMIT")


class PreparedReads(Kind):
    def prepare(self, cursor):
        cursor.execute("PREPARE reads AS SELECT id, n FROM items WHERE id = $1")

    def step(self, cursor, number):
        key = self.key(number)
        self.expect(self.rows(cursor, "EXECUTE reads(%s)", key), [(key, key)], "the row")


class PreparedKeys(PreparedReads):
    def prepare(self, cursor):
        cursor.execute("PREPARE reads AS SELECT id FROM items WHERE id = $1 AND n = $1")

    def step(self, cursor, number):
        key = self.key(number)
        self.expect(self.rows(cursor, "EXECUTE reads(%s)", key), [(key,)], "the row")


class PreparedStar(Kind):
    """One plan for all values, made once."""

    def prepare(self, cursor):
        cursor.execute("SET plan_cache_mode = force_generic_plan; PREPARE reads AS SELECT * FROM items WHERE id = $1")

    def step(self, cursor, number):
        key = self.key(number)
        self.expect(self.rows(cursor, "EXECUTE reads(%s)", key)[0][:3], (key, key, f"note {key}"), "the row")


class Rowtype(Kind):
    def step(self, cursor, number):
        key = self.key(number)
        self.expect(self.rows(cursor, "SELECT bump_row(%s)", key), [(f"note {key}",)], "the note")


class Loop(Kind):
    def step(self, cursor, number):
        self.expect(self.rows(cursor, "SELECT bump_loop(%s)", self.low), [(5,)], "rows")


class ReturnsTable(Kind):
    def step(self, cursor, number):
        self.expect(self.rows(cursor, "SELECT a, b FROM rows_of(%s)", self.low),
                    [(self.low + i, self.low + i) for i in range(5)], "rows")


class SqlFunction(Kind):
    def step(self, cursor, number):
        cursor.execute("SELECT bump_sql(%s)", (self.key(number),))


class SqlFunctionValue(Kind):
    def step(self, cursor, number):
        self.expect(self.rows(cursor, "SELECT n_of(%s)", self.key(number)), [(self.key(number),)], "the value")


class Procedure(Kind):
    def step(self, cursor, number):
        cursor.execute("CALL walk(%s)", (self.low,))


class HeldCursor(Kind):
    """A cursor that outlives its transaction: its rows are kept by the server."""

    def prepare(self, cursor):
        self.left = 0

    def step(self, cursor, number):
        if self.left == 0:
            cursor.execute("CLOSE ALL; DECLARE held CURSOR WITH HOLD FOR SELECT id, n FROM items"
                           f" WHERE id BETWEEN {self.low} AND {self.low + OWN - 1} ORDER BY id")
            self.left = OWN
        key = self.low + OWN - self.left
        self.left -= 1
        self.expect(self.rows(cursor, "FETCH held"), [(key, key)], "the next row")


class Positioned(Kind):
    """A cursor inside of a transaction, and changes of its current row."""

    def step(self, cursor, number):
        cursor.execute("BEGIN; DECLARE at CURSOR FOR SELECT id FROM items WHERE id BETWEEN %s AND %s"
                       " ORDER BY id FOR UPDATE", (self.low, self.low + 3))
        for _ in range(4):
            ((key,),) = self.rows(cursor, "FETCH at")
            cursor.execute("UPDATE items SET n = n + 1 WHERE CURRENT OF at")
            cursor.execute("UPDATE items_mirror SET n = n + 1 WHERE id = %s", (key,))
        cursor.execute("COMMIT")


class Listener(Kind):
    def prepare(self, cursor):
        cursor.execute(f"LISTEN channel_{self.low}")
        self.heard = cursor.connection
        self.writer = self.database.connect()

    def step(self, cursor, number):
        with self.writer.cursor() as other:
            other.execute(f"BEGIN; SELECT bump_sql({self.key(number)}); NOTIFY channel_{self.low}, '{number}'; COMMIT")
        while not self.heard.notifies:
            if not select.select([self.heard], [], [], 30)[0]:
                raise Wrong("a notification was lost")
            self.heard.poll()
        self.expect([notify.payload for notify in self.heard.notifies], [str(number)], "notifications")
        self.heard.notifies.clear()


class TemporaryTable(Kind):
    """A temporary table, a prepared statement that joins it, and a temporary function."""

    def prepare(self, cursor):
        cursor.execute(f"CREATE TEMPORARY TABLE mine AS SELECT id FROM items WHERE id BETWEEN {self.low} AND {self.low + 4};"
                       "PREPARE here AS UPDATE items SET n = items.n + 1 FROM mine WHERE mine.id = items.id;"
                       "PREPARE there AS UPDATE items_mirror AS m SET n = m.n + 1 FROM mine WHERE mine.id = m.id")

    def step(self, cursor, number):
        cursor.execute("BEGIN; EXECUTE here")
        self.expect(cursor.rowcount, 5, "rows")
        cursor.execute("EXECUTE there; COMMIT")


class Copy(Kind):
    pace = 0.03

    def step(self, cursor, number):
        lines = "".join(f"{1000000 + self.low * 10000 + number * 3 + i}\t{i}\tcopied\n" for i in range(3))
        cursor.execute("BEGIN")
        for table in ("items", "items_mirror"):
            cursor.copy_expert(f"COPY {table} (id, n, note, ticket) FROM STDIN", io.StringIO(
                lines.replace("\n", f"\t{number}\n")))
        cursor.execute("COMMIT")
        found = io.StringIO()
        cursor.copy_expert(f"COPY (SELECT id, n FROM items WHERE id = {self.low}) TO STDOUT", found)
        self.expect(found.getvalue(), f"{self.low}\t{self.low}\n", "the row")


class Currval(Kind):
    """What a sequence has given in an earlier transaction of the session. Its values belong to a serial column."""

    sequence = "'items_id_seq'"
    column = "id"

    def prepare(self, cursor):
        self.made = None

    def step(self, cursor, number):
        if self.made is not None:
            self.expect(self.rows(cursor, f"SELECT currval({self.sequence})"), self.made, "its last value")
        self.made = None
        cursor.execute("BEGIN; SELECT add_row(1)")
        self.made = self.rows(cursor, f"SELECT {self.column} FROM items WHERE id = currval('items_id_seq')")
        cursor.execute("COMMIT")


class CurrvalIdentity(Currval):
    sequence = "pg_get_serial_sequence('items', 'ticket')"
    column = "ticket"


class RepeatableRead(Kind):
    """A snapshot that is older than its first look at the table."""

    def step(self, cursor, number):
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM beats")
        time.sleep(0.002)
        (found,) = self.rows(cursor, f"SELECT count(*) FROM items WHERE id BETWEEN {self.low} AND {self.low + OWN - 1}")
        self.expect(found, (OWN,), "rows in a snapshot")
        cursor.execute("COMMIT")


KINDS = (Plain, PreparedWrites, PreparedReads, PreparedKeys, PreparedStar, Rowtype, Loop, ReturnsTable, SqlFunction,
         SqlFunctionValue, Procedure, HeldCursor, Positioned, Listener, TemporaryTable, Copy, Currval, CurrvalIdentity,
         RepeatableRead)


class Client:
    """One of the clients. errors: by stage, those that it has met; a stage is what the table goes through."""

    def __init__(self, name):
        self.name = name
        self.stage = STAGES[0]
        self.errors = collections.defaultdict(collections.Counter)

    def failed(self, message):
        self.errors[self.stage][message] += 1

    def enter(self, stage):
        """The next stage: whatever happens from now on belongs to it."""
        self.stage = stage


class Session(Client):
    """A session of its own that makes a round after the other, or idles from stage to stage with what it holds."""

    def __init__(self, database, kind, low, idle=False):
        super().__init__(f"{'idle' if idle else 'busy'}: {kind.name()}")
        self.kind = kind(database, low)
        self.idle = idle
        self.rounds = 0
        self.answers = collections.defaultdict(list)  # by stage, of an idle one
        self._numbers = itertools.count()
        self._conn = database.connect()
        self._cursor = self._conn.cursor()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.kind.prepare(self._cursor)
        if self.idle:
            self.look()
        else:
            self._thread.start()
        return self

    def _round(self):
        """None, or what went wrong."""
        try:
            self.kind.step(self._cursor, next(self._numbers))
            return None
        except (psycopg2.Error, Wrong) as error:
            self._conn.cancel() if self._conn.closed else self._cursor.execute("ROLLBACK")
            return said(error)

    def _run(self):
        try:
            while not self._ending.is_set():
                error = self._round()
                if error:
                    self.failed(error)
                self.rounds += 1
                self._ending.wait(self.kind.pace)
        except Exception as error:  # it does not go on in this session: let the test see it
            self.failed(f"ended: {said(error)}")

    def look(self):
        """Two rounds of an idle session."""
        for _ in range(2):
            error = self._round()
            self.answers[self.stage].append(error)
            if error:
                self.failed(error)

    def beats(self):
        return self.rounds

    def ended(self):
        return self.idle or not self._thread.is_alive()

    def stop(self):
        self._ending.set()
        if not self.idle:
            self._thread.join(60)
        self._conn.close()


class Pgbench(Client):
    """
    Debian's pgbench with a script of its own. It tells how far it is in table beats, in each of its transactions;
    :low is where its rows begin, and the number of its line in beats.
    """

    CLIENTS = 2

    def __init__(self, database, name, mode, script, low, direct=None):
        """direct: the database without the pooler, where there is one."""
        super().__init__(f"pgbench -M {mode}: {name}")
        self.database = database
        self.direct = direct or database
        self.low = low
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pgbench-", dir="/tmp"))
        (self.folder / "script").write_text(script)
        self.command = [str(CLIENT_BIN / "pgbench"), "--no-vacuum", "-M", mode, "-c", str(self.CLIENTS), "-R", "60",
                        "-T", "900", "-D", f"low={low}", "-f", str(self.folder / "script")]
        self.process = None

    def start(self):
        self.direct.execute("INSERT INTO beats VALUES (%s, 0) ON CONFLICT DO NOTHING", self.low)
        self.output = open(self.folder / "output", "w+")
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **self.database.environment()}
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=self.output, env=environment, preexec_fn=die_with_parent(9))
        return self

    def beats(self):
        return self.direct.value("SELECT n FROM beats WHERE client = %s", self.low)

    def ended(self):
        return self.process.poll() is not None

    def _end(self):
        """Collect what it said; only its own complaints are expected there."""
        self.process.wait(30)
        self.output.seek(0)
        for line in self.output.read().splitlines():
            found = re.search(r"aborted in command.*?(?:ERROR|FATAL): +(.*)", line)
            if found:
                self.failed(found[1])
            elif not re.search("Run was aborted|^pgbench \\(", line):
                self.failed(line)
        self.output.close()

    def enter(self, stage):
        if self.ended():
            self._end()
            super().enter(stage)
            self.start()
        else:
            super().enter(stage)

    def stop(self):
        if not self.ended():
            self.process.terminate()
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)


BEAT = "UPDATE beats SET n = n + 1 WHERE client = :low;\n"

PGBENCH = {
    # Nothing that it selects changes its type. Every statement is a transaction.
    "single statements": r"""
\set key random(:low, :low + 99)
SELECT note FROM items WHERE id = :key;
WITH here AS (UPDATE items SET n = n + 1 WHERE id = :key RETURNING id)
UPDATE items_mirror SET n = n + 1 FROM here WHERE items_mirror.id = here.id;
WITH here AS (INSERT INTO items (n, note) VALUES (:key, 'pgbench') RETURNING id, n, note, ticket)
INSERT INTO items_mirror (id, n, note, ticket) SELECT id, n, note, ticket FROM here;
""" + BEAT,
    # The same in one transaction.
    "transactions": r"""
\set key random(:low, :low + 99)
BEGIN;
SELECT note FROM items WHERE id = :key FOR UPDATE;
UPDATE items SET n = n + 1 WHERE id = :key;
UPDATE items_mirror SET n = n + 1 WHERE id = :key;
SELECT add_row(:key);
""" + BEAT + "END;\n",
    # Columns whose type may change.
    "selected columns": r"""
\set key random(:low, :low + 99)
BEGIN;
SELECT id, n FROM items WHERE id = :key FOR UPDATE;
UPDATE items SET n = n + 1 WHERE id = :key;
UPDATE items_mirror SET n = n + 1 WHERE id = :key;
INSERT INTO items (n, note) VALUES (:key, 'pgbench') RETURNING id AS made, ticket AS ticket \gset
INSERT INTO items_mirror (id, n, note, ticket) VALUES (:made, :key, 'pgbench', :ticket);
""" + BEAT + "END;\n",
    # All columns.
    "all columns": r"""
\set key random(:low, :low + 99)
SELECT * FROM items WHERE id = :key;
""" + BEAT,
    "functions": r"""
\set key random(:low, :low + 99)
SELECT bump_row(:key);
SELECT bump_sql(:key);
SELECT bump_loop(:low);
BEGIN;
SELECT bump_row(:key);
SELECT add_row(:key);
""" + BEAT + "END;\n",
}


class Node(Client):
    """What one of the loops in client.js does; all of them run in one process."""

    def __init__(self, name):
        super().__init__(f"node-postgres: {name}")
        self.attempts = 0
        self.types = collections.defaultdict(list)  # by stage, those that its values had, one after another

    def start(self):
        return self

    def heard(self, report):
        if report.get("code"):
            self.failed(f"{report['code']} {report['message']}")
        elif report.get("types") and (self.types[self.stage] or [None])[-1] != report["types"]:
            self.types[self.stage].append(report["types"])
        self.attempts += 1

    def beats(self):
        return self.attempts

    def ended(self):
        return False

    def stop(self):
        pass


class NodeProcess(Client):
    """node with client.js; .loops are the clients in it."""

    DRIVER = "pg@8.13.1"  # as in dev
    LOOPS = ("named, pool.query", "named, client kept", "unnamed", "named writes", "large keys")

    def __init__(self, database, low):
        super().__init__("node")
        modules = cache_folder() / "node" / self.DRIVER / "node_modules"
        if not (modules / "pg").is_dir():
            raise RuntimeError(f"{modules} is not here: ./dev test installs it")
        self.loops = {name: Node(name) for name in self.LOOPS}
        self.modules = modules
        self.database = database
        self.low = low

    def start(self):
        environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(self.modules), **self.database.environment()}
        self.errors_file = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(["node", str(HERE / "client.js"), str(self.low)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors_file, text=True, env=environment,
                                        preexec_fn=die_with_parent(9))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            report = json.loads(line)
            self.loops[report["loop"]].heard(report)

    def beats(self):
        return min(loop.beats() for loop in self.loops.values())

    def ended(self):
        return self.process.poll() is not None

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        self.errors_file.seek(0)
        text = self.errors_file.read()
        if self.process.returncode != 0 or text:
            self.failed(f"ended with {self.process.returncode}: {text[-2000:]}")


class Traffic:
    """All clients of one database."""

    def __init__(self, clients):
        self.clients = clients

    def __enter__(self):
        for client in self.clients:
            client.start()
        self.beat()
        return self

    def __exit__(self, *exc_info):
        for client in self.clients:
            client.stop()

    def beat(self, count=5):
        """Until each of them has made so many more rounds, or has ended. Idle sessions look."""
        for client in self.clients:
            if isinstance(client, Session) and client.idle and client.stage != STAGES[0]:
                client.look()
        targets = [(client, client.beats() + count) for client in self.clients]
        wait_until(lambda: all(client.ended() or client.beats() >= target for client, target in targets),
                   "the clients to go on")

    def enter(self, stage):
        for client in self.clients:
            client.enter(stage)
            for loop in getattr(client, "loops", {}).values():
                loop.enter(stage)

    def all(self):
        for client in self.clients:
            yield client
            yield from getattr(client, "loops", {}).values()
