"""Runs the program as a person would, and looks at what it leaves behind."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import hints
from servers import APP_ROLE, die_with_parent, wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("PGRECAST_PROGRAM") or str(REPOSITORY / "build" / "pgrecast")

# Exit status.
DONE, FAILED, USAGE, REFUSED, NO_PARITY, NO_LOCK, NO_ROLLBACK = range(7)
KILLED = -signal.SIGKILL

ENDED = ("finished", "aborted", "failed")  # phases of a job that is a record only

# Where PGRECAST_TEST_KILL ends the program, in the order in which a job gets there …
POINTS_FORWARD = (
    "init-row", "init-publication", "init-slot", "init-barrier", "init-shadow", "copy-chunk", "copy-done", "index-key",
    "index-done", "catchup-shadow", "catchup-done", "verify-aligned", "verify-done", "ready", "cutover-locked",
    "cutover-swapped", "cutover-committed", "reverse-start", "reverse")
POINTS_BACK = ("rollback-locked", "rollback-swapped", "rollback-committed", "rolled-back")  # … once it is rolled back …
POINTS_END = ("finish-begun", "finish-dropped")  # … and once it is finished.
POINTS_BEFORE_SWAP = POINTS_FORWARD[:POINTS_FORWARD.index("cutover-committed")]


# A request to continue: of the job that a test holds (PGRECAST_TEST_HOLD).
RELEASE = ("INSERT INTO pgrecast.request (job_id, kind, requested_by)"
           " SELECT id, 'release', current_user FROM pgrecast.job WHERE ended_at IS NULL")


@dataclasses.dataclass
class Outcome:
    """How one call of the program ended."""

    command: list
    status: int
    stdout: str
    stderr: str
    seconds: float
    stdout_bytes: bytes = b""

    @property
    def text(self):
        return self.stdout + self.stderr

    def __str__(self):
        return (f"{' '.join(self.command)}\nexit status {self.status} after {self.seconds:.1f} s\n"
                f"--- stdout\n{self.stdout[-4000:]}\n--- stderr\n{self.stderr[-8000:]}")


class Running:
    """The program, under way. Its output goes to files, so that it never waits for a reader."""

    def __init__(self, database, arguments, hold=None, kill=None, pause=None, environment=None, user=APP_ROLE, program=None,
                 stdout=None, stderr=None):
        """
        hold: the phase at whose entry it is to stop until release(). kill: the point at which it kills itself. pause: the
        point at which it stops (SIGSTOP) once, until it is continued. stdout, stderr: files to which it writes instead.
        """
        self.database = database
        self.command = [program or PROGRAM, *map(str, arguments)]
        self._stdout = tempfile.TemporaryFile()
        self._stderr = tempfile.TemporaryFile()
        self._started = time.monotonic()
        self._seconds = None
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        variables.update(database.environment(user))
        variables.update({"LC_ALL": "C.UTF-8", "HOME": "/nonexistent"})  # no .pgpass, no service file
        if hold:
            variables["PGRECAST_TEST_HOLD"] = hold
        if kill:
            variables["PGRECAST_TEST_KILL"] = kill
        if pause:
            variables["PGRECAST_TEST_PAUSE"] = pause
        variables.update(environment or {})
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=stdout or self._stdout,
                                        stderr=stderr or self._stderr, env=variables,
                                        preexec_fn=die_with_parent(signal.SIGKILL))

    def poll(self):
        return self.process.poll()

    def wait(self, timeout=120):
        """Its outcome; a program that does not end is killed, and that is an error."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {timeout} s: {self.outcome()}") from None
        outcome = self.outcome()
        hints.check(outcome.command[1:], outcome.text)
        return outcome

    def kill(self, signal_number=signal.SIGKILL):
        """Send a signal to this process; after SIGKILL wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
            if signal_number == signal.SIGKILL:
                self.process.wait()
        return self

    def wait_killed(self, timeout=120):
        """Wait until it has killed itself at the point it was given."""
        outcome = self.wait(timeout)
        assert outcome.status == KILLED, f"it was to be killed\n{outcome}"
        return outcome

    def outcome(self):
        if self._seconds is None:
            self._seconds = time.monotonic() - self._started
        return Outcome(self.command, self.process.returncode, self._text(self._stdout), self._text(self._stderr),
                       self._seconds, self._bytes(self._stdout))

    @staticmethod
    def _bytes(file):
        file.seek(0)
        return file.read()

    @classmethod
    def _text(cls, file):
        return cls._bytes(file).decode(errors="replace")

    def errors_so_far(self):
        """What it has written to stderr, while it runs."""
        handle = self._stderr.fileno()
        return os.pread(handle, os.fstat(handle).st_size, 0).decode(errors="replace")

    def wait_phase(self, *phases, timeout=150):
        """Wait until the job is in one of these phases; an error when the program ends before."""

        def there():
            phase = job_phase(self.database)
            if phase in phases:
                return phase
            if self.poll() is not None:
                raise AssertionError(f"ended in phase {phase}, before {phases}: {self.outcome()}")
            return None

        return wait_until(there, f"phase {' or '.join(phases)}", timeout)

    def release(self):
        """Let a job that was held go on."""
        self.database.execute(RELEASE)

    def wait_paused(self):
        """Wait until it has stopped at the point it was given."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the program to be paused")

    def peak_memory(self):
        """The most resident memory so far, in bytes; 0 once it has ended."""
        try:
            for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        except FileNotFoundError:
            pass
        return 0


def call(database, *arguments, timeout=120, **options):
    """Run a command to its end."""
    return Running(database, arguments, **options).wait(timeout)


def start_run(database, sql, *arguments, spool=None, window="0", **options):
    """
    Start `run` with the given SQL. Its spool is in a folder of the test's. window: the rollback window; "0", so that
    the run ends with the cutover, None for the program's own default.
    """
    spool = spool or new_spool(database)
    how = ["--sql", sql] if sql is not None else []
    if window is not None:
        how.append(f"--rollback-window={window}")
    return Running(database, ["run", *how, "--spool-dir", spool, *arguments], **options)


def new_spool(database):
    return tempfile.mkdtemp(prefix="spool-", dir=database.server.socket_folder)


def run(database, sql, *arguments, timeout=120, **options):
    """`run` to its end."""
    return start_run(database, sql, *arguments, **options).wait(timeout)


def rebuild(database, table, *arguments, **options):
    return run(database, None, "--rebuild", "-t", table, *arguments, **options)


def start_resume(database, job, *arguments, **options):
    """Start `resume`. A hold or a release of an instance before it means nothing to this one."""
    return Running(database, ["resume", job, *arguments], **options)


def resume(database, job, *arguments, timeout=120, **options):
    """`resume` to its end."""
    return start_resume(database, job, *arguments, **options).wait(timeout)


def damage(database, sql):
    """Write an inactive table as only the job's own sessions can: neither its guard nor its seal tells of it."""
    job = database.value("SELECT id FROM pgrecast.job WHERE ended_at IS NULL")
    database.execute(f"CREATE TEMPORARY TABLE pgrecast_job_{job} (); {sql}")


def status(database, *arguments):
    """`status --json`: one object per job."""
    outcome = call(database, "status", "--json", *arguments)
    assert outcome.status == DONE, str(outcome)
    text = outcome.stdout.strip()
    if not text:
        return []
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines()]
    return found if isinstance(found, list) else [found]


def the_job(database):
    """What `status --json` says of the only job."""
    (job,) = status(database)
    return job


def job_phase(database):
    """The phase of the only (or newest) job, None where there is none."""
    if not database.value("SELECT EXISTS (SELECT FROM information_schema.tables WHERE table_schema = 'pgrecast'"
                          " AND table_name = 'progress')"):  # made after the others
        return None
    return database.value("SELECT phase FROM pgrecast.job ORDER BY created_at DESC LIMIT 1")


# Not in temporary schemas: a session that ended in a crash of the server leaves its tables there, for the server to remove.
LEFTOVERS = """
SELECT 'slot ' || slot_name FROM pg_replication_slots
 WHERE database = current_database() OR (database IS NULL AND slot_name LIKE '%pgrecast%')
UNION ALL
SELECT 'publication ' || pubname FROM pg_publication WHERE pubname ~* 'pgrecast'
UNION ALL
SELECT 'relation ' || c.oid::regclass FROM pg_class c
  LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname ~* 'pgrecast' AND coalesce(n.nspname, '') !~ '^(pgrecast$|pg_temp|pg_toast_temp)'
UNION ALL
SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname ~* 'pgrecast' AND nspname <> 'pgrecast'
UNION ALL
SELECT 'constraint ' || conname || ' of ' || conrelid::regclass FROM pg_constraint c
  JOIN pg_namespace n ON n.oid = c.connamespace
 WHERE conname ~* 'pgrecast' AND n.nspname !~ '^(pgrecast$|pg_temp|pg_toast_temp)'
UNION ALL
SELECT 'column ' || attname || ' of ' || attrelid::regclass FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE attname ~* 'pgrecast' AND NOT attisdropped AND n.nspname !~ '^(pgrecast$|pg_temp|pg_toast_temp)'
UNION ALL
SELECT 'type ' || t.oid::regtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE typname ~* 'pgrecast' AND n.nspname !~ '^(pgrecast$|pg_temp|pg_toast_temp)'
UNION ALL
SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE proname ~* 'pgrecast' AND n.nspname !~ '^(pgrecast$|pg_temp|pg_toast_temp)'
UNION ALL
SELECT 'trigger ' || tgname || ' of ' || tgrelid::regclass FROM pg_trigger
 WHERE tgname ~* 'pgrecast' AND NOT tgisinternal
UNION ALL
SELECT 'statistics ' || stxname FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
 WHERE stxname ~* 'pgrecast' AND n.nspname !~ '^(pgrecast$|pg_temp|pg_toast_temp)'
UNION ALL
SELECT 'replication origin ' || roname FROM pg_replication_origin WHERE roname ~* 'pgrecast'
"""

# What a job has made, by the names that its status has for them: without what depends on a table and goes with it.
MADE = """
SELECT slot_name FROM pg_replication_slots WHERE database = current_database() AND NOT temporary
UNION ALL
SELECT pubname FROM pg_publication WHERE pubname ~* 'pgrecast'
UNION ALL
SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE relname ~* 'pgrecast' AND relkind IN ('r', 'p') AND relpersistence <> 't' AND n.nspname <> 'pgrecast'
"""

SESSIONS = """
SELECT 'session ' || pid || ' ' || application_name || ': ' || query FROM pg_stat_activity
 WHERE application_name ~* 'pgrecast' AND datname = current_database()
"""


def leftovers(database):
    """Names of what a finished, refused or aborted job must not leave. Sessions get a moment to end."""
    try:
        wait_until(lambda: not database.superuser(SESSIONS), "sessions to end", timeout=5)
    except TimeoutError:
        pass
    return [name for (name,) in database.superuser(SESSIONS) + database.superuser(LEFTOVERS)]


def things_made(database):
    return [name for (name,) in database.superuser(MADE)]


def job_rows(database):
    """How many jobs the state schema knows; 0 where there is no such schema."""
    if database.value("SELECT to_regclass('pgrecast.job')") is None:
        return 0
    return database.value("SELECT count(*) FROM pgrecast.job")
