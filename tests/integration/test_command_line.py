"""What a user of the command line meets: commands that may be given again, progress, full output devices."""

import fcntl
import os
import re
import struct
import subprocess
import termios
import threading

import pytest

import pgrecast
from conftest import MAIN_MAJOR, rotate
from load import Load
from pgrecast import DONE, FAILED, REFUSED, USAGE
from rewrite import Rewrite
from servers import CLIENT_BIN, wait_until
from tables import assert_untouched, describe


class Terminal:
    """A terminal of that many columns, and all that was written to it."""

    def __init__(self, columns):
        self.master, self.slave = os.openpty()
        self.resize(columns)
        self.written = b""
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def resize(self, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def read(self):
        while True:
            try:
                part = os.read(self.master, 65536)
            except OSError:  # the last writer has closed it
                return
            self.written += part

    def close(self):
        os.close(self.slave)
        self.reader.join(30)
        os.close(self.master)
        return self.written.decode()


def live_lines(text):
    """What was drawn in place. Log lines end with a line break; these do not."""
    return [part for part in text.split("\r\033[K") if part and "\n" not in part]


@pytest.mark.main_major
def test_progress_fits_the_terminal(database):
    """Also after the terminal was made narrower; and while the job follows there is no bar, as there is no end."""
    load = Load(database, rows=5000).prepare()
    terminal = Terminal(100)
    job = pgrecast.start_run(database, load.workload.alter, "--progress=bar", window=None, hold="verify", stderr=terminal.slave)
    job.wait_phase("verify")
    wide = live_lines(terminal.written.decode())
    terminal.resize(20)
    before = len(terminal.written)
    job.release()
    job.wait_phase("reverse")
    database.execute("UPDATE items SET n = n WHERE id < 100")
    wait_until(lambda: re.search(r"reverse +[1-9]", terminal.written.decode()), "the changes to be shown")
    assert pgrecast.call(database, "finish", "items").status == DONE
    assert job.wait().status == DONE
    narrow = live_lines(terminal.close()[before:])
    assert wide and any("[" in line for line in wide) and max(map(len, wide)) < 100, wide
    assert narrow and max(map(len, narrow)) < 20, narrow
    assert not [line for line in narrow if line.startswith("reverse") and "%" in line], narrow


@pytest.mark.main_major
def test_figures_of_status(database):
    """Numbers are rounded to what means something; what is not known is null."""
    load = Load(database, rows=100).prepare()
    job = pgrecast.start_run(database, load.workload.alter, hold="copy")
    job.wait_phase("copy")
    text = pgrecast.call(database, "status", "--json").stdout
    job.release()
    assert job.wait().status == DONE
    assert '"lag_seconds": null' in text and '"eta_seconds": null' in text and '"lock_held_ms": null' in text, text
    text += pgrecast.call(database, "status", "--json").stdout
    assert re.search(r'"lock_held_ms": [0-9]', text), text
    assert not re.search(r"\.[0-9]{4}", text), text


@pytest.mark.main_major
def test_times_of_the_log(database):
    """Date and zone belong to it: a log is read days later, and elsewhere."""
    load = Load(database, rows=100).prepare()
    outcome = pgrecast.run(database, load.workload.alter, environment={"TZ": "Asia/Tokyo"})
    assert outcome.status == DONE, str(outcome)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d JST  job items: ", outcome.stderr), str(outcome)


def full():
    """A device on which nothing can be written."""
    return open("/dev/full", "wb", buffering=0)


@pytest.mark.main_major
def test_full_output(database):
    """A command whose product is its output has failed. A rewrite is not disturbed: only its report is missing."""
    load = Load(database, rows=500).prepare()
    device = full()
    outcome = pgrecast.call(database, "plan", "--sql", load.workload.alter, stdout=device)
    assert outcome.status == FAILED and "cannot write standard output: No space left on device" in outcome.stderr, str(outcome)
    job = pgrecast.start_run(database, load.workload.alter, "--verbose", window=None, stdout=device, stderr=device)
    job.wait_phase("reverse")
    for command in (["status"], ["status", "--json"], ["status", "--watch"], ["jobs"], ["verify", "items"]):
        outcome = pgrecast.call(database, *command, stdout=device)
        assert outcome.status == FAILED and "cannot write standard output" in outcome.stderr, str(outcome)
    outcome = pgrecast.call(database, "finish", "items", stdout=device, stderr=device)
    assert outcome.status == DONE, str(outcome)
    assert job.wait().status == DONE
    assert pgrecast.leftovers(database) == []


@pytest.mark.main_major
def test_full_output_of_decode(database):
    """The slot is not advanced past what could not be written."""
    database.execute("CREATE TABLE items (id integer PRIMARY KEY); CREATE PUBLICATION p FOR TABLE items")
    database.execute("SELECT pg_create_logical_replication_slot('full_output', 'pgoutput')")
    database.execute("INSERT INTO items SELECT generate_series(1, 20)")
    arguments = ["decode", "--slot=full_output", "--publication=p", "--limit=22"]
    outcome = pgrecast.call(database, *arguments, stdout=full(), timeout=30)
    assert outcome.status == FAILED and "No space left on device" in outcome.stderr, str(outcome)
    wait_until(lambda: not database.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'full_output'"),
               "its session to end")
    outcome = pgrecast.call(database, *arguments, timeout=30)
    assert outcome.status == DONE and len(outcome.stdout.splitlines()) == 22, str(outcome)
    wait_until(lambda: not database.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'full_output'"),
               "its session to end")
    database.execute("SELECT pg_drop_replication_slot('full_output')")


@pytest.mark.main_major
@pytest.mark.parametrize("arguments, words", [
    (["help"], "Exit status:"), (["help", "run"], "--rollback-window=TIME"), (["run", "--help"], "Example:"),
    (["help", "cutover"], "pgrecast cutover orders -d shop --wait")], ids=lambda a: " ".join(a) if isinstance(a, list) else "")
def test_help(database, arguments, words):
    outcome = pgrecast.call(database, *arguments)
    assert outcome.status == DONE and words in outcome.stdout, str(outcome)
    outcome = pgrecast.call(database, *arguments, stdout=full())
    assert outcome.status == FAILED and "cannot write standard output" in outcome.stderr, str(outcome)


@pytest.mark.main_major
def test_help_on_a_mistyped_command(database):
    outcome = pgrecast.call(database, "help", "rollbak")
    assert outcome.status == USAGE and "Did you mean rollback?" in outcome.stderr, str(outcome)


WIDER = "ALTER TABLE items ALTER COLUMN id TYPE bigint"


def again(database, sql=WIDER, *arguments, **options):
    return pgrecast.run(database, sql, "--or-resume", *arguments, **options)


@pytest.mark.parametrize("major, phase", rotate(["copy", "ready"]))
def test_run_or_resume(database, phase):
    """The same command until it has succeeded, as from CI: it starts, continues, and then does nothing."""
    rewrite = Rewrite(database, rows=3000)
    with rewrite.load:
        spool = pgrecast.new_spool(database)
        job = pgrecast.start_run(database, WIDER, "--or-resume", spool=spool, hold=phase)
        job.wait_phase(phase)
        other = again(database, "ALTER TABLE items ALTER COLUMN n TYPE bigint", "--job=items")
        assert other.status == REFUSED and "another change" in other.stderr, str(other)
        busy = again(database)
        assert busy.status == FAILED and "another instance is running" in busy.stderr, str(busy)
        job.kill()
        wait_until(lambda: not rewrite.status["running"], "its session to end")
        outcome = again(database, f"  {WIDER};\n", spool=spool)
        assert outcome.status == DONE and "continues in phase" in outcome.stderr, str(outcome)
    rewrite.assert_serves()
    (before,) = database.execute("SELECT 'items'::regclass::oid::text, pg_relation_filenode('items')")
    for arguments in ([], ["--job=items"]):
        outcome = again(database, WIDER, *arguments)
        assert outcome.status == DONE and "job items has finished before" in outcome.stdout, str(outcome)
    assert before == database.execute("SELECT 'items'::regclass::oid::text, pg_relation_filenode('items')")[0]
    assert database.value("SELECT count(*) FROM pgrecast.job") == 1


@pytest.mark.main_major
def test_run_or_resume_starts_anew(database):
    """A job that was aborted or rolled back is over; and a table that was made since is another table."""
    Load(database, rows=100).prepare()
    job = pgrecast.start_run(database, WIDER, window=None, hold="copy")
    job.wait_phase("copy")
    job.kill()
    assert pgrecast.call(database, "abort", "items").status == DONE
    for _ in range(2):
        outcome = again(database)
        assert outcome.status == DONE and "job items is done" in outcome.stdout, str(outcome)
        database.execute("DROP TABLE items; CREATE TABLE items (id integer PRIMARY KEY, n integer); INSERT INTO items VALUES (1)")
    for _ in range(2):  # a rebuild is worth the same again
        outcome = pgrecast.rebuild(database, "items", "--or-resume")
        assert outcome.status == DONE and "job items is done" in outcome.stdout, str(outcome)


@pytest.mark.parametrize("major, sql, needed", [(MAIN_MAJOR, sql, needed) for sql, needed in [
    ("ALTER TABLE items ALTER COLUMN note TYPE text", False),
    ("ALTER TABLE items ADD COLUMN more integer DEFAULT 5, ALTER COLUMN note SET STORAGE external", False),
    ("ALTER TABLE items ADD COLUMN more integer; ALTER TABLE items ALTER COLUMN n TYPE bigint", True),
    ("ALTER TABLE items ALTER COLUMN n SET NOT NULL", True),  # without a rewrite, but under a lock for as long as it reads
]])
def test_run_if_needed(database, sql, needed):
    database.execute("CREATE TABLE items (id integer PRIMARY KEY, n integer, note varchar(10));"
                     "INSERT INTO items SELECT i, i, 'x' FROM generate_series(1, 50) AS i")
    before = describe(database, "items")
    outcome = pgrecast.run(database, sql, "--if-needed")
    assert outcome.status == DONE, str(outcome)
    if needed:
        assert "job items is done" in outcome.stdout, str(outcome)
        return
    assert "nothing was done" in outcome.stdout and "changes the catalog only" in outcome.stdout, str(outcome)
    assert f"psql -c '{sql}'" in outcome.stdout, str(outcome)
    assert_untouched(database, before, "items")
    assert pgrecast.leftovers(database) == [] and pgrecast.job_rows(database) == 0
    command = next(line for line in outcome.stdout.splitlines() if line.startswith("  next")).split(maxsplit=1)[1]
    done = subprocess.run(command, shell=True, check=False, capture_output=True, text=True,
                          env={"PATH": f"{CLIENT_BIN}:/usr/bin:/bin", **database.environment()})
    assert done.returncode == 0, done.stderr
    assert describe(database, "items") != before


@pytest.mark.parametrize("major, undone", [(MAIN_MAJOR, False), (MAIN_MAJOR, True)])
def test_resume_of_a_finished_job(database, undone):
    Load(database, rows=100).prepare()
    job = pgrecast.start_run(database, WIDER, window=None)
    job.wait_phase("reverse")
    if undone:
        assert pgrecast.call(database, "rollback", "items").status == DONE
    assert pgrecast.call(database, "finish", "items").status == DONE
    assert job.wait().status == DONE
    outcome = pgrecast.call(database, "resume", "items")
    words = "rolled back: the original is active" if undone else "the new table is active"
    assert outcome.status == DONE and words in outcome.stdout, str(outcome)


@pytest.mark.main_major
def test_resume_of_an_aborted_job(database):
    Load(database, rows=100).prepare()
    job = pgrecast.start_run(database, WIDER, hold="copy")
    job.wait_phase("copy")
    job.kill()
    assert pgrecast.call(database, "abort", "items").status == DONE
    outcome = pgrecast.call(database, "resume", "items")
    assert outcome.status == FAILED and "it is in phase aborted" in outcome.stderr, str(outcome)
