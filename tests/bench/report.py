"""The results as they are kept, and the document that is made of them."""

import json
import pathlib
import re
import statistics
import time

import figures
from ways import PHASES, WAYS

BEGIN = "<!-- measured: begin; written by ./dev bench -->"
END = "<!-- measured: end -->"
LEAD = pathlib.Path(__file__).resolve().parents[2] / "docs" / "performance.md"

MEGABYTE = 1 << 20
LOADED_TITLES = {"none": "no tool at work", **{name: WAYS[name].title for name in ("alter", "run", "repack")}}


class Store:
    """performance.json, .md and .svg of a folder."""

    def __init__(self, folder):
        self.data = folder / "performance.json"
        self.document = folder / "performance.md"
        self.picture = folder / "performance.svg"
        kept = json.loads(self.data.read_text()) if self.data.exists() else {}
        self.machine = kept.get("machine")
        self.sections = kept.get("sections", {})

    @property
    def results(self):
        return {name: section["result"] for name, section in self.sections.items()}

    def keep(self, name, result, commit):
        self.sections[name] = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "commit": commit,
                               "machine": self.machine, "result": result}

    def write(self):
        """All files; each appears whole or not at all."""
        if self.sections:
            text = json.dumps({"machine": self.machine, "sections": self.sections}, indent=1)
            replace(self.data, re.sub(r"\[\s+([-\d.]+),\s+([-\d.]+)\s+\]", r"[\1, \2]", text) + "\n")  # pairs on one line
        if "wall" in self.sections or "load" in self.sections:
            import plot  # matplotlib takes a second
            plot.draw(self.results, self.picture)
        text = (self.document if self.document.exists() else LEAD).read_text()
        head, _, rest = text.partition(BEGIN)
        _, _, tail = rest.partition(END)
        replace(self.document, f"{head.rstrip()}\n\n{BEGIN}\n{generated(self)}\n{END}\n\n{tail.lstrip()}".rstrip() + "\n")


def replace(path, text):
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


# Tables: a head and rows of cells, the first of them a name.

def markdown(head, rows):
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    lines.insert(1, "| --- |" + " ---: |" * (len(head) - 1))
    return "\n".join(lines)


def plain(head, rows):
    rows = [[str(cell).replace("`", "").replace("**", "") for cell in row] for row in [head, *rows]]
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    rows.insert(1, ["-" * width for width in widths])
    return "\n".join("  " + "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width)
                                      for at, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in rows)


def spread(values, digits=1):
    """Median, least, most."""
    return [f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))]


def column(runs, field):
    return [run[field] for run in runs]


def goals_table(store):
    words = {True: "met", False: "**missed**", None: "–"}
    return ("", "figure", "goal", ""), [(what, value, goal, words[met])
                                        for what, value, goal, met in figures.goals(store.results)]


def wall_table(section):
    rows = []
    for name, runs in section["ways"].items():
        other = "repack" if name.startswith(("rebuild", "repack")) else "alter"
        ratio = statistics.median(figures.ratios(section, name, other))
        seconds = column(runs, "seconds")
        rows.append((WAYS[name].title, *spread(seconds), f"{section['rows'] / statistics.median(seconds):,.0f}",
                     f"{ratio:.2f} of {WAYS[other].title}" if name != other else "",
                     f"{statistics.median(column(runs, 'wal_bytes')) / MEGABYTE:,.0f}"))
    return ("", "median s", "min", "max", "rows/s", "ratio", "WAL MB"), rows


def phases_table(section):
    rows = []
    for name, runs in section["ways"].items():
        if "phases" not in runs[0]:
            continue
        rest = [run["seconds"] - sum(run["phases"].values()) for run in runs]
        rows.append((WAYS[name].title,
                     *(f"{statistics.median(run['phases'][phase] for run in runs):.1f}"
                       if all(phase in run["phases"] for run in runs) else "–" for phase in PHASES),
                     f"{statistics.median(rest):.1f}"))
    return ("seconds, medians", *PHASES, "start and swap"), rows


def load_table(section):
    rows = []
    for name, title in LOADED_TITLES.items():
        runs = section["ways"][name]
        lock = [run["lock_ms"] for run in runs if "lock_ms" in run]
        rows.append((title, *([f"{statistics.median(column(runs, 'seconds')):.1f}"] if name != "none" else ["–"]),
                     f"{statistics.median(column(runs, 'p50_ms')):.1f}", f"{statistics.median(column(runs, 'p99_ms')):,.1f}",
                     f"{statistics.median(column(runs, 'longest_ms')):,.1f}", f"{max(column(runs, 'longest_ms')):,.1f}",
                     f"{max(lock):.1f}" if lock else "–",
                     f"{sum(column(runs, 'transactions')):,}"))
    idle = section["ways"]["idle"]
    rows.append(("pgrecast run, without load", f"{statistics.median(column(idle, 'seconds')):.1f}", *["–"] * 4,
                 f"{max(column(idle, 'lock_ms')):.1f}", "–"))
    return ("", "median s", "half wait ≤ ms", "99 % ≤ ms", "longest ms, median", "of all rounds", "lock held ms, most",
            "transactions"), rows


LOCK_CASES = (("nothing depends on the table", "cutovers"), ("50 objects depend on it", "dependents"),
              *((f"{keys} foreign keys refer to it", f"keys_{keys}") for keys in (2, 46, 109)))


def lock_cases(section):
    """Those that were measured: figures of an earlier time may lack some."""
    return [case for case in LOCK_CASES if section.get(case[1])]


def lock_table(section):
    rows = []
    for title, name in lock_cases(section):
        runs = section[name]
        rows.append((title, len(runs), *spread(column(runs, "lock_ms")), *spread(column(runs, "longest_ms"))[::2],
                     sum(run["attempts"] > 1 for run in runs)))
    return ("", "cutovers", "lock held ms, median", "min", "max", "longest transaction ms, median", "max",
            "more than one attempt"), rows


def lock_parts_table(section):
    """What the lock was held for; the rest is what the program's parts leave."""
    rows = []
    for title, name in lock_cases(section):
        runs = section[name]
        rest = statistics.median(run["lock_ms"] - sum(run["parts"].values()) for run in runs)
        rows.append((title, *(f"{statistics.median(run['parts'][part] for run in runs):.1f}" for part in runs[0]["parts"]),
                     f"{rest:.1f}"))
    return ("of that, medians, ms", *section["cutovers"][0]["parts"], "rest"), rows


def apply_table(section):
    writing = section["write_rate"]
    rows = [(f"pgbench at its fastest, {section['clients']} clients, one row a transaction", f"{writing:,.0f}", "1.0"),
            ("pgbench while the job is there and does not apply", f"{section['write_rate_held']:,.0f}",
             f"{section['write_rate_held'] / writing:.1f}"),
            (f"pgrecast, applying {section['written']:,} changes", f"{section['apply_rate']:,.0f}",
             f"{section['apply_rate'] / writing:.1f}")]
    return ("", "rows/s", "of pgbench"), rows


def key_table(section):
    titles = {"sequential": "sequential integer", "random": "random UUID"}
    return ("key", "median s", "min", "max", "rows/s"), [
        (titles[name], *spread(column(runs, "seconds")),
         f"{section['rows'] / statistics.median(column(runs, 'seconds')):,.0f}") for name, runs in section["ways"].items()]


def growth_table(section):
    rows = []
    for size, seconds in figures.seconds_per_million(section):
        runs = section["sizes"][str(size)]
        rows.append((f"{size:,} rows", len(runs), *spread(column(runs, "seconds")), f"{seconds:.2f}",
                     f"{max(column(runs, 'memory_bytes')) / MEGABYTE:.1f}",
                     f"{max(column(runs, 'slot_restart_bytes')) / MEGABYTE:,.1f}"))
    rows += [(f"{int(size):,} rows", "not measured", *["–"] * 6) for size in section["left_out"]]
    return ("", "runs", "median s", "min", "max", "s per million rows", "client MB, most", "WAL held MB, most"), rows


def resources_table(section):
    runs, alters = section["ways"]["run"], section["ways"]["alter"]
    rows = [(f"client, share of one core, {phase}",
             *spread([100 * run["cpu_share"].get(phase, 0) for run in runs]), "%") for phase in PHASES]
    rows += [(f"oldest snapshot, {phase}", *spread([run["snapshot_seconds"].get(phase, 0) for run in runs], 2), "s")
             for phase in PHASES]
    for title, values, unit in (
            ("client, peak memory", [run["memory_bytes"] / MEGABYTE for run in runs], "MB"),
            ("WAL held by the slot (restart_lsn), most", [run["slot_restart_bytes"] / MEGABYTE for run in runs], "MB"),
            ("WAL not confirmed (confirmed_flush_lsn), most", [run["slot_confirmed_bytes"] / MEGABYTE for run in runs], "MB"),
            ("WAL written by pgrecast", [run["wal_bytes"] / MEGABYTE for run in runs], "MB"),
            ("WAL written by ALTER TABLE", [run["wal_bytes"] / MEGABYTE for run in alters], "MB")):
        rows.append((title, *spread(values), unit))
    return ("", "median", "min", "max", ""), rows


def load_resources(section):
    """What the sampled runs under load had, in a sentence."""
    runs = section["ways"]["run"]
    return (f"Under load the client had at most {max(column(runs, 'memory_bytes')) / MEGABYTE:.1f} MB of memory, the slot held"
            f" at most {max(column(runs, 'slot_restart_bytes')) / MEGABYTE:.1f} MB of WAL, and the oldest snapshot of the copy"
            f" was {max(run['snapshot_seconds'].get('copy', 0) for run in runs):.2f} s old.")


def sizes_of(name, result):
    if name == "growth":
        return f"{counted(result['runs'], 'run')} of each size, the largest once"
    if name == "lock":
        return f"{result['rows']:,} rows, {counted(len(result['cutovers']), 'cutover')}"
    return f"{result['rows']:,} rows" + (f", {counted(result['runs'], 'round')}" if "runs" in result else "")


def counted(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")


SECTIONS = {
    "wall": ("Wall time, nothing else at work", (wall_table, phases_table)),
    "load": ("Under 200 transactions a second", (load_table,)),
    "lock": ("The lock at the cutover, under the same load", (lock_table, lock_parts_table)),
    "apply": ("Applying a backlog", (apply_table,)),
    "key": ("Random key", (key_table,)),
    "growth": ("Growth", (growth_table,)),
    "resources": ("Resources", (resources_table,)),
}


def generated(store):
    """What stands between the markers."""
    parts = ["## Goals", markdown(*goals_table(store))]
    if store.picture.exists():
        parts.append(f"![wall times, and the waits of transactions]({store.picture.name})")
    for name, (title, tables) in SECTIONS.items():
        parts.append(f"## {title}")
        section = store.sections.get(name)
        if not section:
            parts.append("Not measured yet.")
            continue
        parts.append(f"{sizes_of(name, section['result'])}; commit {section['commit']}, {section['date']}.")
        parts += [markdown(*make(section["result"])) for make in tables]
        if name == "load":
            parts.append(load_resources(section["result"]))
        parts += [f"Left out: {reason}." for reason in section["result"].get("left_out", {}).values()]
    flames = sorted(path.name for path in store.document.parent.glob("flames-*.svg"))
    if flames:
        parts += ["## Profiles", "Where processor time goes: " + ", ".join(
            f"[{name[len('flames-'):-len('.svg')]}]({name})" for name in flames) + "."]
    if store.machine:
        parts += ["## Machine and versions", markdown(("", ""), machine_rows(store))]
    return "\n\n".join(parts)


def machine_rows(store):
    m = store.machine
    newest = max(store.sections.values(), key=lambda section: section["date"], default=None)
    rows = [("processor", m["processor"]), ("cores", m["cores"]), ("memory", f"{m['memory_bytes'] / (1 << 30):.1f} GiB"),
            ("kernel", m["kernel"]), ("8 kB written and flushed to disk", f"{m['flush_ms']:.2f} ms, median"),
            ("PostgreSQL", m["postgresql"]), ("pg_repack", m["pg_repack"]), ("pgrecast", m["pgrecast"])]
    if newest:
        rows.append(("date", newest["date"]))
    others = [name for name, section in store.sections.items()
              if any(section["machine"][field] != m[field] for field in ("processor", "cores", "postgresql", "pg_repack"))]
    if others:
        rows.append(("measured on another machine or version", ", ".join(others)))
    return rows


def terminal(store, name):
    """A section's tables for the terminal."""
    title, tables = SECTIONS[name]
    result = store.sections[name]["result"]
    return "\n\n".join([f"{title}: {sizes_of(name, result)}", *(plain(*make(result)) for make in tables)])


def goals_text(store):
    return plain(*goals_table(store))
