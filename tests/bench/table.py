"""The table that is measured: made once for each size in a template database, of which each run gets a fresh copy."""

import contextlib
import itertools
import shutil

from servers import APP_ROLE, Database

NAME = "bench"

# The key's type, and its value for row g.
KEYS = {"sequential": ("integer", "g"), "random": ("uuid", "gen_random_uuid()")}

# About 127 bytes a row in the heap. The sequence is the load's: for rows that it adds.
MAKE = """
CREATE TABLE bench (id {type} NOT NULL, n integer NOT NULL, at timestamptz NOT NULL, note text);
CREATE SEQUENCE bench_ids START {next};
SELECT setseed(0.5);
INSERT INTO bench
SELECT {value}, random() * 1e6, '2024-01-01'::timestamptz + g * interval '1 second' + random() * interval '1 hour',
       rpad('note ' || g, 79, '.')
  FROM generate_series(1, {rows}) g;
ALTER TABLE bench ADD PRIMARY KEY (id);
CREATE INDEX bench_n ON bench (n);
CREATE INDEX bench_at ON bench (at);
"""

BYTES_A_ROW = 200  # with its indexes
WAL_BYTES = 10 << 30  # that a run leaves on the disk at most


class NoSpace(Exception):
    """There is not enough disk for a table of that size."""


class Stock:
    """The templates of one server."""

    def __init__(self, server, tell=lambda text: None):
        self.server = server
        self.tell = tell
        self._made = {}
        self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def copy(self, rows, key="sequential"):
        """A fresh database with such a table, nothing of it in shared buffers; dropped at the end of the block."""
        template = self.template(rows, key)
        database = Database(self.server, f"run_{next(self._numbers)}")
        # A copy of the files: the default goes through the log, and would leave its pages in shared buffers.
        self.server.execute(f"CREATE DATABASE {database.name} TEMPLATE {template} STRATEGY file_copy")
        try:
            self.server.execute(f"GRANT CREATE ON DATABASE {database.name} TO {APP_ROLE}")
            self.server.execute("CHECKPOINT")
            yield database
        finally:
            database.drop()

    def template(self, rows, key="sequential"):
        if (rows, key) not in self._made:
            check_space(self.server, rows)
            self.tell(f"making a table of {rows:,} rows")
            type_name, value = KEYS[key]
            template = self.server.new_database(f"template_{key}_{rows}")
            template.execute(MAKE.format(type=type_name, value=value, rows=rows, next=rows + 1))
            template.execute("VACUUM ANALYZE bench")
            self._made[rows, key] = template
        return self._made[rows, key].name

    def drop(self, rows, key="sequential"):
        """Give the disk space of a template back."""
        if (rows, key) in self._made:
            self._made.pop((rows, key)).drop()


def space_needed(rows):
    """Bytes: the template, its copy, the copy's new table."""
    return 3 * BYTES_A_ROW * rows + min(WAL_BYTES, 3 * BYTES_A_ROW * rows + (1 << 30))


def check_space(server, rows):
    free = shutil.disk_usage(server.socket_folder).free
    if free < space_needed(rows):
        raise NoSpace(f"{rows:,} rows need about {space_needed(rows) / 1e9:.0f} GB of disk,"
                      f" {free / 1e9:.0f} GB are free")
