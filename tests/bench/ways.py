"""The ways to rewrite the table, each timed from its first to its last moment."""

import re
import subprocess
import tempfile
import time

import pgrecast
from samplers import Sampler
from servers import CLIENT_BIN, die_with_parent

ALTER = "ALTER TABLE bench ALTER COLUMN id TYPE bigint"
ALTER_OTHER = "ALTER TABLE bench ALTER COLUMN n TYPE bigint"  # where the key is no integer

PHASES = {
    "copy": r"copied \d+ rows in (.+?), [\d.]+ rows/s",
    "index": r"built \d+ index(?:es)? in (.+)",
    "catchup": r"caught up in (.+?), vacuum",
    "verify": r"verified in (.+?): ",
}


class Failed(Exception):
    """A way did not do what it was to do: there is no figure then."""


def seconds_of(text):
    """Of a duration as the program prints it: 929 ms, 17.4 s, 1 min 40 s, 2 h 3 min."""
    units = {"ms": 0.001, "s": 1, "min": 60, "h": 3600}
    parts = re.findall(r"([\d.]+) (ms|s|min|h)\b", text)
    if not parts:
        raise Failed(f"no duration: {text!r}")
    return sum(float(number) * units[unit] for number, unit in parts)


def phases_of(text):
    """Seconds by phase, of what the program logs."""
    found = {name: re.search(pattern, text) for name, pattern in PHASES.items()}
    return {name: seconds_of(match[1]) for name, match in found.items() if match}


def swap_of(text):
    """Milliseconds that the lock was held, and attempts."""
    match = re.search(r"lock held ([\d.]+) ms.*?attempts (\d+)", text)
    if not match:
        raise Failed(f"no lock time:\n{text}")
    return float(match[1]), int(match[2])


def lock_parts_of(text):
    """Milliseconds under the lock by part, of what the program logs with --verbose; that of the attempt that did it."""
    lines = re.findall(r"under the lock: (.*)", text)
    return {name: float(ms) for name, ms in re.findall(r"(\w+) ([\d.]+) ms", lines[-1])} if lines else {}


def alter(database, sql=ALTER):
    begun = time.monotonic()
    database.execute(sql)
    return {"seconds": time.monotonic() - begun}


def run(database, *arguments, sql=ALTER, sample=False):
    """pgrecast, from its start to its exit; sample: look at it and at the server meanwhile."""
    with tempfile.TemporaryDirectory(prefix="spool-", dir=database.server.socket_folder) as spool:
        job = pgrecast.start_run(database, sql, "--progress=none", *arguments, spool=spool)
        sampler = Sampler(database, job.process.pid) if sample else None
        try:
            job.process.wait()
            outcome = job.outcome()
        finally:
            job.kill()
            samples = sampler.stop() if sampler else {}
    if outcome.status != pgrecast.DONE:
        raise Failed(str(outcome))
    lock_ms, attempts = swap_of(outcome.stdout)
    return {"seconds": outcome.seconds, "phases": phases_of(outcome.stderr), "lock_ms": lock_ms, "attempts": attempts,
            **samples}


def rebuild(database, *arguments):
    return run(database, "--rebuild", "-t", "bench", *arguments, sql=None)


def repack(database):
    """pg_repack, as the superuser that it needs. Its extension is there before the clock starts."""
    server = database.server
    database.superuser("CREATE EXTENSION pg_repack")
    begun = time.monotonic()
    done = subprocess.run([str(CLIENT_BIN / "pg_repack"), "-h", server.socket_folder, "-p", str(server.port), "-U", "postgres",
                           "-j2", "-n", "-t", "bench", database.name], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                          preexec_fn=die_with_parent(15), check=False)
    took = time.monotonic() - begun
    if done.returncode != 0:
        raise Failed(f"pg_repack: {done.stdout}")
    return {"seconds": took}


def key_type(database):
    return database.value("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'bench'::regclass"
                          " AND attname = 'id'")


class Way:
    """A name to show, how it is done, and whether it changes the key's type."""

    def __init__(self, title, do, changes):
        self.title = title
        self.do = do
        self.changes = changes

    def __call__(self, database, **options):
        """Do it; what it says of itself and the log that the server has written. The result is looked at after."""
        storage = database.value("SELECT pg_relation_filenode('bench')")
        begun = database.value("SELECT pg_current_wal_lsn()")
        result = self.do(database, **options)
        result["wal_bytes"] = int(database.value("SELECT pg_current_wal_lsn() - %s::pg_lsn", begun))
        if database.value("SELECT pg_relation_filenode('bench')") == storage:
            raise Failed(f"{self.title}: the table has not been rewritten")
        if key_type(database) != ("bigint" if self.changes else "integer"):
            raise Failed(f"{self.title}: the key is {key_type(database)} now")
        return result


WAYS = {
    "alter": Way("ALTER TABLE", alter, True),
    "run": Way("pgrecast run", run, True),
    "run_unverified": Way("pgrecast run --no-verify",
                          lambda database, **options: run(database, "--no-verify", **options), True),
    "repack": Way("pg_repack -j2", repack, False),
    "rebuild": Way("pgrecast run --rebuild", rebuild, False),
    "rebuild_unverified": Way("pgrecast run --rebuild --no-verify",
                              lambda database: rebuild(database, "--no-verify"), False),
}
