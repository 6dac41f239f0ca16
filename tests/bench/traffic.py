"""The load: pgbench, which reads and writes the table at a fixed rate and logs each transaction."""

import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from servers import CLIENT_BIN, die_with_parent, wait_until

RATE = 200
CLIENTS = 8

# Weight and text. A row that is deleted is one that was inserted a while ago.
SCRIPTS = {
    "read": (10, """\\set id random(1, :rows)
SELECT n, at, note FROM bench WHERE id = :id;
"""),
    "write": (8, """\\set id random(1, :rows)
\\set other random(1, :rows)
BEGIN;
UPDATE bench SET n = n + 1 WHERE id = :id;
UPDATE bench SET note = 'changed ' || clock_timestamp() WHERE id = :other;
COMMIT;
"""),
    "turnover": (2, """\\set n random(1, 1000000)
SELECT nextval('bench_ids') AS id \\gset
BEGIN;
INSERT INTO bench (id, n, at, note) VALUES (:id, :n, now(), 'new');
DELETE FROM bench WHERE id = :id - 100 AND id > :rows;
COMMIT;
"""),
}


class TrafficFailed(Exception):
    """pgbench ended by itself, or a transaction failed."""


class Traffic:
    """
    The load, from the begin of the block to its end.

        with Traffic(database, rows) as traffic:
            ...
        traffic.between(begun, ended)
    """

    def __init__(self, database, rows, rate=RATE, clients=CLIENTS):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="load-", dir=database.server.socket_folder))
        self.rate = rate
        files = []
        for name, (weight, text) in SCRIPTS.items():
            (self.folder / name).write_text(text)
            files += ["-f", f"{self.folder / name}@{weight}"]
        # -T is only an upper bound. One thread: one log.
        self.command = [str(CLIENT_BIN / "pgbench"), "-n", "-c", str(clients), "-j", "1", "-R", str(rate), "-T", "86400",
                        "-D", f"rows={rows}", "-l", f"--log-prefix={self.folder / 'log'}", *files]
        self.environment = environment(database)
        self.process = None
        self.transactions = []  # when due, seconds since the epoch; how long it took from then, ms

    def __enter__(self):
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=self.output, stderr=subprocess.STDOUT,
                                        stdin=subprocess.DEVNULL, start_new_session=True,
                                        preexec_fn=die_with_parent(signal.SIGKILL))
        return self

    def __exit__(self, kind, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGALRM)  # what its own timer sends itself at the end of -T
        try:
            self.process.wait(30)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.output.seek(0)
            said = self.output.read()
            self.output.close()
            if kind is None:
                check(self.process.returncode, said)
                self.transactions = sorted(parse(line) for path in self.folder.glob("log.*")
                                           for line in path.read_text().splitlines())
            shutil.rmtree(self.folder, ignore_errors=True)

    def settle(self, seconds):
        """Let it run for a while, so that the table's hot pages are in memory."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise TrafficFailed("pgbench has ended")
            time.sleep(0.05)

    def catch_up(self, timeout=300):
        """Wait until what was due while it was held up is done: what is not begun when it ends is not in its log."""
        since = time.time()

        def in_time():
            if self.process.poll() is not None:
                return True  # told of at the end
            last = self._last_lines()
            return last and all(due > since and ms < 1000 for due, ms in last)

        wait_until(in_time, "the load to catch up", timeout, interval=0.1)

    def _last_lines(self):
        """The newest whole lines; pgbench writes them in blocks of 4 kB."""
        lines = []
        for path in self.folder.glob("log.*"):
            with open(path, "rb") as log:
                log.seek(max(0, path.stat().st_size - 1000))
                lines += log.read().decode().split("\n")[1:-1][-8:]
        return [parse(line) for line in lines]

    def between(self, begun, ended):
        """The milliseconds of those that were due then (seconds since the epoch)."""
        return [ms for due, ms in self.transactions if begun <= due <= ended]

    def longest_around(self, begun, ended):
        """The longest of those that were due or under way at some moment of that time, ms."""
        return max((ms for due, ms in self.transactions if due <= ended and due + ms / 1000 >= begun), default=0.0)

    def worst_by_time(self, begun, ended, bucket=0.5):
        """The longest in each such part of the time: seconds since begun, ms."""
        worst = {}
        for due, ms in self.transactions:
            if begun <= due <= ended:
                at = int((due - begun) / bucket)
                worst[at] = max(worst.get(at, 0), ms)
        return [[round(at * bucket, 2), round(ms, 2)] for at, ms in sorted(worst.items())]


def parse(line):
    """
    client, transaction, time, script, seconds, microseconds, lag: with -R the time counts from when the transaction was
    due, so that the lag is part of it; the instant is that of its end (processXactStats and doLog in pgbench.c).
    """
    fields = line.split()
    if len(fields) < 7:
        raise TrafficFailed(f"not a line of pgbench's log: {line}")
    microseconds = int(fields[2])
    end = int(fields[4]) + int(fields[5]) / 1e6
    return end - microseconds / 1e6, microseconds / 1000


def write(database, rows, clients, seconds):
    """As many rows as pgbench can change, one a transaction; how many they were."""
    path = pathlib.Path(database.server.socket_folder) / "write.sql"
    path.write_text("\\set id random(1, :rows)\nUPDATE bench SET n = n + 1 WHERE id = :id;\n")
    command = [CLIENT_BIN / "pgbench", "-n", "-M", "prepared", "-c", clients, "-j", 2, "-T", seconds, "-D", f"rows={rows}",
               "-f", path]
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, env=environment(database), preexec_fn=die_with_parent(signal.SIGKILL))
    check(done.returncode, done.stdout)
    return int(re.search(r"transactions actually processed: (\d+)", done.stdout)[1])


def environment(database):
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **database.environment()}


def check(status, said):
    failed = re.search(r"number of failed transactions: (\d+)", said)
    if status != 0 or "aborted" in said or not failed or failed[1] != "0":
        raise TrafficFailed(f"pgbench ended with {status}:\n{said}")


def percentile(values, share):
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]
