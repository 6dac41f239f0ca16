"""From raw results to the figures that have a goal. A figure of a section that was not measured is None."""

import statistics

MEGABYTE = 1 << 20
GOALS = (
    # what, its unit, the goal, whether less is better, the figure
    ("whole job, verified, against ALTER TABLE", "x", 1.0, True, lambda r: against(r, "wall", "run", "alter")),
    ("whole job, not verified, against ALTER TABLE", "x", 0.7, True,
     lambda r: against(r, "wall", "run_unverified", "alter")),
    ("`--rebuild`, verified, against pg_repack -j2", "x", 1.0, True, lambda r: against(r, "wall", "rebuild", "repack")),
    ("`--rebuild`, not verified, against pg_repack -j2", "x", 1.0, True,
     lambda r: against(r, "wall", "rebuild_unverified", "repack")),
    ("under load: whole job against the same without load", "x", 1.1, True, lambda r: against(r, "load", "run", "idle")),
    ("under load: 99 % of transactions wait at most", "ms", 30, True, lambda r: loaded(r, "p99_ms", statistics.median)),
    ("under load: longest wait of a transaction", "ms", 60, True, lambda r: loaded(r, "longest_ms", max)),
    ("lock held at the cutover, median", "ms", 10, True, lambda r: lock(r, statistics.median)),
    ("lock held at the cutover, worst", "ms", 30, True, lambda r: lock(r, max)),
    ("apply of a backlog, against the most rows pgbench can write", "x", 10, False, lambda r: apply(r)),
    ("random UUID key: rows/s against a sequential key", "x", 0.8, False, lambda r: random_key(r)),
    ("growth: seconds per million rows, a larger table against a smaller one", "x", 1.1, True, lambda r: growth(r)),
    ("client, share of one core during the copy", "%", 15, True, lambda r: processor(r)),
    ("client, peak memory", "MB", 100, True, lambda r: sampled(r, lambda run: run["memory_bytes"] / MEGABYTE)),
    ("WAL written, against ALTER TABLE", "x", 1.2, True, lambda r: log_written(r)),
    ("most WAL held by the slot", "MB", 64, True, lambda r: sampled(r, lambda run: run["slot_restart_bytes"] / MEGABYTE)),
    ("oldest snapshot held during the copy", "s", 1.5, True,
     lambda r: sampled(r, lambda run: run["snapshot_seconds"].get("copy", 0))),
)


def goals(results):
    """For each goal: what, figure and goal as text, and whether it is met (None: not measured)."""
    rows = []
    for what, unit, goal, less, figure in GOALS:
        value = figure(results)
        met = None if value is None else value <= goal if less else value >= goal
        rows.append((what, "not measured" if value is None else shown(value, unit, goal),
                     f"{'≤' if less else '≥'} {goal:g} {unit}", met))
    return rows


def shown(value, unit, goal):
    """With digits enough to tell it from the goal: no figure that misses it looks as if it were met."""
    digits = 2 if unit in ("x", "s") else 1
    while digits < 4 and value != goal and round(value, digits) == goal:
        digits += 1
    return f"{value:.{digits}f} {unit}"


def ratios(section, way, other, field="seconds"):
    """Round by round."""
    return [one[field] / two[field] for one, two in zip(section["ways"][way], section["ways"][other])]


def against(results, name, way, other):
    return statistics.median(ratios(results[name], way, other)) if name in results else None


def loaded(results, field, summary):
    return summary([run[field] for run in results["load"]["ways"]["run"]]) if "load" in results else None


def lock(results, summary):
    return summary([one["lock_ms"] for one in results["lock"]["cutovers"]]) if "lock" in results else None


def apply(results):
    return results["apply"]["apply_rate"] / results["apply"]["write_rate"] if "apply" in results else None


def random_key(results):
    """Rows a second: the inverse of the seconds."""
    return statistics.median(ratios(results["key"], "sequential", "random")) if "key" in results else None


def seconds_per_million(section):
    """By size, smallest first."""
    return [(int(size), statistics.median(run["seconds"] for run in runs) / int(size) * 1e6)
            for size, runs in sorted(section["sizes"].items(), key=lambda item: int(item[0]))]


def growth(results):
    """The worst pair. None where the largest size was left out: then it is not known."""
    if "growth" not in results or results["growth"]["left_out"]:
        return None
    sizes = seconds_per_million(results["growth"])
    return max(large / small for at, (_, small) in enumerate(sizes) for _, large in sizes[at + 1:])


def processor(results):
    if "resources" not in results:
        return None
    shares = [run["cpu_share"]["copy"] for run in results["resources"]["ways"]["run"] if "copy" in run["cpu_share"]]
    return 100 * statistics.median(shares) if shares else None


def sampled(results, figure):
    """The most of all runs that were looked at: with load and without, of all sizes."""
    runs = [run for name in ("resources", "load") if name in results for run in results[name]["ways"]["run"]]
    runs += [run for size in results.get("growth", {"sizes": {}})["sizes"].values() for run in size]
    return max(map(figure, runs)) if "resources" in results else None


def log_written(results):
    if "resources" not in results:
        return None
    return statistics.median(ratios(results["resources"], "run", "alter", "wal_bytes"))
