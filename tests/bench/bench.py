"""Measures pgrecast beside the blocking ALTER TABLE, in one run on one server. Run it as ./dev bench.

Wall time: the same table, the same statement, three ways in turn, several times; medians. Memory: the most resident
memory of the client, at several sizes. Apply: how fast a backlog shrinks, beside how fast pgbench could make it. Lock:
how long it is held at the cutover, with fifty objects hanging on the table and with none.
"""

import argparse
import contextlib
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


# Fifty objects that hang on the table, of every kind that a swap has to carry.
DEPENDENTS = """
CREATE TABLE bench_parent (n integer PRIMARY KEY);
INSERT INTO bench_parent SELECT generate_series(0, 999);
ALTER TABLE bench ADD CONSTRAINT bench_parent_fk FOREIGN KEY (n) REFERENCES bench_parent;
CREATE FUNCTION bench_audit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION bench_total() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM bench; END;
CREATE FUNCTION bench_label(bench) RETURNS text LANGUAGE sql AS 'SELECT ($1).note';
CREATE RULE bench_rule AS ON DELETE TO bench WHERE OLD.id < 0 DO INSTEAD NOTHING;
DO $$ BEGIN
    FOR i IN 1..5 LOOP
        EXECUTE format('CREATE TABLE bench_child_%s (id integer PRIMARY KEY, bench_id integer REFERENCES bench)', i);
        EXECUTE format('CREATE POLICY bench_policy_%s ON bench USING (id > %s)', i, -i);
        EXECUTE format('CREATE PUBLICATION bench_publication_%s FOR TABLE bench', i);
    END LOOP;
    FOR i IN 1..15 LOOP
        EXECUTE format('CREATE TRIGGER bench_trigger_%s BEFORE UPDATE OF note ON bench FOR EACH ROW WHEN (NEW.id < -%s)'
                       ' EXECUTE FUNCTION bench_audit()', i, i);
        EXECUTE format('CREATE VIEW bench_view_%s AS SELECT %s, note FROM bench WHERE n = %s', i,
                       CASE WHEN i <= 8 THEN 'n' ELSE 'id' END, i);
    END LOOP;
END $$;
CREATE VIEW bench_over AS SELECT * FROM bench_view_9 UNION ALL SELECT * FROM bench_view_10;
"""


def held(outcome):
    return float(re.search(r"lock held ([\d.]+) ms", outcome.stdout).group(1))


def timed_swap(database, rows, dependents):
    """The time under the lock, with four clients that write, in ms; the table fresh each time."""
    database.execute("DROP TABLE IF EXISTS bench, bench_parent, bench_child_1, bench_child_2, bench_child_3, bench_child_4,"
                     " bench_child_5 CASCADE; DROP FUNCTION IF EXISTS bench_audit, bench_total, bench_label CASCADE;"
                     "DROP PUBLICATION IF EXISTS bench_publication_1, bench_publication_2, bench_publication_3,"
                     " bench_publication_4, bench_publication_5")
    make_table(database, rows)
    if dependents:
        database.execute(DEPENDENTS)
    job = pgrecast.start_run(database, ALTER, "--progress=none", "--cutover=hold")
    job.wait_phase("ready", timeout=600)
    with background_writes(database, rows):
        pgrecast.call(database, "cutover", "bench")
        outcome = job.wait(600)
    if outcome.status != pgrecast.DONE:
        raise SystemExit(f"bench: {outcome}")
    return held(outcome)


def bench_lock(database, rows, runs):
    lines = []
    for name, dependents in (("nothing hangs on the table", False), ("50 objects hang on it", True)):
        values = []
        for number in range(runs):
            values.append(timed_swap(database, rows, dependents))
            progress(f"run {number + 1} of {runs}: {name}: {values[-1]:.1f} ms")
        lines.append((name, f"{statistics.median(values):.1f}", f"{min(values):.1f}", f"{max(values):.1f}"))
    table(f"Lock held at the cutover, {rows:,} rows, 200 transactions a second, {runs} runs",
          ("", "median ms", "min", "max"), lines)


@contextlib.contextmanager
def background_writes(database, rows):
    """Two hundred updates of one row a second, while the block runs."""
    script = pathlib.Path(database.server.socket_folder) / "background.sql"
    script.write_text(WRITE)
    clients = subprocess.Popen([str(CLIENT_BIN / "pgbench"), "-n", "-c", "4", "-R", "200", "-T", "600", "-D", f"rows={rows}",
                                "-f", str(script)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **database.environment()})
    try:
        yield
    finally:
        clients.terminate()
        clients.wait()


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
    parser.add_argument("--lock-rows", type=int, default=100_000, help="rows of the table that is swapped (default 100,000)")
    parser.add_argument("--lock-runs", type=int, default=5, help="swaps with and without dependents (default 5)")
    parser.add_argument("--only", choices=("wall", "memory", "apply", "lock"), help="one of the four measurements")
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
        if options.only in (None, "lock"):
            bench_lock(database, options.lock_rows, options.lock_runs)
        if options.only in (None, "memory"):
            bench_memory(database, [int(size) for size in options.memory_rows.split(",")])


if __name__ == "__main__":
    main()
