"""The machine and the versions that figures are of."""

import os
import pathlib
import platform
import re
import statistics
import subprocess
import time

from pgrecast import PROGRAM, REPOSITORY
from servers import CLIENT_BIN


def output(*command):
    done = subprocess.run([str(word) for word in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, cwd=REPOSITORY)
    return done.stdout.strip() if done.returncode == 0 else ""


def commit():
    """Of the program, short, with a + where what it is built of is not committed."""
    name = output("git", "rev-parse", "--short=10", "HEAD") or "unknown"
    changed = output("git", "status", "--porcelain", "--", "src", "include", "proto", "meson.build")
    return name + ("+" if changed else "")


def processor():
    found = re.search(r"^model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def flush_ms(folder, count=200):
    """Median time to write a page and have it on disk, where the server has its data."""
    path = pathlib.Path(folder) / "flush"
    times = []
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.pwrite(file, bytes(16 << 20), 0)
        os.fsync(file)
        for number in range(count):
            begun = time.monotonic()
            os.pwrite(file, os.urandom(8192), number * 8192)
            os.fdatasync(file)
            times.append((time.monotonic() - begun) * 1000)
    finally:
        os.close(file)
        path.unlink()
    return statistics.median(times)


def describe(server):
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": memory_bytes(),
        "kernel": f"{platform.system()} {platform.release()}",
        "flush_ms": flush_ms(server.socket_folder),
        "postgresql": server.execute("SHOW server_version")[0][0],
        "pg_repack": output(CLIENT_BIN / "pg_repack", "--version").replace("pg_repack ", ""),
        "pgrecast": output(PROGRAM, "--version").replace("pgrecast ", ""),
    }
