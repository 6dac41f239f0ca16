"""docs/performance.svg: the wall times, and what transactions had to wait while each tool was at work."""

import statistics

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "pgrecast", "font.family": "sans-serif", "font.size": 10,
                            "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#888888"})

import matplotlib.pyplot as pyplot  # noqa: E402 (after the choice of the backend)

from ways import WAYS  # noqa: E402

OURS, OURS_LIGHT, BLOCKING, PEER, GREY = "#1b6ca8", "#8fbfe0", "#c0392b", "#d08a1d", "#999999"
COLOURS = {"alter": BLOCKING, "run": OURS, "run_unverified": OURS_LIGHT, "repack": PEER, "rebuild": OURS,
           "rebuild_unverified": OURS_LIGHT}
LINES = {"alter": "ALTER TABLE", "repack": "pg_repack", "run": "pgrecast"}


def draw(results, path):
    parts = [name for name in ("wall", "load") if name in results]
    figure, axes = pyplot.subplots(len(parts), 1, figsize=(9, 1 + 3.6 * len(parts)), facecolor="white", squeeze=False)
    for name, axis in zip(parts, axes[:, 0]):
        if name == "wall":
            draw_wall(axis, results["wall"], results.get("load"))
        else:
            draw_waits(axis, results["load"])
    figure.tight_layout(h_pad=2.5)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def draw_wall(axis, wall, load):
    """A bar for each way, medians, with the least and the most; those under load below them, hatched."""
    bars = [(WAYS[name].title, runs, COLOURS[name], "") for name, runs in wall["ways"].items()]
    if load and load["rows"] == wall["rows"]:
        bars += [(f"{WAYS[name].title}, under load", load["ways"][name], COLOURS[name], "////")
                 for name in ("alter", "run", "repack")]
    most = max(run["seconds"] for _, runs, _, _ in bars for run in runs)
    for at, (title, runs, colour, hatch) in enumerate(bars):
        seconds = [run["seconds"] for run in runs]
        median = statistics.median(seconds)
        axis.barh(at, median, color=colour, hatch=hatch, edgecolor="white", height=0.7)
        axis.plot([min(seconds), max(seconds)], [at, at], color="#222222", linewidth=1.2)
        axis.text(max(seconds) + most * 0.012, at, f"{median:.1f}", va="center", fontsize=9)
    axis.set_yticks(range(len(bars)), [title for title, *_ in bars])
    axis.invert_yaxis()
    axis.set_xlim(0, most * 1.1)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("seconds: median of the rounds, least to most")
    axis.set_title(f"Wall time, {wall['rows']:,} rows", loc="left", fontweight="bold")


def draw_waits(axis, load):
    """The longest wait in each half second, of the first round."""
    for name, title in LINES.items():
        points = load["series"][name]
        axis.plot([at for at, _ in points], [max(ms, 0.1) for _, ms in points], color=COLOURS[name], linewidth=1.3, label=title)
        axis.axvline(load["ways"][name][0]["seconds"], color=COLOURS[name], linewidth=0.9, linestyle=":")
    usual = statistics.median(ms for _, ms in load["series"]["none"])
    axis.axhline(usual, color=GREY, linewidth=1, linestyle="--", label="no tool at work (median)")
    axis.axvline(0, color=GREY, linewidth=0.9, linestyle=":")
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(readable))
    axis.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.set_xlabel("seconds since the tool began; dotted: it ended")
    axis.set_ylabel("longest wait")
    axis.set_title(f"Waits of transactions, {load['rows']:,} rows, 200 transactions a second", loc="left", fontweight="bold")
    axis.legend(frameon=False, fontsize=9, ncol=4, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def readable(ms, _):
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"
