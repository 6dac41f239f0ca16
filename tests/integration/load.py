"""Live traffic with an oracle: writers whose every transaction changes the table under test and, in the same
transaction, a mirror table of the old schema.

Whatever is committed is in both or in neither, so that after the run the table must equal the mirror, transformed.
Writers are processes of their own (this file run as a program) that end when their standard input closes, that is
with their parent. They wait for each other on row locks only, and never while they hold one they could be waited
for: the first row of a transaction is locked with patience, the others with SKIP LOCKED. So a deadlock or a failed
transaction in a result is not the load's own doing.
"""

import dataclasses
import json
import os
import pathlib
import random
import select
import subprocess
import sys
import threading
import time

import psycopg2

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import workloads  # noqa: E402 (needs the path when run as a program)

HOT_ROWS = 20  # rows that all writers fight for

# How often each kind of transaction is made.
WEIGHTS = {
    "insert": 10,
    "update": 25,
    "update_large": 6,
    "delete": 5,
    "reinsert": 4,
    "delete_and_reinsert": 5,
    "change_key": 6,
    "respell_key": 2,
    "swap_unique": 5,
    "move_unique": 3,
    "replace": 3,
    "several": 8,
    "insert_and_delete": 2,
    "insert_many": 2,
    "delete_many": 2,
    "savepoints": 6,
    "roll_back": 3,
    "prepare": 4,
}


class MirrorError(Exception):
    """Table and mirror took the same statement differently: the oracle, or the table, is broken."""


class Writer:
    """One session that makes random transactions. What it knows of its rows changes only when it has committed."""

    def __init__(self, dsn, workload, number, writers, rows, seed, weights, generation=0):
        self.dsn = dsn
        self.workload = workload
        self.number = number
        self.rng = random.Random(f"{seed}/{number}/{generation}")
        self.rows = rows
        self.step = writers
        self.generation = generation
        self.next_number = rows + number + generation * 10_000_000
        self.next_label = 0
        self.next_gid = 0
        self.own = []  # numbers of rows that only this writer changes
        self.free = []  # numbers of rows that this writer deleted
        self.effects = []  # (list, number, present): what the transaction will change in the two
        self.kinds = [kind for kind in WEIGHTS if weights.get(kind, WEIGHTS[kind]) > 0]
        self.weights = [weights.get(kind, WEIGHTS[kind]) for kind in self.kinds]
        self.unresolved = None  # gid of a prepared transaction
        self.conn = None
        self.connect()

    # Sessions and statements

    def connect(self):
        self.conn = psycopg2.connect(self.dsn, application_name=f"load {self.number}")
        self.conn.autocommit = True
        self.cursor = self.conn.cursor()

    def run(self, sql, parameters=None):
        self.cursor.execute(sql, parameters)
        return self.cursor.rowcount

    def both(self, sql, parameters, tables=None):
        """The statement on the table, then on its mirror; where there are several tables on each of them."""
        done = None
        for table in tables or self.workload.tables:
            here = self.run(sql.format(t=table), parameters)
            there = self.run(sql.format(t=self.workload.mirror_of(table)), parameters)
            if here != there or done not in (None, here):
                raise MirrorError(f"{here} rows in {table}, {there} in the mirror, {done} in the others: {sql}")
            done = here
        return done

    def where(self):
        return " AND ".join(f"{column} = %s" for column in self.workload.key)

    # What a transaction is made of

    def lock(self, number, patient):
        """Lock a row. False where there is none, or it is locked and we are not patient."""
        self.run(f"SELECT label FROM {self.workload.table} WHERE {self.where()} FOR UPDATE"
                 + ("" if patient else " SKIP LOCKED"), self.workload.key_for(number))
        found = self.cursor.fetchone()
        if found is None:
            return False
        self.labels[number] = found[0]
        return True

    def lock_rows(self, count):
        """Up to so many locked rows, by number: any row of the start, or one of our own."""
        self.labels = {}
        for _ in range(count * 2):
            kind = self.rng.random()
            if kind < 0.3 and self.own:
                number = self.rng.choice(self.own)
            elif kind < 0.5:
                number = self.rng.randrange(min(HOT_ROWS, self.rows) or 1)
            else:
                number = self.rng.randrange(self.rows or 1)
            if number not in self.labels:
                self.lock(number, patient=not self.labels)
            if len(self.labels) == count:
                break
        return list(self.labels)

    def will(self, numbers, number, present):
        self.effects.append((numbers, number, present))

    def settle(self):
        """The transaction is committed: now its rows are known to be there or gone."""
        for numbers, number, present in self.effects:
            if present:
                numbers.append(number)
            elif number in numbers:
                numbers.remove(number)
        self.effects = []

    def new_number(self):
        """The number of a row that is not there: a new one, or one that this writer deleted."""
        taken = {number for _, number, _ in self.effects}
        usable = [number for number in self.free[-20:] if number not in taken]
        if usable and self.rng.random() < 0.4:
            number = self.rng.choice(usable)
            self.will(self.free, number, False)
            return number
        self.next_number += self.step
        return self.next_number - self.step

    def new_label(self):
        if self.rng.random() < 0.1:
            return None
        self.next_label += 1
        return f"label {self.generation}/{self.number}/{self.next_label}"

    # Changes of one row

    def insert_row(self, number=None, label=None):
        if number is None:
            number = self.new_number()
        values = self.row_values(number, label)
        self.both(f"INSERT INTO {{t}} ({', '.join(self.workload.columns)})"
                  f" VALUES ({', '.join(['%s'] * len(values))})", values)
        if number >= self.rows:
            self.will(self.own, number, True)
        return number

    def row_values(self, number, label=None):
        values = dict(zip(self.workload.key, self.workload.key_for(number)))
        values.update(n=None, note=None, label=label or self.new_label(), document=None)
        values.update(self.workload.small_values(self.rng))
        if self.rng.random() < 0.3:
            values["document"] = self.workload.large_value(self.rng)
        return [values[column] for column in self.workload.columns]

    def update_row(self, number, values):
        assignments = ", ".join(f"{column} = %s" for column in values)
        done = self.both(f"UPDATE {{t}} SET {assignments} WHERE {self.where()}",
                         [*values.values(), *self.workload.key_for(number)],
                         self.workload.tables_for(values, self.rng))
        if done != 1:
            raise MirrorError(f"a locked row is gone: {self.workload.key_for(number)}")

    def delete_row(self, number):
        done = self.both(f"DELETE FROM {{t}} WHERE {self.where()}", self.workload.key_for(number))
        if done != 1:
            raise MirrorError(f"a locked row is gone: {self.workload.key_for(number)}")
        if number >= self.rows:
            self.will(self.own, number, False)

    def change_any(self, numbers):
        """One small change of any of the locked rows."""
        self.update_row(self.rng.choice(numbers), self.workload.small_values(self.rng))

    # Kinds of transactions. Each runs between BEGIN and COMMIT.

    def insert(self):
        self.insert_row()

    def update(self):
        for number in self.lock_rows(1):
            self.update_row(number, self.workload.small_values(self.rng))

    def update_large(self):
        for number in self.lock_rows(1):
            self.update_row(number, {"document": self.workload.large_value(self.rng)})

    def delete(self):
        for number in self.lock_rows(1):
            self.delete_row(number)
            self.will(self.free, number, True)

    def reinsert(self):
        """A row deleted in an earlier transaction comes back."""
        if not self.free:
            return self.delete()
        number = self.rng.choice(self.free[-20:])
        self.will(self.free, number, False)
        return self.insert_row(number)

    def delete_and_reinsert(self):
        for number in self.lock_rows(1):
            self.delete_row(number)
            self.insert_row(number, label=self.labels[number])

    def change_key(self):
        for number in self.lock_rows(1):
            target = self.new_number()
            values = dict(zip(self.workload.key, self.workload.key_for(target)))
            if self.rng.random() < 0.3:
                values.update(self.workload.small_values(self.rng))
            self.update_row(number, values)
            if number >= self.rows:
                self.will(self.own, number, False)
            self.will(self.free, number, True)
            if target >= self.rows:
                self.will(self.own, target, True)

    def respell_key(self):
        for number in self.lock_rows(1):
            spelling = self.workload.respelled(number, self.rng)
            if spelling is None:
                return self.update_row(number, self.workload.small_values(self.rng))
            self.update_row(number, dict(zip(self.workload.key, spelling)))

    def swap_unique(self):
        numbers = self.lock_rows(2)
        if len(numbers) == 2:
            first, second = numbers
            self.update_row(first, {"label": None})
            self.update_row(second, {"label": self.labels[first]})
            self.update_row(first, {"label": self.labels[second]})

    def move_unique(self):
        numbers = self.lock_rows(2)
        if len(numbers) == 2:
            first, second = numbers
            self.update_row(first, {"label": self.new_label()})
            self.update_row(second, {"label": self.labels[first]})

    def replace(self):
        """Another row takes over the unique value of a deleted one."""
        for number in self.lock_rows(1):
            self.delete_row(number)
            self.will(self.free, number, True)
            self.insert_row(label=self.labels[number])

    def several(self):
        numbers = self.lock_rows(self.rng.randrange(2, 5))
        for _ in range(self.rng.randrange(2, 6)):
            if numbers:
                self.change_any(numbers)
        self.insert_row()

    def insert_and_delete(self):
        number = self.insert_row()
        self.update_row(number, self.workload.small_values(self.rng))
        self.delete_row(number)

    def insert_many(self):
        for _ in range(30):
            self.insert_row()

    def delete_many(self):
        for number in self.rng.sample(self.own, min(15, len(self.own))):
            self.delete_row(number)
            self.will(self.free, number, True)

    def savepoints(self):
        """Changes of a savepoint rolled back, of one released, and of one inside the other."""
        numbers = self.lock_rows(2)
        if not numbers:
            return
        self.run("SAVEPOINT outer_one")
        self.change_any(numbers)
        self.run("SAVEPOINT inner_one")
        kept = len(self.effects)
        self.insert_row()
        self.delete_row(numbers[0])
        self.run("ROLLBACK TO SAVEPOINT inner_one")
        del self.effects[kept:]
        self.change_any(numbers)
        self.insert_row()
        self.run("RELEASE SAVEPOINT outer_one")
        if self.rng.random() < 0.5:
            self.change_any(numbers)

    def roll_back(self):
        numbers = self.lock_rows(2)
        if numbers:
            self.change_any(numbers)
            self.delete_row(numbers[-1])
        self.insert_row()

    def prepare(self):
        numbers = self.lock_rows(1)
        if numbers:
            self.change_any(numbers)
        self.insert_row()

    # One transaction, from its begin to its end

    def transaction(self):
        """Make one, and return its kind."""
        kind = self.rng.choices(self.kinds, self.weights)[0]
        self.labels = {}
        self.effects = []
        self.run("BEGIN")
        getattr(self, kind)()
        if kind == "roll_back":
            self.run("ROLLBACK")
            self.effects = []
        elif kind == "prepare":
            self.finish_prepared()
        else:
            self.run("COMMIT")
        self.settle()
        return kind

    def finish_prepared(self):
        self.next_gid += 1
        gid = f"{self.conn.info.dbname}/load/{self.generation}/{self.number}/{self.next_gid}"
        commit = self.rng.random() < 0.7
        self.unresolved = gid
        self.run("PREPARE TRANSACTION %s", (gid,))
        self.run(f"{'COMMIT' if commit else 'ROLLBACK'} PREPARED %s", (gid,))
        self.unresolved = None
        if not commit:
            self.effects = []

    def obey(self, command):
        """What a load of another kind may be told while it runs."""
        raise ValueError(command)

    @staticmethod
    def kind_of_failure(error):
        return error.pgcode

    def recover(self):
        """After an error: be outside any transaction, with a session that works, knowing what is there."""
        doubtful = {number for _, number, _ in self.effects}
        self.effects = []
        deadline = time.monotonic() + 120
        while True:
            try:
                return self.make_sure(doubtful)
            except psycopg2.Error:
                self.conn.close()
                if time.monotonic() > deadline:
                    raise

    def make_sure(self, doubtful):
        if self.conn.closed:
            self.reconnect()
        else:
            self.run("ROLLBACK")
        if self.unresolved is not None:
            self.run("SELECT FROM pg_prepared_xacts WHERE gid = %s", (self.unresolved,))
            if self.cursor.rowcount:
                self.run("ROLLBACK PREPARED %s", (self.unresolved,))
            self.unresolved = None
        for number in doubtful:
            self.look_up(number)

    def reconnect(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.connect()
            except psycopg2.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def look_up(self, number):
        """Whether a commit whose answer was lost has happened."""
        self.run(f"SELECT FROM {self.workload.mirror} WHERE {self.where()}", self.workload.key_for(number))
        present = self.cursor.rowcount > 0
        for numbers, wanted in ((self.own, present and number >= self.rows), (self.free, not present)):
            if wanted and number not in numbers:
                numbers.append(number)
            elif not wanted and number in numbers:
                numbers.remove(number)


@dataclasses.dataclass
class Result:
    """What the load did. Times are in milliseconds, of whole transactions as their client saw them."""

    transactions: int = 0
    seconds: float = 0.0
    kinds: dict = dataclasses.field(default_factory=dict)
    failed: dict = dataclasses.field(default_factory=dict)  # by kind_of_failure: [count, the first message]
    disconnected: int = 0
    longest_ms: float = 0.0
    longest_kind: str = ""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    broken: str = ""  # a MirrorError, or how a writer died

    @property
    def failures(self):
        return sum(count for count, _ in self.failed.values())

    @property
    def per_second(self):
        return self.transactions / self.seconds if self.seconds else 0.0


def write(writer, rate, commands, report):
    """Be a writer until told to stop or left alone; return what was done. rate: transactions a second, 0: all that go."""
    result = Result()
    durations = []
    started = reported = time.monotonic()
    due = started
    paused = False
    while True:
        due += writer.rng.expovariate(rate) if rate else 0
        due = max(due, time.monotonic() - 1)  # what was missed by a long wait is not all made up for
        wait = 3600 if paused else max(0, due - time.monotonic())
        if select.select([commands], [], [], wait)[0]:
            command = commands.readline().decode().strip()
            if command in ("", "stop"):
                break
            if command in ("pause", "continue"):
                paused = command == "pause"
                report({"paused": paused})
            else:
                writer.obey(command)
            continue
        begun = time.monotonic()
        try:
            kind = writer.transaction()
        except MirrorError as error:
            result.broken = str(error)
            break
        except psycopg2.Error as error:
            count_failure(result, error, writer.kind_of_failure(error))
            writer.recover()
            continue
        took = (time.monotonic() - begun) * 1000
        durations.append(took)
        result.transactions += 1
        result.kinds[kind] = result.kinds.get(kind, 0) + 1
        if took > result.longest_ms:
            result.longest_ms, result.longest_kind = took, kind
        if time.monotonic() - reported > 0.1:
            reported = time.monotonic()
            report({"transactions": result.transactions, "failures": result.failures})
    result.seconds = time.monotonic() - started
    durations.sort()
    if durations:
        result.p50_ms = durations[len(durations) // 2]
        result.p99_ms = durations[len(durations) * 99 // 100]
    return result


def count_failure(result, error, kind):
    if error.pgcode is None or error.pgcode.startswith(("57P", "08")):
        result.disconnected += 1
        return
    entry = result.failed.setdefault(kind, [0, str(error).strip()])
    entry[0] += 1


class Load:
    """Writers on one database. Use as a context manager around what should happen under load:

        load = Load(database, "int_key", rows=20000)
        load.prepare()
        with load:
            ...
        assert load.result.failures == 0
    """

    program = pathlib.Path(__file__).resolve()

    def __init__(self, database, workload="int_key", writers=3, rows=20000, seed=1, rate=60, weights=None,
                 generation=0):
        """
        rate: transactions a second of each writer, 0 for as many as go. weights: to change WEIGHTS. generation: counts
        the loads that a table has seen, where one goes on with the table of another.
        """
        self.database = database
        self.workload_name = workload if isinstance(workload, str) else workload.name
        self.workload = workloads.workload(self.workload_name)
        self.writers = writers
        self.rows = rows
        self.seed = seed
        self.rate = rate
        self.weights = weights or {}
        self.generation = generation
        self.result = None
        self._processes = []
        self._readers = []
        self._reports = {}
        self._changed = threading.Condition()

    def prepare(self):
        """Make and fill table and mirror, as the application's role."""
        conn = self.database.connect()
        with conn.cursor() as cursor:
            self.workload.create(cursor)
            self.workload.fill(cursor, self.rows)
            cursor.execute(f"ANALYZE {', '.join(self.workload.tables)}")
        conn.close()
        return self

    def options(self, number):
        """What one writer is told."""
        return {"dsn": self.database.dsn(), "workload": self.workload_name, "number": number, "writers": self.writers,
                "rows": self.rows, "seed": self.seed, "rate": self.rate, "weights": self.weights,
                "generation": self.generation}

    def start(self):
        for number in range(self.writers):
            process = subprocess.Popen([sys.executable, str(self.program), json.dumps(self.options(number))],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True, bufsize=1, start_new_session=True)
            self._processes.append(process)
            reader = threading.Thread(target=self._read, args=(number, process), daemon=True)
            reader.start()
            self._readers.append(reader)
        self.wait_for(1)
        return self

    def _read(self, number, process):
        for line in process.stdout:
            with self._changed:
                self._reports.setdefault(number, {}).update(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._reports.setdefault(number, {})["ended"] = True
            self._changed.notify_all()

    def _wait(self, condition, what, timeout):
        with self._changed:
            if not self._changed.wait_for(lambda: condition() or self._ended(), timeout):
                raise TimeoutError(f"waited {timeout} s for {what}")
        if not condition():
            raise RuntimeError(f"a writer ended early: {self.stop().broken or self.result.failed}")

    def _ended(self):
        return any(report.get("ended") for report in self._reports.values())

    @property
    def running(self):
        return bool(self._processes) and self.result is None

    @property
    def transactions(self):
        return sum(report.get("transactions", 0) for report in self._reports.values())

    def wait_for(self, transactions, timeout=60):
        """Wait until so many more transactions were made."""
        target = self.transactions + transactions
        self._wait(lambda: self.transactions >= target, f"{transactions} transactions", timeout)

    def _command(self, command):
        for process in self._processes:
            try:
                process.stdin.write(command + "\n")
                process.stdin.flush()
            except (BrokenPipeError, ValueError):
                pass  # it ended; stop() says why

    def pause(self):
        """No writer is in a transaction when this returns."""
        self._command("pause")
        self._wait(lambda: all(self._reports.get(n, {}).get("paused") for n in range(self.writers)),
                   "the writers to pause", 120)

    def go_on(self):
        self._command("continue")

    def stop(self):
        """End the writers, and return the sum of what they did."""
        if self.result is not None:
            return self.result
        self._command("stop")
        results = []
        for process, reader in zip(self._processes, self._readers):
            results.append(self._finish(process, reader, len(results)))
        self.result = combine(results)
        return self.result

    def kill(self):
        """End the writers at once, whatever they are at: the server they know is gone for good."""
        for process in self._processes:
            process.kill()
        for process, reader in zip(self._processes, self._readers):
            self._finish(process, reader, None)
        self.result = Result()

    def _finish(self, process, reader, number):
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join()
        errors = process.stderr.read()
        for pipe in (process.stdin, process.stdout, process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass  # a command that it did not live to read
        last = self._reports.get(number, {}).get("result")
        if last is None:
            return Result(broken=f"writer {number} died with status {process.returncode}: {errors[-2000:]}")
        return Result(**last)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.stop()


def combine(results):
    total = Result()
    for result in results:
        total.transactions += result.transactions
        total.seconds = max(total.seconds, result.seconds)
        total.disconnected += result.disconnected
        total.broken = total.broken or result.broken
        total.p50_ms = max(total.p50_ms, result.p50_ms)
        total.p99_ms = max(total.p99_ms, result.p99_ms)
        if result.longest_ms > total.longest_ms:
            total.longest_ms, total.longest_kind = result.longest_ms, result.longest_kind
        for kind, count in result.kinds.items():
            total.kinds[kind] = total.kinds.get(kind, 0) + count
        for code, (count, message) in result.failed.items():
            total.failed.setdefault(code, [0, message])[0] += count
    return total


def main(make_writer):
    """Be a writer, made from the options that this program was given."""
    def report(message):
        print(json.dumps(message), flush=True)

    options = json.loads(sys.argv[1])
    # Without a buffer, in which a command could wait unseen by select().
    result = write(make_writer(options), options["rate"], open(0, "rb", buffering=0), report)
    report({"transactions": result.transactions, "result": dataclasses.asdict(result)})


def writer_of(options):
    return Writer(options["dsn"], workloads.workload(options["workload"]), options["number"], options["writers"],
                  options["rows"], options["seed"], options["weights"], options["generation"])


if __name__ == "__main__":
    main(writer_of)
