"""Measures pgrecast beside the blocking ALTER TABLE, in one run on one server. Run it as ./dev bench.

Wall time: the same table, the same statement, three ways in turn, several times; medians. Memory: the most resident
memory of the client, at several sizes. Apply: how fast a backlog shrinks, beside how fast pgbench could make it.
"""

import argparse
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import pgrecast  # noqa: E402 (needs the path)
from servers import CLIENT_BIN, Server, wait_until  # noqa: E402

ALTER = "ALTER TABLE bench ALTER COLUMN id TYPE bigint"

SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "8GB",
            "autovacuum": "off", "maintenance_work_mem": "256MB"}

WRITE = """\\set id random(1, :rows)
UPDATE bench SET n = n + 1 WHERE id = :id;
"""


def make_table(database, rows):
    """About 120 bytes a row, a primary key and one more index; written out, so that each run starts alike."""
    database.execute("DROP TABLE IF EXISTS bench")
    database.execute("CREATE TABLE bench (id integer NOT NULL, n integer NOT NULL, at timestamptz NOT NULL, note text)")
    database.execute("INSERT INTO bench SELECT g, g % 1000, '2024-01-01'::timestamptz + g * interval '1 second',"
                     f" 'note ' || g || repeat('.', 60) FROM generate_series(1, {rows}) g")
    database.execute("ALTER TABLE bench ADD PRIMARY KEY (id)")
    database.execute("CREATE INDEX bench_n ON bench (n)")
    database.execute("VACUUM ANALYZE bench")
    database.superuser("CHECKPOINT")


def timed_alter(database):
    begun = time.monotonic()
    database.execute(ALTER)
    return time.monotonic() - begun, 0


def timed_run(database, *arguments):
    """Seconds and peak memory of a run."""
    with tempfile.TemporaryDirectory(dir=database.server.socket_folder) as spool:
        job = pgrecast.start_run(database, ALTER, "--progress=none", *arguments, spool=spool)
        peak = 0
        while True:
            peak = max(peak, job.peak_memory())
            try:
                job.process.wait(0.02)
                break
            except subprocess.TimeoutExpired:
                continue
        outcome = job.outcome()
    if outcome.status != pgrecast.DONE:
        raise SystemExit(f"bench: {outcome}")
    return outcome.seconds, peak


def table(title, head, lines):
    print(f"\n{title}\n")
    widths = [max(len(str(row[i])) for row in [head, *lines]) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths], *lines]:
        print("  " + "  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))), flush=True)


def bench_wall_time(database, rows, runs):
    ways = {"ALTER TABLE (blocks)": timed_alter,
            "pgrecast run": timed_run,
            "pgrecast run --no-verify": lambda database: timed_run(database, "--no-verify")}
    seconds = {name: [] for name in ways}
    for number in range(runs):
        for name, way in ways.items():
            make_table(database, rows)
            seconds[name].append(way(database)[0])
            progress(f"run {number + 1} of {runs}: {name} {seconds[name][-1]:.1f} s")
    blocking = statistics.median(seconds["ALTER TABLE (blocks)"])
    lines = []
    for name, values in seconds.items():
        median = statistics.median(values)
        lines.append((name, f"{median:.2f}", f"{min(values):.2f}", f"{max(values):.2f}", f"{rows / median:,.0f}",
                      f"{median / blocking:.2f}"))
    table(f"Wall time, {rows:,} rows, {runs} runs",
          ("", "median s", "min", "max", "rows/s", "of ALTER TABLE"), lines)


def bench_memory(database, sizes):
    lines = []
    for rows in sizes:
        make_table(database, rows)
        seconds, peak = timed_run(database)
        lines.append((f"{rows:,} rows", f"{peak / 1048576:.1f}", f"{seconds:.1f}"))
        progress(f"{rows:,} rows: {peak / 1048576:.1f} MB")
    table("Peak memory of the client", ("", "MB", "wall s"), lines)


def bench_apply(database, rows, seconds):
    """A backlog written by pgbench while the job is held at catchup, then let go."""
    make_table(database, rows)
    job = pgrecast.start_run(database, ALTER, "--progress=none", hold="catchup")
    job.wait_phase("catchup", timeout=600)
    written = write(database, rows, seconds)
    begun = time.monotonic()
    job.release()
    wait_until(lambda: applied(database) >= written or job.poll() is not None, "the backlog to be applied", timeout=900)
    took = time.monotonic() - begun
    outcome = job.wait(900)
    if outcome.status != pgrecast.DONE:
        raise SystemExit(f"bench: {outcome}")
    rate = written / took
    table(f"Apply, {written:,} changes of {rows:,} rows",
          ("", "rows/s", "of pgbench"),
          [("pgbench, 4 clients, one row a transaction", f"{written / seconds:,.0f}", "1.00"),
           ("pgrecast, applying them", f"{rate:,.0f}", f"{rate * seconds / written:.2f}")])


def applied(database):
    """Changes applied so far, as committed with their effect."""
    return database.value("SELECT changes_applied FROM pgrecast.position") or 0


def write(database, rows, seconds):
    """As many single-row updates as pgbench can make; how many they were."""
    script = pathlib.Path(database.server.socket_folder) / "write.sql"
    script.write_text(WRITE)
    done = subprocess.run([str(CLIENT_BIN / "pgbench"), "-n", "-c", "4", "-j", "2", "-M", "prepared", "-T", str(seconds),
                           "-D", f"rows={rows}", "-f", str(script)], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **database.environment()})
    return int(re.search(r"transactions actually processed: (\d+)", done.stdout).group(1))


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table (default 1,000,000)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each way (default 3)")
    parser.add_argument("--memory-rows", default="1000000,5000000,10000000", help="sizes at which memory is measured")
    parser.add_argument("--apply-seconds", type=int, default=15, help="how long pgbench writes the backlog (default 15)")
    parser.add_argument("--only", choices=("wall", "memory", "apply"), help="one of the three measurements")
    parser.add_argument("--major", type=int, default=15, help="major version of PostgreSQL (default 15)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Server(options.major, **SETTINGS) as server:
        database = server.new_database("bench")
        print(f"PostgreSQL {server.execute('SHOW server_version')[0][0]}")
        if options.only in (None, "wall"):
            bench_wall_time(database, options.rows, options.runs)
        if options.only in (None, "apply"):
            bench_apply(database, options.rows, options.apply_seconds)
        if options.only in (None, "memory"):
            bench_memory(database, [int(size) for size in options.memory_rows.split(",")])


if __name__ == "__main__":
    main()
