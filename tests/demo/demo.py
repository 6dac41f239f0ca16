"""A throwaway PostgreSQL, live traffic, and a table rewritten under it. Run it as ./dev demo.

Every transaction of the traffic writes pgbench_accounts and, beside it, a mirror that keeps the old types. At the end
the rewritten table must equal the mirror, row for row.
"""

import argparse
import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import oracle  # noqa: E402 (needs the path)
import pgrecast  # noqa: E402
from servers import CLIENT_BIN, Server, die_with_parent  # noqa: E402

ALTER = ("ALTER TABLE pgbench_accounts\n"
         "    ALTER COLUMN aid TYPE bigint,\n"
         "    ALTER COLUMN abalance TYPE bigint")

# Bold only where a terminal shows it.
BOLD, DIM, GREEN, RED, PLAIN = ("\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty() else [""] * 5

DEPOSIT = """\\set aid random(1, :accounts)
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
UPDATE pgbench_accounts_mirror SET abalance = abalance + :delta WHERE aid = :aid;
COMMIT;
"""

# The row deleted is one inserted a while ago; one statement, so that both tables lose it or neither does.
TURNOVER = """\\set balance random(-5000, 5000)
BEGIN;
SELECT nextval('account_numbers') AS aid \\gset
INSERT INTO pgbench_accounts (aid, bid, abalance, filler) VALUES (:aid, 1, :balance, 'new');
INSERT INTO pgbench_accounts_mirror (aid, bid, abalance, filler) VALUES (:aid, 1, :balance, 'new');
WITH closed AS (DELETE FROM pgbench_accounts WHERE aid = :aid - 200 RETURNING aid)
DELETE FROM pgbench_accounts_mirror AS m USING closed WHERE m.aid = closed.aid;
COMMIT;
"""


def say(text=""):
    print(text, flush=True)


def heading(text):
    say(f"\n{BOLD}{text}{PLAIN}")


class Traffic:
    """pgbench, until stopped; every transaction is in its log."""

    def __init__(self, database, folder, accounts, rate, clients):
        self.folder = folder
        scripts = {"deposit": (DEPOSIT, 9), "turnover": (TURNOVER, 1)}
        files = []
        for name, (text, weight) in scripts.items():
            (folder / name).write_text(text)
            files += ["-f", f"{folder / name}@{weight}"]
        self.started = time.time()
        # -T is only an upper bound: stop() ends it as its own timer would.
        self.process = subprocess.Popen(
            [str(CLIENT_BIN / "pgbench"), "-n", "-c", str(clients), "-j", "2", "-T", "900", "-R", str(rate),
             "-D", f"accounts={accounts}", "-l", f"--log-prefix={folder / 'traffic'}", *files],
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **database.environment()}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGKILL))

    def stop(self):
        """End it, and return its last words."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGALRM)
        self.output = self.process.communicate(timeout=60)[0]
        if self.process.returncode != 0:
            raise RuntimeError(f"the traffic broke off:\n{self.output}")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def failed(self):
        for line in self.output.splitlines():
            if line.startswith("number of failed transactions:"):
                return int(line.split(":")[1].split()[0])
        return 0

    def transactions(self):
        """(end in seconds since the epoch, duration in ms from when it was due) of each transaction."""
        for log in self.folder.glob("traffic.*"):
            for line in log.read_text().splitlines():
                fields = line.split()
                if fields[2].isdigit():
                    yield int(fields[4]) + int(fields[5]) / 1e6, int(fields[2]) / 1000


def fill(database, scale):
    """pgbench's own tables, and the mirror."""
    subprocess.run([str(CLIENT_BIN / "pgbench"), "-i", "-I", "dtgvp", "-s", str(scale), "--quiet"], check=True,
                   env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **database.environment()},
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    accounts = scale * 100_000
    database.execute("CREATE TABLE pgbench_accounts_mirror (LIKE pgbench_accounts INCLUDING ALL);"
                     "INSERT INTO pgbench_accounts_mirror SELECT * FROM pgbench_accounts;"
                     f"CREATE SEQUENCE account_numbers START {accounts + 1}")
    database.execute("VACUUM ANALYZE pgbench_accounts_mirror")
    return accounts


def column_types(database):
    return dict(database.execute("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                                 " WHERE attrelid = 'pgbench_accounts'::regclass AND attnum > 0 AND NOT attisdropped"))


def rewrite(database, folder):
    """Run the program in the terminal. Its exit status and how long it took."""
    command = ["run", "--sql", ALTER, "--spool-dir", str(folder / "spool"), "--rollback-window=0"]
    say(f"{DIM}$ pgrecast run --sql '{ALTER}'{PLAIN}")
    (folder / "spool").mkdir()
    begun = time.time()
    done = subprocess.run([pgrecast.PROGRAM, *command], check=False, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "xterm", **database.environment()})
    return done.returncode, begun, time.time()


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def report(job, traffic, begun, ended, differences, before, after):
    """The figures: the job's own, the traffic's, and the oracle's."""
    seconds = ended - begun
    all_of_it = list(traffic.transactions())
    during = [ms for moment, ms in all_of_it if begun <= moment <= ended + 1]
    calm = [ms for moment, ms in all_of_it if moment < begun]
    verify = job.get("verify") or {}
    lines = [
        ("types", f"aid {before['aid']} -> {after['aid']}, abalance {before['abalance']} -> {after['abalance']}"),
        ("wall time", f"{seconds:.1f} s"),
        ("rows copied", f"{number(job['rows_copied'])} ({number(job['rows_copied'] / seconds)} rows/s over all)"),
        ("changes applied", number(job["changes_applied"])),
        ("parity", f"{number(verify.get('mismatches'))} mismatches in {number(verify.get('rows'))} rows"),
        ("parity hash", verify.get("hash", "-")),
        ("lock attempts", number(job["lock_attempts"])),
        ("lock held", f"{number(job['lock_held_ms'], 1)} ms"),
        ("transactions", f"{number(len(during))} during the job ({number(len(during) / seconds)} a second),"
                         f" {traffic.failed()} failed"),
        ("longest wait", f"{max(during, default=0):.1f} ms of any transaction"
                         f" ({max(calm, default=0):.1f} ms before the job began)"),
    ]
    for name, value in lines:
        say(f"  {name:<16} {value}")
    heading("The oracle")
    colour = RED if differences else GREEN
    say(f"  {number(differences.table_rows)} rows in the table, {number(differences.mirror_rows)} in its mirror;"
        f" {colour}{differences.count} rows differ{PLAIN}")
    for example in differences.examples:
        say(f"  {example}")


def demo(options, server, folder):
    database = server.new_database("demo")
    say(f"  PostgreSQL {server.execute('SHOW server_version')[0][0]}, as a role that is no superuser")
    accounts = fill(database, options.scale)
    size = database.value("SELECT pg_size_pretty(pg_total_relation_size('pgbench_accounts'))")
    say(f"  pgbench_accounts: {accounts:,} rows, {size}")
    before = column_types(database)

    heading("Live traffic")
    traffic = Traffic(database, folder, accounts, options.rate, options.clients)
    try:
        time.sleep(options.calm)  # for something to compare with
        say(f"  {options.clients} clients, {options.rate} transactions a second: updates, inserts, deletes")

        heading("The rewrite")
        status, begun, ended = rewrite(database, folder)
        time.sleep(1)  # the traffic goes on after the swap
        traffic.stop()
    finally:
        traffic.kill()
    jobs = json.loads(pgrecast.call(database, "status", "--json").stdout or "[]")
    if status != 0:
        say(f"{RED}pgrecast ended with status {status}{PLAIN}")
        return 1
    heading("What it took")
    differences = oracle.compare(database, "pgbench_accounts", "pgbench_accounts_mirror")
    report(jobs[0], traffic, begun, ended, differences, before, column_types(database))
    begun = time.monotonic()
    database.execute(ALTER.replace("pgbench_accounts", "pgbench_accounts_mirror"))
    say(f"  for comparison: the plain ALTER TABLE locks the mirror for {time.monotonic() - begun:.1f} s, with no traffic")
    left = pgrecast.leftovers(database)
    say(f"  {RED}left behind: {', '.join(left)}{PLAIN}" if left else "  nothing is left behind")
    return 1 if differences or left or traffic.failed() else 0


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=10, help="pgbench scale: 100,000 rows each (default 10)")
    parser.add_argument("--rate", type=int, default=300, help="transactions a second (default 300)")
    parser.add_argument("--clients", type=int, default=4, help="sessions of the traffic (default 4)")
    parser.add_argument("--calm", type=int, default=3, help="seconds of traffic before the job (default 3)")
    parser.add_argument("--major", type=int, default=15, help="major version of PostgreSQL (default 15)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    heading("A throwaway server")
    try:
        with Server(options.major, fsync="on", full_page_writes="on", shared_buffers="256MB") as server:
            folder = pathlib.Path(server.socket_folder) / "demo"
            folder.mkdir()
            status = demo(options, server, folder)
    except KeyboardInterrupt:
        status = 130
    say("\nThe server is gone, with all its files.")
    sys.exit(status)


if __name__ == "__main__":
    main()
