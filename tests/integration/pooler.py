"""pgbouncer, a connection pooler, in front of a throwaway server."""

import pathlib
import subprocess

import psycopg2

from servers import APP_ROLE, Database, TemporaryFolder, die_with_parent, fetch, free_port, wait_until

PROGRAM = pathlib.Path("/usr/sbin/pgbouncer")


class Pooler:
    """
    One pgbouncer on a unix socket, run as the user that the server runs as. Use as a context manager.

    It has of a server what a Database asks for, so that through() gives a database as a client of the pooler sees it.
    """

    SETTINGS = {
        "pool_mode": "transaction",
        "default_pool_size": 3,  # fewer than there are clients: so that sessions are shared
        "max_client_conn": 100,
        "server_reset_query": "",  # not used in this mode
        "auth_type": "trust",
        "listen_addr": "",
        "admin_users": "postgres",
    }

    def __init__(self, server, **settings):
        if not PROGRAM.exists():
            raise RuntimeError(f"{PROGRAM} is not here: ./dev test installs it")
        self.server = server
        self.major = server.major
        self.settings = {**self.SETTINGS, **settings}
        self.process = None
        self.port = free_port()
        self._folder = TemporaryFolder(server.user)
        self.socket_folder = str(self._folder.path)
        self.log = self._folder.path / "log"

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc_info):
        self.stop()

    def start(self):
        users = self._folder.path / "users"
        users.write_text(f'"{APP_ROLE}" ""\n"postgres" ""\n')
        settings = {**self.settings, "auth_file": users, "unix_socket_dir": self.socket_folder,
                    "listen_port": self.port, "logfile": "", "pidfile": ""}
        path = self._folder.path / "pgbouncer.ini"
        path.write_text(f"[databases]\n* = host={self.server.socket_folder} port={self.server.port}\n[pgbouncer]\n"
                        + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(PROGRAM), str(path)], stdout=log, stderr=log,
                                            preexec_fn=die_with_parent(9), **self.server.process_options())
        wait_until(self._ready, "pgbouncer to answer")
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"pgbouncer does not start:\n{self.log.read_text()}")
        try:
            self.connect().close()
            return True
        except psycopg2.OperationalError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
        self._folder.remove()

    def reconnect(self):
        """Its sessions with the server are replaced as soon as no client is using them."""
        self.execute("RECONNECT", database="pgbouncer", user="postgres")

    def execute(self, sql, *parameters, database, user):
        """As of the server, each time in a session of its own."""
        conn = self.connect(database, user)
        try:
            return fetch(conn, sql, parameters)
        finally:
            conn.close()

    def connect(self, database="postgres", user=APP_ROLE, autocommit=True, **options):
        conn = psycopg2.connect(host=self.socket_folder, port=self.port, dbname=database, user=user,
                                connect_timeout=10, **options)
        conn.autocommit = autocommit
        return conn

    def through(self, database):
        return Database(self, database.name)
