"""Throwaway PostgreSQL servers of every supported major, and a fresh database in one for each test.

A server lives in a temporary folder, on a unix socket and a free loopback port. It is started as a child process
and stopped by its pid. It dies with this process, however that ends: the kernel sends it a signal (PDEATHSIG).

PostgreSQL refuses to run as root; as root, servers run as the first of UNPRIVILEGED_USERS that exists.
"""

import ctypes
import fcntl
import itertools
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg2
import psycopg2.extensions

MAJORS = (14, 15, 16, 17, 18)
MEMORY = pathlib.Path("/dev/shm")  # a file system in memory, where there is one
MEMORY_LEAST = 8 << 30  # bytes free in it
UNPRIVILEGED_USERS = ("pgrecast-test", "postgres", "nobody")
APP_ROLE = "app_owner"
CLIENT_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")

SETTINGS = {
    "wal_level": "logical",
    "max_wal_senders": 20,
    "max_replication_slots": 20,
    "max_prepared_transactions": 20,
    "max_connections": 100,
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "on",
    "timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %a %u@%d ",
}

_libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def die_with_parent(signal_number):
    """A preexec_fn: the child gets the signal when the thread that started it ends, and does not ignore Ctrl-C as a job in
    the background would."""

    def set_signal():
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        _libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)

    return set_signal


def server_user():
    """The account that servers run as: None means the present one."""
    if os.getuid() != 0:
        return None
    for name in UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no unprivileged user to run PostgreSQL as: " + ", ".join(UNPRIVILEGED_USERS))


def cache_folder():
    if "PGRECAST_CACHE" in os.environ:
        return pathlib.Path(os.environ["PGRECAST_CACHE"])
    if os.getuid() == 0:
        return pathlib.Path("/var/cache/pgrecast")
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "pgrecast"


def binaries(major):
    """The folder of initdb and postgres of one major."""
    debian = pathlib.Path(f"/usr/lib/postgresql/{major}/bin")
    cached = sorted((cache_folder() / "servers").glob(f"{major}.*/bin"))
    for folder in [debian, *reversed(cached)]:
        if (folder / "postgres").exists():
            return folder
    raise RuntimeError(f"PostgreSQL {major} is not here: ./dev test installs it")


def chosen_majors():
    """All majors, or those in PGRECAST_MAJORS, as in "14,18"."""
    wanted = os.environ.get("PGRECAST_MAJORS")
    if not wanted:
        return MAJORS
    majors = tuple(int(word) for word in wanted.replace(",", " ").split())
    unknown = set(majors) - set(MAJORS)
    if unknown:
        raise RuntimeError(f"PGRECAST_MAJORS names majors that are not supported: {sorted(unknown)}")
    return majors


def wait_until(condition, what, timeout=60, interval=0.02):
    """Poll until condition() is true, and return its value; TimeoutError names what was waited for."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout} s for {what}")
        time.sleep(interval)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class TemporaryFolder:
    """A folder with a short path (a unix socket's may have 107 bytes), held by a lock so that others can tell
    whether its maker still lives."""

    PREFIX = "pgr-"

    def __init__(self, owner, base="/tmp"):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=self.PREFIX, dir=base))
        self.path.chmod(0o755)
        self._lock = open(self.path / "lock", "w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if owner:
            os.chown(self.path, owner.pw_uid, owner.pw_gid)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    @classmethod
    def remove_abandoned(cls):
        """Remove folders whose maker was killed."""
        for path in (path for base in (pathlib.Path("/tmp"), MEMORY) for path in base.glob(cls.PREFIX + "*")):
            try:
                with open(path / "lock", "r") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:
                continue  # in use, or another user's


def server_folder(settings):
    """
    Where a server's files go: into memory where it does not sync them anyway. (A database for each test is hundreds of
    files, and to make and remove those took a sixth of all the time that the tests had on the processor.)
    """
    if settings["fsync"] == "off" and os.access(MEMORY, os.W_OK):
        if shutil.disk_usage(MEMORY).free >= MEMORY_LEAST and available_memory() >= MEMORY_LEAST:
            return MEMORY
    return "/tmp"


def available_memory():
    """In bytes, as the kernel estimates it."""
    found = re.search(r"^MemAvailable: +(\d+) kB$", pathlib.Path("/proc/meminfo").read_text(), re.M)
    return int(found[1]) * 1024


# A database is copied or dropped when nobody is in it; what a session begins with is changed for those to come.
ALONE = ("CREATE DATABASE", "DROP DATABASE", "ALTER DATABASE", "ALTER ROLE")


def fetch(conn, sql, parameters=()):
    """Run SQL and return the rows of its last statement, if it gives any."""
    with conn.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else None


class Server:
    """One cluster. Use as a context manager, or call start() and remove()."""

    def __init__(self, major, **settings):
        self.major = major
        self.settings = {**SETTINGS, **settings}
        self.bin = binaries(major)
        self.user = server_user()
        self.process = None
        TemporaryFolder.remove_abandoned()
        self._folder = TemporaryFolder(self.user, server_folder(self.settings))
        self.data = self._folder.path / "data"
        self.log = self._folder.path / "log"
        self.socket_folder = str(self._folder.path)
        self.port = None
        self._database_numbers = itertools.count(1)
        self._idle = {}  # by database and user: a session without anything of its own

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.remove()

    # Life

    def start(self):
        """Start it, made first if it is new, and return self once it answers."""
        if not self.data.exists():
            self._make()
        for _ in range(5):
            if self.port is None:
                self.port = free_port()
            self._write_settings()
            self._spawn()
            if self._wait_ready():
                self._make_role()
                return self
            self.port = None  # taken meanwhile, most likely
        raise RuntimeError(f"PostgreSQL {self.major} does not start:\n{self.log_tail()}")

    def stop(self, mode="fast"):
        """Stop by pid: smart, fast or immediate, as pg_ctl means them."""
        self.close_idle_sessions()
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(
                {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait(30)
        self.process = None

    def crash(self):
        """Stop as a crash does: no checkpoint, recovery at the next start."""
        self.stop("immediate")

    def restart(self, mode="fast", **settings):
        self.settings.update(settings)
        self.stop(mode)
        return self.start()

    def remove(self):
        try:
            self.stop("immediate")
        finally:
            self._folder.remove()

    def standby(self, slot="standby"):
        """
        A physical standby of this server, which is restarted for it: made of a copy of its data, fed through a
        physical slot, with the logical slots that are meant for a failover (17+). It is for the caller to remove.
        """
        self.execute("SELECT pg_create_physical_replication_slot(%s)", slot)
        self.stop()
        source = (f"host={self.socket_folder} port={self.port} user=postgres dbname=postgres"
                  " application_name=standby")
        settings = {"primary_conninfo": source, "primary_slot_name": slot, "hot_standby_feedback": "on"}
        if self.major >= 17:
            settings["sync_replication_slots"] = "on"
        follower = Server(self.major, **{**self.settings, **settings})
        subprocess.run(["cp", "-a", str(self.data), str(follower.data)], check=True)
        for path in (follower.data / "pg_replslot").iterdir():
            shutil.rmtree(path)
        (follower.data / "standby.signal").touch()
        follower._give_away(follower.data / "standby.signal")
        self.start()
        return follower.start()

    def promote(self):
        """Make a primary of a standby."""
        self.execute("SELECT pg_promote(true, 60)")
        wait_until(lambda: self.execute("SELECT pg_is_in_recovery()") == [(False,)], "the standby to be promoted")

    def configure(self, **settings):
        """Change settings that need no restart."""
        self.settings.update(settings)
        self._write_settings()
        loaded = self.execute("SELECT pg_conf_load_time()")
        self.execute("SELECT pg_reload_conf()")
        wait_until(lambda: self.execute("SELECT pg_conf_load_time()") != loaded, "the settings to be reloaded")

    def _make(self):
        self._run(self.bin / "initdb", "--pgdata", self.data, "--username", "postgres", "--auth", "trust",
                  "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync", "--no-instructions")

    def _write_settings(self):
        lines = [f"{name} = '{value}'" for name, value in self.settings.items()]
        lines += [f"port = {self.port}", "listen_addresses = '127.0.0.1'",
                  f"unix_socket_directories = '{self.socket_folder}'"]
        target = self.data / "postgresql.conf"
        target.write_text("\n".join(lines) + "\n")

    def process_options(self):
        options = {"cwd": self._folder.path, "start_new_session": True, "stdin": subprocess.DEVNULL}
        if self.user:
            options.update(user=self.user.pw_uid, group=self.user.pw_gid, extra_groups=[])
        return options

    def run_program(self, name, *arguments):
        """One of the server's own programs, while it is stopped."""
        self._run(self.bin / name, *arguments)

    def zero_commit_log(self, xid):
        """The commit log's file for a transaction that pg_resetwal made the next one; the server is stopped."""
        path = self.data / "pg_xact" / f"{xid // (4 * 8192 * 32):04X}"
        path.write_bytes(bytes(8192 * 32))
        self._give_away(path)

    def _give_away(self, path):
        """To the user that the server runs as."""
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _run(self, *command):
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        done = subprocess.run([str(word) for word in command], env=environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, **self.process_options())
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}")

    def _spawn(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data)], stdout=log, stderr=log,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
                preexec_fn=die_with_parent(signal.SIGQUIT), **self.process_options())

    def _wait_ready(self):
        """True once it answers, False if it ended."""

        def ready():
            if self.process.poll() is not None:
                return "ended"
            try:
                self.connect().close()
                return "answers"
            except psycopg2.OperationalError:
                return None

        if wait_until(ready, f"PostgreSQL {self.major} to answer", timeout=60) == "answers":
            return True
        self.process = None
        return False

    def _make_role(self):
        with self.connect() as conn, conn.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (APP_ROLE,))
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE ROLE {APP_ROLE} LOGIN REPLICATION")

    # Use

    def connect(self, database="postgres", user="postgres", autocommit=True, **options):
        conn = psycopg2.connect(host=self.socket_folder, port=self.port, dbname=database, user=user,
                                connect_timeout=10, **options)
        conn.autocommit = autocommit
        return conn

    def execute(self, sql, *parameters, database="postgres", user="postgres"):
        """
        Run SQL (several statements are allowed) and return the rows of the last one, if it gives any. In a session
        that has nothing of those before it, but need not be a new one.
        """
        alone = sql.startswith(ALONE)
        if alone:
            self.close_idle_sessions()
        conn = self._idle_session(database, user) or self.connect(database, user)
        try:
            return fetch(conn, sql, parameters)
        finally:
            if alone:
                conn.close()
            else:
                self._keep_session(conn, database, user)

    def _idle_session(self, database, user):
        """The one that is kept, if it still lives. To begin one takes the server some milliseconds."""
        conn = self._idle.pop((database, user), None)
        if conn is not None and select.select([conn], [], [], 0)[0]:  # nothing is to come but its end
            conn.close()
            return None
        return conn

    def _keep_session(self, conn, database, user):
        """Not where a transaction is open."""
        try:
            if conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
                with conn.cursor() as cursor:
                    cursor.execute("DISCARD ALL")
                if self._idle.setdefault((database, user), conn) is conn:
                    return
        except psycopg2.Error:
            pass  # the session has ended
        conn.close()

    def close_idle_sessions(self):
        while self._idle:
            self._idle.popitem()[1].close()

    def new_database(self, name=None, template="template1", options="", client_encoding=None):
        """
        A fresh database in which the application's role may create; template: the name of the one it is a copy of; options:
        more of CREATE DATABASE; client_encoding: of sessions that do not ask for one.
        """
        name = name or f"test_{os.getpid()}_{next(self._database_numbers)}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {options}')
        if client_encoding:
            self.execute(f'ALTER DATABASE "{name}" SET client_encoding = {client_encoding}')
        self.execute(f'GRANT CREATE ON DATABASE "{name}" TO {APP_ROLE}')
        # Up to 14 everybody may create in public.
        self.execute(f"REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO {APP_ROLE}",
                     database=name)
        return Database(self, name)

    def tablespace(self, name):
        """Make a tablespace that the application's role may use, unless it is there."""
        if self.execute("SELECT 1 FROM pg_tablespace WHERE spcname = %s", name):
            return
        folder = self._folder.path / f"tablespace_{name}"
        folder.mkdir()
        if self.user:
            os.chown(folder, self.user.pw_uid, self.user.pw_gid)
        self.execute(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
        self.execute(f"GRANT CREATE ON TABLESPACE {name} TO {APP_ROLE}")

    def role(self, name, member=False):
        """Make a role without login, unless it is there; member: the application's role is one of its members."""
        if not self.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", name):
            self.execute(f"CREATE ROLE {name}")
        if member:
            self.execute(f"GRANT {name} TO {APP_ROLE}")

    def log_tail(self, lines=40):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""

    def log_size(self):
        return self.log.stat().st_size

    def log_since(self, size):
        with open(self.log, "rb") as log:
            log.seek(size)
            return log.read().decode(errors="replace")


class Database:
    """One database of a server, seen as the application's role unless a superuser is asked for."""

    def __init__(self, server, name):
        self.server = server
        self.name = name

    @property
    def major(self):
        return self.server.major

    def connect(self, user=APP_ROLE, autocommit=True, **options):
        return self.server.connect(self.name, user, autocommit, **options)

    def execute(self, sql, *parameters, user=APP_ROLE):
        """Run SQL (several statements are allowed) and return the rows of the last one, if it gives any."""
        return self.server.execute(sql, *parameters, database=self.name, user=user)

    def value(self, sql, *parameters, user=APP_ROLE):
        """The only value of the only row, or None where there is no row."""
        rows = self.execute(sql, *parameters, user=user)
        return rows[0][0] if rows else None

    def superuser(self, sql, *parameters):
        return self.execute(sql, *parameters, user="postgres")

    def on(self, server):
        """The same database on another server: a standby of this one."""
        return Database(server, self.name)

    def terminate(self, application):
        """End the sessions of that application_name, and return how many there were."""
        return len(self.superuser("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                                  " WHERE datname = current_database() AND application_name = %s", application))

    def crash(self):
        """The server crashes, and is there again when this returns."""
        self.server.crash()
        self.server.start()

    def environment(self, user=APP_ROLE):
        """The PG* variables by which a libpq program gets here."""
        return {"PGHOST": self.server.socket_folder, "PGPORT": str(self.server.port), "PGUSER": user,
                "PGDATABASE": self.name}

    def dsn(self, user=APP_ROLE):
        return (f"host={self.server.socket_folder} port={self.server.port} dbname={self.name} user={user} "
                "connect_timeout=10")

    def drop(self):
        """Drop it with everything that keeps it: prepared transactions, slots, sessions."""
        server = self.server
        for (gid,) in self.superuser("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            self.superuser("ROLLBACK PREPARED %s", gid)
        for (slot,) in server.execute("SELECT slot_name FROM pg_replication_slots WHERE database = %s", self.name):
            drop_slot(server, slot)
        server.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


def lose_slot(server, database):
    """
    Write so much that the server invalidates the database's slot. A program that uses it meanwhile is sent away; the
    slot of one that keeps up is lost too, as the log since the start of the oldest transaction is kept.
    """
    server.configure(max_slot_wal_keep_size="1MB", min_wal_size="32MB", max_wal_size="32MB")

    def lost():
        database.superuser("SELECT pg_switch_wal(); INSERT INTO wal SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
        server.execute("CHECKPOINT")
        return database.superuser("SELECT 1 FROM pg_replication_slots WHERE database = current_database() AND wal_status = 'lost'"
                                  " UNION ALL SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_replication_slots"
                                  " WHERE database = current_database())")

    database.superuser("CREATE TABLE wal (x text)")
    with database.connect() as oldest, oldest.cursor() as cursor:
        oldest.autocommit = False
        cursor.execute("SELECT pg_current_xact_id()")
        wait_until(lost, "the slot to be lost")
    oldest.close()
    database.superuser("DROP TABLE wal")


def drop_slot(server, slot):
    """Drop a slot, whoever streams from it."""

    def dropped():
        server.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
                       " WHERE slot_name = %s AND active_pid IS NOT NULL", slot)
        try:
            server.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                           " WHERE slot_name = %s", slot)
            return True
        except psycopg2.Error:
            return False  # still active

    wait_until(dropped, f"slot {slot} to be dropped", timeout=20)
