"""Flame graphs of one job, one for each phase, from perf: client and server processes told apart by their sessions."""

import collections
import html
import pathlib
import re
import shutil
import signal
import subprocess

from servers import die_with_parent
from ways import PHASES, Failed

RATE = 499  # samples a second on each core: no multiple of what timers do
LEAST = 0.005  # of all samples; narrower frames are left out
WIDTH, HEIGHT, MARGIN = 1200, 17, 10
LETTER = 6.6  # width of one
KERNEL = 0xFFFF800000000000  # its addresses begin here

# By the process that a stack is of.
COLOURS = {"client": ("#8fbfe0", "#b5d5eb"), "server": ("#f3b36b", "#f7cb98"), "other": ("#d0d0d0", "#e0e0e0")}


def record(run, server, folder):
    """
    run(): does a job, and gives its process and a Sampler that knows its phases and sessions. Gives the files made, each
    flames-PHASE.svg.
    """
    if not shutil.which("perf"):
        raise Failed("perf is not here: Debian's package linux-perf has it")
    data = pathlib.Path(server.socket_folder) / "perf.data"
    # The clock is that of the phases' times.
    perf = subprocess.Popen(["perf", "record", "-F", str(RATE), "-a", "-g", "-k", "CLOCK_MONOTONIC", "-o", str(data)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True, preexec_fn=die_with_parent(signal.SIGINT))
    try:
        client, sampler = run()
    finally:
        if perf.poll() is None:
            perf.send_signal(signal.SIGINT)
        said = perf.communicate()[0]
    if not data.exists() or data.stat().st_size == 0:
        raise Failed(f"perf has recorded nothing; it needs root, or kernel.perf_event_paranoid = -1\n{said}")
    times = {phase: begun for phase, (begun, _) in sampler.phase_times().items()}
    stacks = fold(data, client, {server.process.pid: "postmaster", **sampler.sessions}, times)
    files = []
    for phase in PHASES:
        if stacks[phase]:
            path = folder / f"flames-{phase}.svg"
            path.write_text(draw(phase, stacks[phase]))
            files.append(path)
    return files


def fold(data, client, sessions, times):
    """Samples by stack for each phase, outermost frame first; the first frame is the process."""
    script = subprocess.Popen(["perf", "script", "-i", str(data), "--ns", "-F", "comm,pid,time,ip,sym"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, errors="replace",
                              preexec_fn=die_with_parent(signal.SIGKILL))
    starts = sorted((begun, phase) for phase, begun in times.items())
    stacks = collections.defaultdict(collections.Counter)
    for pid, moment, frames in samples(script.stdout):
        phase = next((phase for begun, phase in reversed(starts) if begun <= moment), None)
        process = process_name(pid, client, sessions)
        if phase and process:
            # What else the machine does is of no interest but for its size.
            stacks[phase][(process, *(frames if process[0] != "other" else ()))] += 1
    if script.wait() != 0 or not stacks:
        raise Failed("perf script has no samples of the job")
    return stacks


def samples(lines):
    """Number of the process, time, frames from the outermost on: each with whether it is the kernel's."""
    head, frames = None, []
    for line in lines:
        if not line.strip():
            if head:
                yield (*head, tuple(reversed(frames)))
            head, frames = None, []
        elif head is None:
            found = re.match(r".*?\s(\d+)\s+([\d.]+):", line)
            head = (int(found[1]), float(found[2])) if found else None
        else:
            address, _, symbol = line.strip().partition(" ")
            frames.append((symbol.strip() or "[unknown]", int(address, 16) >= KERNEL))
    if head:
        yield (*head, tuple(reversed(frames)))


def process_name(pid, client, sessions):
    """Kind and name; None for the idle loop."""
    if pid == 0:
        return None
    if pid == client:
        return "client", "client"
    if pid in sessions:
        return "server", f"server: {sessions[pid]}"
    return "other", "other processes"


class Frame:
    def __init__(self):
        self.count = 0
        self.under = {}


def tree(stacks):
    root = Frame()
    for (process, *frames), count in stacks.items():
        frame = root
        frame.count += count
        for key in (process[1], *frames):
            frame = frame.under.setdefault(key, Frame())
            frame.count += count
    return root


def draw(phase, stacks):
    """An SVG, the processes on top; each frame tells its name and share when it is pointed at."""
    root = tree(stacks)
    kinds = {process[1]: process[0] for process, *_ in stacks}
    scale = (WIDTH - 2 * MARGIN) / root.count
    shapes, deepest = [], 0

    def add(frame, x, depth, kind):
        nonlocal deepest
        for key, part in sorted(frame.under.items(), key=lambda item: -item[1].count):
            if part.count < root.count * LEAST:
                break
            name, kernel = (key, False) if isinstance(key, str) else key
            part_kind = kinds[key] if depth == 0 else kind
            deepest = max(deepest, depth)
            shapes.append(shape(name, part.count, root.count, x, depth, scale, COLOURS[part_kind][kernel]))
            add(part, x, depth + 1, part_kind)
            x += part.count * scale

    add(root, MARGIN, 0, None)
    height = 3 * MARGIN + 20 + (deepest + 1) * HEIGHT
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="20" font-size="14" font-weight="bold">{phase}</text>',
        f'<text x="{MARGIN + 80}" y="20" fill="#555555">{root.count:,} samples, {RATE} a second on each core; lighter: in the'
        ' kernel; point at a frame for its share</text>',
        *shapes, "</svg>", ""])


def shape(name, count, total, x, depth, scale, colour):
    width = count * scale
    y = 2 * MARGIN + 14 + depth * HEIGHT
    letters = int((width - 4) / LETTER)
    text = name if len(name) <= letters else name[:letters - 1] + "…" if letters >= 4 else ""
    label = f'<text x="{x + 3:.1f}" y="{y + 12}">{html.escape(text)}</text>' if text else ""
    return (f'<g><title>{html.escape(name)}: {100 * count / total:.1f} %</title><rect x="{x:.1f}" y="{y}"'
            f' width="{max(width - 0.5, 0.5):.1f}" height="{HEIGHT - 1}" fill="{colour}"/>{label}</g>')
