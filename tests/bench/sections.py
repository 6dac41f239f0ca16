"""What is measured: a function for each section, from a Bench to the raw results, as they are kept as JSON."""

import time

import pgrecast
import table
import ways
from samplers import Sampler
from servers import wait_until
from traffic import Traffic, percentile, write
from ways import ALTER_OTHER, WAYS


class Bench:
    """The server, its tables, and how much is to be measured."""

    def __init__(self, server, options, tell):
        self.server = server
        self.options = options
        self.tell = tell
        self.stock = table.Stock(server, tell)

    def once(self, name, rows, **options):
        """One way, on a fresh copy."""
        with self.stock.copy(rows) as database:
            result = WAYS[name](database, **options)
        self.tell(f"{WAYS[name].title}: {result['seconds']:.2f} s")
        return result

    def rounds(self, count, names, do):
        """The ways take turns, so that what changes on the machine meanwhile meets all of them."""
        results = {name: [] for name in names}
        for number in range(count):
            for name in names:
                self.tell(f"round {number + 1} of {count}: {name}")
                results[name].append(do(name))
        return results


def wall(bench):
    """All ways, nothing else at work."""
    rows = bench.options.rows
    return {"rows": rows, "runs": bench.options.runs,
            "ways": bench.rounds(bench.options.runs, list(WAYS), lambda name: bench.once(name, rows))}


# The same under load

QUIET = "none"  # the load alone
LOADED = (QUIET, "alter", "run", "repack")
BEFORE, AFTER = 10, 5  # seconds of the load that are shown before and after a way


def load(bench):
    """The blocking way, pgrecast and pg_repack under load; the load alone; and pgrecast alone, for its wall time."""
    rows, runs = bench.options.rows, bench.options.runs
    quiet = max(5, min(60, rows // 160_000))
    settle = max(2, min(10, rows // 1_000_000))

    def do(name):
        return bench.once("run", rows, sample=True) if name == "idle" else loaded(bench, name, rows, settle, quiet)

    results = bench.rounds(runs, ("idle", *LOADED), do)
    series = {name: results[name][0]["series"] for name in LOADED}
    for result in (result for name in LOADED for result in results[name]):
        del result["series"]
    return {"rows": rows, "runs": runs, "ways": results, "series": series}


def loaded(bench, name, rows, settle, quiet):
    """One way under load; the latencies of the transactions that were due while it worked."""
    options = {"sample": True} if name == "run" else {}
    with bench.stock.copy(rows) as database:
        with Traffic(database, rows) as traffic:
            traffic.settle(settle)
            begun = time.time()
            if name == QUIET:
                traffic.settle(quiet)
                result = {"seconds": quiet}
            else:
                result = WAYS[name](database, **options)
            ended = time.time()
            traffic.settle(AFTER)
            traffic.catch_up()
    latencies = traffic.between(begun, ended)
    result.update(transactions=len(latencies), p50_ms=percentile(latencies, 50), p99_ms=percentile(latencies, 99),
                  longest_ms=max(latencies), series=series(traffic, begun, ended))
    bench.tell(f"{name} under load: {result['seconds']:.2f} s, p99 {result['p99_ms']:.1f} ms,"
               f" longest {result['longest_ms']:.1f} ms")
    return result


def series(traffic, begun, ended):
    """The longest waits over time; zero is the way's first moment."""
    return [[round(at - BEFORE, 2), ms] for at, ms in traffic.worst_by_time(begun - BEFORE, ended + AFTER)]


# The lock at the cutover

# Fifty objects that depend on the table, of every kind that a swap has to carry.
DEPENDENTS = """
CREATE TABLE bench_parent (n integer PRIMARY KEY);
INSERT INTO bench_parent SELECT generate_series(0, 1000100); -- the load counts them up
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


# Referencing tables, a foreign key each. The load adds no row to them, and they have none.
REFERENCING = """
DO $$ BEGIN
    FOR i IN 1..{keys} LOOP
        EXECUTE format('CREATE TABLE bench_child_%s (id integer PRIMARY KEY, note text, bench_id integer)', i);
        EXECUTE format('CREATE INDEX ON bench_child_%s (bench_id)', i); -- the load deletes referenced rows
        EXECUTE format('ALTER TABLE bench_child_%s ADD FOREIGN KEY (bench_id) REFERENCES bench', i);
    END LOOP;
END $$;
"""
KEYS = (2, 46, 109)


def lock(bench):
    """
    Many cutovers under load, of tables with nothing on them; and a few of tables with fifty objects, and with foreign keys.
    """
    options = bench.options
    few = max(1, options.cutovers // 10)
    results = {"rows": options.lock_rows, "cutovers": [], "dependents": [], **{f"keys_{keys}": [] for keys in KEYS}}
    for number in range(options.cutovers):
        results["cutovers"].append(cut_over(bench, options.lock_rows))
        bench.tell(f"cutover {number + 1} of {options.cutovers}: {results['cutovers'][-1]['lock_ms']:.1f} ms")
    for number in range(few):
        results["dependents"].append(cut_over(bench, options.lock_rows, DEPENDENTS))
        bench.tell(f"cutover {number + 1} with 50 dependents: {results['dependents'][-1]['lock_ms']:.1f} ms")
    for number in range(few):
        for keys in KEYS:  # they take turns
            results[f"keys_{keys}"].append(cut_over(bench, options.lock_rows, REFERENCING.format(keys=keys)))
            bench.tell(f"cutover {number + 1} with {keys} foreign keys: {results[f'keys_{keys}'][-1]['lock_ms']:.1f} ms")
    return results


def cut_over(bench, rows, dependents=None):
    """The time under the lock, and the longest transaction from the request to a moment after the end."""
    with bench.stock.copy(rows) as database:
        if dependents:
            database.execute(dependents)
        with Traffic(database, rows) as traffic:
            traffic.settle(1)
            job = pgrecast.start_run(database, ways.ALTER, "--progress=none", "--verbose", "--cutover=hold")
            try:
                job.wait_phase("ready", timeout=600)
                traffic.settle(0.5)
                begun = time.time()
                pgrecast.call(database, "cutover", "bench")
                outcome = job.wait(600)
            finally:
                job.kill()
            ended = time.time()
            traffic.settle(0.5)
    if outcome.status != pgrecast.DONE:
        raise ways.Failed(str(outcome))
    lock_ms, attempts = ways.swap_of(outcome.stdout)
    return {"lock_ms": lock_ms, "attempts": attempts, "longest_ms": traffic.longest_around(begun, ended),
            "parts": ways.lock_parts_of(outcome.stderr)}


# The backlog


def apply(bench):
    """A backlog that pgbench writes while the job is held at catchup, then let go."""
    seconds = bench.options.apply_seconds
    rows = min(bench.options.rows, 1_000_000)
    with bench.stock.copy(rows) as database:
        rates = {}
        for clients in (4, 16, 48):
            rates[clients] = write(database, rows, clients, max(2, seconds // 3)) / max(2, seconds // 3)
            bench.tell(f"pgbench, {clients} clients: {rates[clients]:,.0f} rows/s")
        clients = max(rates, key=rates.get)
        job = pgrecast.start_run(database, ways.ALTER, "--progress=none", hold="catchup")
        try:
            job.wait_phase("catchup", timeout=600)
            before = applied(database)
            written = write(database, rows, clients, seconds)
            rates["held"] = written / seconds
            rate = watch_apply(database, job, before, written)
            outcome = job.wait(900)
        finally:
            job.kill()
    if outcome.status != pgrecast.DONE:
        raise ways.Failed(str(outcome))
    return {"rows": rows, "written": written, "clients": clients, "write_rate": max(rates.values()),
            "write_rate_held": rates["held"], "apply_rate": rate}


def watch_apply(database, job, before, written):
    """
    Rows a second, from the first batch that is committed to the last one: what the job does after its release before it
    begins is not counted, and neither are the rows of the first batch.
    """
    conn = database.connect()
    with conn.cursor() as cursor:
        seen = []

        def all_applied():
            cursor.execute("SELECT coalesce(sum(changes_applied), 0)::bigint FROM pgrecast.position")
            count = cursor.fetchone()[0] - before
            if count > 0 and (not seen or count > seen[-1][1]):
                seen.append((time.monotonic(), count))
            if job.poll() is not None and count < written:
                raise ways.Failed(f"{count} of {written} changes applied\n{job.outcome()}")
            return count >= written

        released = time.monotonic()
        job.release()
        wait_until(all_applied, "the backlog to be applied", timeout=1800, interval=0.005)
    conn.close()
    (begun, first), (ended, last) = seen[0], seen[-1]
    if ended == begun:  # one batch had it all
        begun, first = released, 0
    return (last - first) / (ended - begun)


def applied(database):
    """Changes applied so far, as committed with their effect."""
    return int(database.value("SELECT coalesce(sum(changes_applied), 0) FROM pgrecast.position"))


# Keys, sizes, resources

def key(bench):
    """A random key beside a sequential one; what changes is another column, the same for both."""
    rows, runs = bench.options.rows, bench.options.runs

    def do(name):
        with bench.stock.copy(rows, name) as database:
            result = ways.run(database, sql=ALTER_OTHER)
        bench.tell(f"{name} key: {result['seconds']:.2f} s")
        return result

    try:
        return {"rows": rows, "runs": runs, "ways": bench.rounds(runs, ("sequential", "random"), do)}
    finally:
        bench.stock.drop(rows, "random")


def growth(bench):
    """A tenth of the rows, the rows, five times the rows (once)."""
    rows, runs = bench.options.rows, bench.options.runs
    result = {"runs": runs, "sizes": {}, "left_out": {}}
    for size, count in ((rows // 10, runs), (rows, runs), (rows * 5, 1)):
        try:
            result["sizes"][str(size)] = [bench.once("run", size, sample=True) for _ in range(count)]
        except table.NoSpace as reason:
            result["left_out"][str(size)] = str(reason)
            print(f"left out: {reason}", flush=True)
        finally:
            if size != rows:
                bench.stock.drop(size)
    return result


def resources(bench):
    """pgrecast, looked at while it works; ALTER TABLE for the log that it writes."""
    rows, runs = bench.options.rows, bench.options.runs

    def do(name):
        return bench.once(name, rows, **({"sample": True} if name == "run" else {}))

    return {"rows": rows, "runs": runs, "ways": bench.rounds(runs, ("alter", "run"), do)}


def profiled(bench):
    """One job, with the times of its phases and the names of its sessions; for the profile, not for a figure."""
    with bench.stock.copy(bench.options.rows) as database:
        spool = pgrecast.new_spool(database)
        job = pgrecast.start_run(database, ways.ALTER, "--progress=none", spool=spool)
        sampler = Sampler(database, job.process.pid, sessions=True)
        try:
            job.process.wait()
        finally:
            job.kill()
            sampler.stop()
    if job.outcome().status != pgrecast.DONE:
        raise ways.Failed(str(job.outcome()))
    return job.process.pid, sampler


SECTIONS = {"wall": wall, "load": load, "lock": lock, "apply": apply, "key": key, "growth": growth, "resources": resources}


def estimate(options, names):
    """Minutes, on a machine with two cores: what a section's ways take for a million rows, and what it takes anyway."""
    millions, runs = options.rows / 1e6, options.runs
    seconds = {
        "wall": runs * (25 * millions + 20),
        "load": runs * (20 * millions + 120),
        "lock": 5.5 * options.cutovers * 1.4,
        "apply": 3 * options.apply_seconds + 30,
        "key": runs * 11 * millions + 7 * millions,
        "growth": (runs * 1.1 + 5) * 5.5 * millions + 26 * millions,
        "resources": runs * 9 * millions,
    }
    return (6 * millions + sum(seconds[name] for name in names)) / 60
