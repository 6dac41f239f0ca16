"""Measures pgrecast beside the blocking ALTER TABLE and pg_repack, and writes docs/performance.md.

Every section starts from fresh copies of the same table, on a throwaway PostgreSQL 15 with fsync on. The figures are
kept in docs/performance.json, section by section: what is not measured this time keeps what it had. Ctrl-C stops at any
moment; the sections that are done by then are kept.
"""

import argparse
import pathlib
import select
import signal
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "tests" / "integration"))

SECTIONS = ("wall", "load", "lock", "apply", "key", "growth", "resources")

# Autovacuum would run in some of the runs and not in others.
SETTINGS = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "8GB",
            "maintenance_work_mem": "256MB", "autovacuum": "off"}

EPILOG = """\
sections:
  wall        the whole job with nothing else at work: ALTER TABLE, pg_repack, pgrecast; verified and not
  load        the same under 200 transactions a second; what these have to wait
  lock        how long the lock is held at the cutover, under load; also with 50 objects on the table, and with
              2, 46 and 109 foreign keys that refer to it
  apply       how fast a backlog of changes is applied, beside how fast pgbench can write it
  key         a random UUID key beside a sequential one
  growth      a tenth of the rows, the rows, five times the rows
  resources   processor time, memory, log written, log held by the slot, age of snapshots

examples:
  ./dev bench                                   all of it, about an hour, 40 GB of disk
  ./dev bench --only lock,apply                 a few minutes; the rest of the document stays
  ./dev bench --rows 100000 --runs 1 --docs /tmp/try    a try that leaves the document alone
  ./dev bench --profile                         flame graphs of one job, nothing else
"""


def sections(text):
    names = text.split(",")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such section: {', '.join(unknown)} (there are {', '.join(SECTIONS)})")
    return [name for name in SECTIONS if name in names]


def positive(text):
    number = int(text.replace(",", "").replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def parse():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=positive, default=10_000_000, help="rows of the table (default 10,000,000)")
    parser.add_argument("--runs", type=positive, default=3, help="rounds, in which the ways take turns (default 3)")
    parser.add_argument("--only", type=sections, default=list(SECTIONS), metavar="SECTION,…", help="only these sections")
    parser.add_argument("--cutovers", type=positive, default=50, help="cutovers of section lock (default 50)")
    parser.add_argument("--lock-rows", type=positive, default=100_000, help="rows of the tables cut over (default 100,000)")
    parser.add_argument("--apply-seconds", type=positive, default=30, help="how long pgbench writes (default 30)")
    parser.add_argument("--docs", type=pathlib.Path, default=REPOSITORY / "docs", metavar="FOLDER",
                        help="where performance.md, .json and .svg are (default docs)")
    parser.add_argument("--write", action="store_true", help="measure nothing: write the document again from its figures")
    parser.add_argument("--profile", action="store_true",
                        help="measure nothing: one job under perf, and a flame graph for each phase (as root)")
    options = parser.parse_args()
    if options.rows < 1000 or options.lock_rows < 1000:
        parser.error("a table has at least 1,000 rows")
    return options


def tell(text):
    """What goes on now, on the terminal's last line."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def await_connection(conn):
    """What psycopg2 waits with: unlike libpq's own wait it lets Ctrl-C through, also in a statement of minutes."""
    from psycopg2 import extensions

    while True:
        state = conn.poll()
        if state == extensions.POLL_OK:
            return
        files = [conn.fileno()]
        select.select(files if state == extensions.POLL_READ else [], files if state == extensions.POLL_WRITE else [], [])


def measure(server, options, store):
    import machine
    import report
    from sections import SECTIONS as FUNCTIONS
    from sections import Bench, estimate

    bench = Bench(server, options, tell)
    store.machine = machine.describe(server)
    print(f"PostgreSQL {store.machine['postgresql']}; {', '.join(options.only)}; about"
          f" {report.counted(max(1, round(estimate(options, options.only))), 'minute')} on two cores", flush=True)
    for name in options.only:
        begun = time.monotonic()
        store.keep(name, FUNCTIONS[name](bench), machine.commit())
        store.write()
        tell("")
        print(f"\n{report.terminal(store, name)}\n({(time.monotonic() - begun) / 60:.1f} minutes)", flush=True)


def profile(server, options):
    import flame
    from sections import Bench, profiled

    bench = Bench(server, options, tell)
    bench.stock.template(options.rows)
    for path in flame.record(lambda: profiled(bench), server, options.docs):
        print(path)


def main():
    options = parse()
    # Not before: --help needs nothing that has to be installed.
    import psycopg2
    import report
    import servers
    import table
    import traffic
    import ways

    psycopg2.extensions.set_wait_callback(await_connection)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    options.docs.mkdir(parents=True, exist_ok=True)
    store = report.Store(options.docs)
    try:
        if not options.write:
            with servers.Server(15, **SETTINGS) as server:
                if options.profile:
                    profile(server, options)
                else:
                    measure(server, options, store)
        store.write()
    except KeyboardInterrupt:
        raise SystemExit("\nbench: stopped; the sections that were done are kept") from None
    except (ways.Failed, traffic.TrafficFailed, table.NoSpace) as error:
        raise SystemExit(f"\nbench: {error}") from None
    print(f"\n{report.goals_text(store)}\n\nwrote {store.document}")


if __name__ == "__main__":
    main()
