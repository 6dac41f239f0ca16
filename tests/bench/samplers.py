"""Looks at a running job from outside, ten times a second: the client's processor time and memory, what its slot holds
back on the server, and the oldest snapshot of its sessions."""

import collections
import os
import pathlib
import threading
import time

INTERVAL = 0.1
TICKS = os.sysconf("SC_CLK_TCK")

SERVER = """
SELECT (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots
         WHERE database = current_database()),
       (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)) FROM pg_replication_slots
         WHERE database = current_database()),
       (SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_xmin IS NOT NULL AND application_name LIKE 'pgrecast%'),
       to_regclass('pgrecast.job') IS NOT NULL
"""
PHASE = "SELECT phase FROM pgrecast.job ORDER BY id DESC LIMIT 1"
SESSIONS = "SELECT pid, coalesce(nullif(application_name, ''), backend_type), backend_type FROM pg_stat_activity"


def processor_seconds(pid):
    """User and system time so far, of all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_memory(pid):
    """The most resident memory so far, in bytes."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0  # it has ended, and nobody has waited for it yet


class Sampler(threading.Thread):
    """At work from its making to stop(). sessions: note which session has which process, too."""

    def __init__(self, database, pid, sessions=False):
        super().__init__(daemon=True)
        self.pid = pid
        self.memory = 0
        self.slot_restart = self.slot_confirmed = 0
        self.snapshots = collections.defaultdict(float)  # the oldest by phase, in seconds
        self.moments = []  # monotonic time, phase, processor seconds so far
        self.sessions = {} if sessions else None  # process to the name of its session
        self.error = None
        self._conn = database.connect(user="postgres")
        self._over = threading.Event()
        self.start()

    def run(self):
        try:
            with self._conn.cursor() as cursor:
                while not self._over.wait(INTERVAL):
                    self._look(cursor)
        except Exception as error:  # for the main thread, which would not hear of it
            self.error = error
        finally:
            self._conn.close()

    def _look(self, cursor):
        cursor.execute(SERVER)
        restart, confirmed, snapshot, begun = cursor.fetchone()
        phase = None
        if begun:
            cursor.execute(PHASE)
            phase = (cursor.fetchone() or [None])[0]
        if self.sessions is not None:
            cursor.execute(SESSIONS)
            self.sessions.update({pid: f"{name}, worker" if kind == "parallel worker" else name
                                  for pid, name, kind in cursor.fetchall()})
        self.slot_restart = max(self.slot_restart, int(restart or 0))
        self.slot_confirmed = max(self.slot_confirmed, int(confirmed or 0))
        name = phase or "init"
        self.snapshots[name] = max(self.snapshots[name], float(snapshot or 0))
        try:
            self.memory = max(self.memory, peak_memory(self.pid))
            self.moments.append((time.monotonic(), name, processor_seconds(self.pid)))
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended

    def stop(self):
        """End, and give what was seen."""
        self._over.set()
        self.join()
        if self.error:
            raise self.error
        return {"memory_bytes": self.memory, "slot_restart_bytes": self.slot_restart,
                "slot_confirmed_bytes": self.slot_confirmed, "snapshot_seconds": dict(self.snapshots),
                "cpu_share": shares(self.moments)}

    def phase_times(self):
        """First and last moment of each phase."""
        times = {}
        for moment, phase, _ in self.moments:
            times[phase] = (times.get(phase, (moment,))[0], moment)
        return times


def shares(moments):
    """Processor time by phase, as a share of one core. An interval in which the phase changes belongs to none."""
    wall, cpu = collections.Counter(), collections.Counter()
    for (begun, phase, before), (ended, same, after) in zip(moments, moments[1:]):
        if phase == same:
            wall[phase] += ended - begun
            cpu[phase] += after - before
    return {phase: cpu[phase] / wall[phase] for phase in wall}
