"""A throwaway PostgreSQL, live traffic, a table rewritten under it, and the rollback. Run it as ./dev demo.

Every transaction of the traffic writes pgbench_accounts and, beside it, a mirror that keeps the old types. After the
cutover the new table must equal the mirror, row for row, and after the rollback the original must.
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


def call(database, *arguments, shown=None):
    """Run the program in the terminal. Its exit status, and when it began and ended."""
    say(f"{DIM}$ pgrecast {shown or ' '.join(arguments)}{PLAIN}")
    begun = time.time()
    done = subprocess.run([pgrecast.PROGRAM, *arguments], check=False, stdin=subprocess.DEVNULL,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TERM": "xterm", **database.environment()})
    return done.returncode, begun, time.time()


def rewrite(database, folder):
    (folder / "spool").mkdir()
    options = ["--rollback-window=1h", "--exit-after=cutover"]
    return call(database, "run", "--sql", ALTER, *options, "--spool-dir", str(folder / "spool"),
                shown=f"run --sql '{ALTER}' {' '.join(options)}")


def the_job(database):
    return json.loads(pgrecast.call(database, "status", "--json").stdout)[0]


def number(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


def figure(name, value):
    say(f"  {name:<16} {value}")


def print_lock(job):
    figure("lock held", f"{number(job['lock_held_ms'], 1)} ms, attempts {number(job['lock_attempts'])}")


def print_parity(job):
    verify = job.get("verify") or {}
    figure("parity", f"{number(verify.get('mismatches'))} mismatches in {number(verify.get('rows'))} rows,"
                     f" hash {verify.get('hash', '-')}")


def print_oracle(when, differences):
    colour = RED if differences else GREEN
    figure("oracle", f"{number(differences.table_rows)} rows {when}, {number(differences.mirror_rows)} in the mirror:"
                     f" {colour}{differences.count} differ{PLAIN}")
    for example in differences.examples:
        say(f"  {example}")


def print_types(types):
    figure("types", f"aid {types['aid']}, abalance {types['abalance']}")


def print_traffic(traffic, begun, cut_over, rolled_back):
    """What the application has seen of it."""
    all_of_it = list(traffic.transactions())
    parts = [("before", 0, begun[0]), ("the rewrite", *begun), ("in the window", begun[1], cut_over),
             ("the rollback", cut_over, rolled_back + 1)]
    heading("What the application has seen")
    for name, since, until in parts:
        waits = [ms for moment, ms in all_of_it if since <= moment < until]
        figure(name, f"{number(len(waits))} transactions, the longest took {max(waits, default=0):.1f} ms")
    failed = traffic.failed()
    figure("failed", f"{RED if failed else GREEN}{failed}{PLAIN} of {number(len(all_of_it))} transactions")


def go_on(seconds, text):
    say(f"  {text}")
    time.sleep(seconds)


def undergo(options, database, folder, traffic):
    """The rewrite, the time in which the new table serves, and the rollback. The number of things that are wrong."""
    heading("The rewrite")
    status, *rewriting = rewrite(database, folder)
    if status != 0:
        return 1
    job = the_job(database)
    print_types(column_types(database))
    print_lock(job)
    print_parity(job)
    figure("wall time", f"{rewriting[1] - rewriting[0]:.1f} s")

    heading("The new table is active")
    go_on(options.window, "the traffic writes it; the program does not run, the slot keeps the changes")
    after = oracle.compare(database, "pgbench_accounts", "pgbench_accounts_mirror")
    print_oracle("under the traffic", after)
    figure("window", f"{time.time() - rewriting[1]:.0f} s so far, the comparison included")

    heading("The rollback")
    status, asked, rolled_back = call(database, "rollback", "pgbench_accounts")
    if status != 0:
        return 1
    job = the_job(database)
    print_types(column_types(database))
    print_lock(job)
    figure("wall time", f"{rolled_back - asked:.1f} s, with all the traffic had written since the cutover")
    go_on(2, "the traffic continues for 2 s, then ends")
    traffic.stop()
    back = oracle.compare(database, "pgbench_accounts", "pgbench_accounts_mirror")
    print_oracle("in the original", back)
    print_traffic(traffic, rewriting, asked, rolled_back)

    heading("The end")
    status, _, _ = call(database, "finish", "pgbench_accounts")
    return bool(after) + bool(back) + (status != 0) + traffic.failed()


def demo(options, server, folder):
    database = server.new_database("demo")
    say(f"  PostgreSQL {server.execute('SHOW server_version')[0][0]}, as a role that is no superuser")
    accounts = fill(database, options.scale)
    size = database.value("SELECT pg_size_pretty(pg_total_relation_size('pgbench_accounts'))")
    say(f"  pgbench_accounts: {accounts:,} rows, {size}")

    heading("Live traffic")
    traffic = Traffic(database, folder, accounts, options.rate, options.clients)
    try:
        go_on(options.calm, f"{options.clients} clients, {options.rate} transactions a second: updates, inserts, deletes")
        wrong = undergo(options, database, folder, traffic)
    finally:
        traffic.kill()
    left = pgrecast.leftovers(database)
    say(f"  {RED}left behind: {', '.join(left)}{PLAIN}" if left else "  nothing is left behind")
    begun = time.monotonic()
    database.execute(ALTER.replace("pgbench_accounts", "pgbench_accounts_mirror"))
    say(f"  for comparison: the plain ALTER TABLE locks the mirror for {time.monotonic() - begun:.1f} s, with no traffic")
    return 1 if wrong or left else 0


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=int, default=10, help="pgbench scale: 100,000 rows each (default 10)")
    parser.add_argument("--rate", type=int, default=300, help="transactions a second (default 300)")
    parser.add_argument("--clients", type=int, default=4, help="sessions of the traffic (default 4)")
    parser.add_argument("--calm", type=int, default=3, help="seconds of traffic before the job (default 3)")
    parser.add_argument("--window", type=int, default=5, help="seconds from the cutover to the rollback (default 5)")
    parser.add_argument("--major", type=int, default=15, help="major version of PostgreSQL (default 15)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    heading("A throwaway server")
    try:
        with Server(options.major, fsync="on", full_page_writes="on", shared_buffers="256MB",
                    max_slot_wal_keep_size="4GB") as server:
            folder = pathlib.Path(server.socket_folder) / "demo"
            folder.mkdir()
            status = demo(options, server, folder)
    except KeyboardInterrupt:
        status = 130
    say("\nThe server is gone, with all its files.")
    sys.exit(status)


if __name__ == "__main__":
    main()
