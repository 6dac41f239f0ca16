"""Clients that work on the table while it is swapped: sessions with all kinds of state, pgbench, node-postgres.

Every transaction that changes items changes items_mirror alike. A client that gets an error notes it, and connects anew:
what applications do at the latest. (Where the error comes again all the same, the client says so.)
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
ROWS = 5000  # each client has a range of its own among them
OWN = 100
STAGES = ("before", "swap", "back", "end")  # what the table goes through

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
        return plain(f"{error.pgcode} {(error.diag.message_primary or str(error)).strip()}")
    return f"{type(error).__name__} {error}"


def plain(message):
    """Without what differs from one function to the next, of which one fails first."""
    return re.sub(r"type of parameter \d+ \(\w+\)(.*) \(\w+\)$", r"type of parameter\1", message)


# What a session does again and again. prepare() is done once, step() in each round; low: where its own rows begin.


class Kind:
    pace = 0.01  # seconds between two rounds
    recovers = True  # by another session

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
        found = [row[:3] for row in self.rows(cursor, "EXECUTE reads(%s)", key)]
        self.expect(found, [(key, key, f"note {key}")], "the row")


class Rowtype(Kind):
    def step(self, cursor, number):
        key = self.key(number)
        self.expect(self.rows(cursor, "SELECT bump_row(%s)", key), [(f"note {key}",)], "the note")


class Loop(Kind):
    def step(self, cursor, number):
        self.expect(self.rows(cursor, "SELECT bump_loop(%s)", self.low), [(5,)], "rows")


class ReturnsTable(Kind):
    """A function whose result is declared with the old types: it has to be declared anew."""

    recovers = False

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
    """
    What a sequence has given in an earlier transaction of the session: that sequence which the column has by now. The
    table that goes and the one that comes may have sequences of their own; each answers with its own last value.
    """

    column, named = "id", "'items_id_seq'"  # of a serial column

    def prepare(self, cursor):
        self.last = {}  # by sequence

    def step(self, cursor, number):
        if self.last:
            ((sequence, value),) = self.rows(
                cursor, f"SELECT oid, currval(oid) FROM (SELECT {self.named}::regclass::oid AS oid OFFSET 0) AS named")
            self.expect(value, self.last.get(sequence), "its last value")
        cursor.execute("BEGIN; SELECT add_row(1)")
        ((sequence, value),) = self.rows(
            cursor, f"SELECT {self.named}::regclass::oid, {self.column} FROM items WHERE id = currval('items_id_seq')")
        self.last[sequence] = value
        cursor.execute("COMMIT")


class CurrvalIdentity(Currval):
    column, named = "ticket", "pg_get_serial_sequence('items', 'ticket')"


class RepeatableRead(Kind):
    """A snapshot that is older than its first look at the table."""

    def step(self, cursor, number):
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM beats")
        time.sleep(0.002)
        found = self.rows(cursor, f"SELECT count(*) FROM items WHERE id BETWEEN {self.low} AND {self.low + OWN - 1}")
        self.expect(found, [(OWN,)], "rows in a snapshot")
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

    def cure(self):
        """Get rid of what fails again and again."""

    def failed(self, message):
        self.errors[self.stage][message] += 1

    def enter(self, stage):
        """The next stage: whatever happens from now on belongs to it."""
        self.stage = stage


class Session(Client):
    """A session that makes a round after the other."""

    def __init__(self, database, kind, low):
        super().__init__(f"{type(self).__name__.lower()}: {kind.name()}")
        self.kind = kind(database, low)
        self.rounds = self.good = 0
        self._database = database
        self._numbers = itertools.count()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def connect(self):
        self._conn = self._database.connect()
        self._cursor = self._conn.cursor()
        self.kind.prepare(self._cursor)

    def start(self):
        self.connect()
        self._thread.start()
        return self

    def round(self):
        """Whether it went well."""
        self.rounds += 1
        try:
            self.kind.step(self._cursor, next(self._numbers))
            self.good += 1
            return True
        except (psycopg2.Error, Wrong) as error:
            self.failed(said(error))
            if not self._conn.closed:
                self._cursor.execute("ROLLBACK")
            return False

    def _run(self):
        try:
            while not self._ending.is_set():
                if not self.round():
                    self.cure()
                self._ending.wait(self.kind.pace)
        except Exception as error:  # in its own thread nobody else would see it
            self.failed(f"ended: {said(error)}")

    def cure(self):
        self._conn.close()
        self.connect()

    def beats(self, good):
        return self.good if good and self.kind.recovers else self.rounds

    def go_on(self):
        pass

    def stop(self):
        self._ending.set()
        self._thread.join(60)
        self._conn.close()


class Idle(Session):
    """A session that makes no round while the tables are swapped, but two after it, and two when it has connected anew."""

    def start(self):
        self.connect()
        for _ in range(7):  # from the sixth on, a prepared statement may have one plan for all values
            self.round()
        return self

    def go_on(self):
        self.round()

    def stop(self):
        self._conn.close()


class Pgbench(Client):
    """
    Debian's pgbench with a script of its own. It tells how far it is in table beats, in each of its transactions;
    :low is where its rows begin, and the number of its line in beats.
    """

    CLIENTS = 2
    RATE = 40  # transactions in a second, by all of them

    def __init__(self, database, name, mode, script, low, direct=None):
        """direct: the database without the pooler, where there is one."""
        super().__init__(f"pgbench -M {mode}: {name}")
        self.database = database
        self.watch = (direct or database).connect()
        self.low = low
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pgbench-", dir="/tmp"))
        (self.folder / "script").write_text(script)
        self.command = [str(CLIENT_BIN / "pgbench"), "--no-vacuum", "-M", mode, "-c", str(self.CLIENTS), "-R", str(self.RATE),
                        "-T", "900", "-D", f"low={low}", "-f", str(self.folder / "script")]
        self.process = None

    def start(self):
        with self.watch.cursor() as cursor:
            cursor.execute("INSERT INTO beats VALUES (%s, 0) ON CONFLICT DO NOTHING", (self.low,))
        self.output = open(self.folder / "output", "w+")
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **self.database.environment()}
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=self.output, env=environment, preexec_fn=die_with_parent(9))
        return self

    def beats(self, good):
        with self.watch.cursor() as cursor:
            cursor.execute("SELECT n FROM beats WHERE client = %s", (self.low,))
            ((beats,),) = cursor.fetchall()
        return beats if good else beats + sum(self.errors.get(self.stage, {}).values())

    def go_on(self):
        """It ends when all of its sessions have failed."""
        if self.process.poll() is not None:
            self._end()
            self.start()

    def _end(self):
        """Collect what it said: complaints only."""
        self.process.wait(30)
        self.output.seek(0)
        for line in self.output.read().splitlines():
            found = re.search(r"aborted in command.*?(?:ERROR|FATAL): +(.*)", line)
            if found:
                self.failed(plain(found[1]))
            elif line.startswith("pgbench: ") and "Run was aborted" not in line:
                self.failed(line)
        self.output.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self._end()
        self.watch.close()
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


class NodeLoop(Client):
    """What one of the loops in client.js does; all of them run in one process."""

    def __init__(self, name, recovers=True):
        super().__init__(f"node-postgres: {name}")
        self.recovers = recovers
        self.attempts = self.good = 0
        self.types = collections.defaultdict(set)  # by stage, those of the values that it got

    def heard(self, report):
        self.attempts += 1
        if "types" in report:
            self.good += 1
            self.types[self.stage].add(report["types"])
        else:
            self.failed(f"{report['code']} {report['message']}")

    def beats(self, good):
        return self.good if good and self.recovers else self.attempts


class Node(Client):
    """node with client.js; .loops are the clients in it."""

    DRIVER = "pg@8.13.1"  # as in dev

    def __init__(self, database, low):
        super().__init__("node")
        self.modules = cache_folder() / "node" / self.DRIVER / "node_modules"
        if not (self.modules / "pg").is_dir():
            raise RuntimeError(f"{self.modules} is not here: ./dev test installs it")
        self.loops = {name: NodeLoop(name, recovers) for name, recovers in (
            ("named, pool.query", True), ("named, client kept", False), ("unnamed", True), ("named writes", True))}
        self.database = database
        self.low = low

    def start(self):
        environment = {"PATH": os.environ["PATH"], "NODE_PATH": str(self.modules), **self.database.environment()}
        self.complaints = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(["node", str(HERE / "client.js"), str(self.low)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.complaints, text=True, env=environment,
                                        preexec_fn=die_with_parent(9))
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.process.stdout:
            report = json.loads(line)
            self.loops[report["loop"]].heard(report)

    def enter(self, stage):
        super().enter(stage)
        for loop in self.loops.values():
            loop.enter(stage)

    def beats(self, good):
        return min(loop.beats(good) for loop in self.loops.values())

    def go_on(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"node has ended: {self._complaints()}")

    def _complaints(self):
        self.complaints.seek(0)
        return self.complaints.read()[-2000:]

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join()
        self.process.stdout.close()
        if self.process.returncode != 0 or self._complaints():
            self.failed(f"ended with {self.process.returncode}: {self._complaints()}")


class Traffic:
    """All clients of one database."""

    def __init__(self, clients, pooler=None):
        self._clients = clients
        self._pooler = pooler

    def __enter__(self):
        self._started = []
        try:
            for client in self._clients:
                client.start()
                self._started.append(client)
            self._beat(good=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info):
        for client in self._started:
            client.stop()

    def enter(self, stage):
        """What the clients meet from now on belongs to that stage."""
        for client in self._clients:
            client.enter(stage)

    def go_on(self):
        """Until each has gone on, well or not; then until each of them that failed has got rid of it, and goes on well."""
        self._beat(good=False)
        for client in self._clients:
            if isinstance(client, Idle):
                client.cure()
        if self._pooler:
            self._pooler.reconnect()
        self._beat(good=True)

    def _beat(self, good):
        targets = {client: client.beats(good) + (2 if isinstance(client, Idle) else 4) for client in self._clients}

        def reached():
            for client in [client for client, target in targets.items() if client.beats(good) < target]:
                client.go_on()
            return all(client.beats(good) >= target for client, target in targets.items())

        try:
            wait_until(reached, "the clients to go on", interval=0.03)
        except TimeoutError:
            stuck = {client.name: dict(client.errors) for client, target in targets.items()
                     if client.beats(good) < target}
            raise AssertionError(f"these do not go on: {stuck}") from None

    def clients(self):
        for client in self._clients:
            yield from client.loops.values() if isinstance(client, Node) else [client]
        yield from (client for client in self._clients if isinstance(client, Node))

    def errors(self):
        """By client, by stage, how often."""
        return {client.name: {stage: dict(counter) for stage, counter in client.errors.items()}
                for client in self.clients() if client.errors}
