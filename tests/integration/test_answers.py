"""What the program says of a job in each of its states, word for word, and what the commands do that it proposes.

The job has a name that a shell would tear apart, and the program reaches the server by options alone. So each command that is
pasted here also shows that names are quoted and that the connection is in the command.
"""

import json
import os
import pathlib
import re
import socket
import subprocess

import pytest

import hints
import pgrecast
from pgrecast import DONE, FAILED, NO_LOCK, NO_PARITY, NO_ROLLBACK, REFUSED, USAGE
from servers import APP_ROLE, wait_until

JOB = "it's; a job"
TABLE = ("CREATE TABLE items (id integer PRIMARY KEY, n integer);"
         " INSERT INTO items SELECT i, i FROM generate_series(1, 200) i")
CHANGE = "ALTER TABLE items ALTER COLUMN n TYPE bigint"
NOWHERE = {"PGHOST": "/nonexistent", "PGPORT": "1", "PGUSER": "nobody", "PGDATABASE": "nothing"}

MASKS = (
    (r" -d \S+ -h \S+ -p \d+ -U \S+", " CONNECTION"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(Z| UTC)", "TIME"),
    (r"\b[0-9A-F]+/[0-9A-F]+\b", "LSN"),
    (r"\bhash [0-9a-f]{32}", "hash HASH"),
    (r"pgrecast_it_s_a_job_[0-9a-f]{8}", "pgrecast_it_s_a_job_X"),
    (r"spool /\S+/pgrecast", "spool DIR/pgrecast"),
    (re.escape(socket.gethostname()), "HOST"),
    (r"\d\d:\d\d:\d\d  ", "TIME  "),
    (r"\d+(\.\d+)? (s|ms|min)\b", "TIME"),
    (r"  time left .*\n", ""),
    (r"process \d+", "process PID"),
    (r"--record=\d+", "--record=N"),
    (r"\d+ received, \d+ applied(, lag \d+ kB)?", "N received, N applied"),
    (r"\d+ MB by the", "N MB by the"),
)


def masked(text):
    """Without what is different each time."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return text


def read_texts():
    """Of each section of answers.txt, by its heading."""
    sections = re.split(r"^=== (.*)\n", pathlib.Path(__file__).with_name("answers.txt").read_text(), flags=re.M)
    return dict(zip(sections[1::2], sections[2::2]))


TEXTS = read_texts()


class Job:
    """A small job that is reached by options, and a shell for the commands that the program proposes."""

    def __init__(self, database, folder):
        self.database = database
        self.instance = None
        self.connection = ["-d", database.name, "-h", database.server.socket_folder, "-p", str(database.server.port),
                           "-U", APP_ROLE]
        (folder / "pgrecast").symlink_to(pgrecast.PROGRAM)
        self.path = f"{folder}:{os.environ['PATH']}"
        self.spool = pgrecast.new_spool(database)
        database.execute(TABLE)

    def start(self, *arguments, change=CHANGE, window="1h", phase=None, **options):
        self.instance = pgrecast.Running(self.database, ["run", *self.connection, "--job", JOB, "--sql", change, "--spool-dir",
                                                         self.spool, f"--rollback-window={window}", *arguments],
                                         environment=NOWHERE, **options)
        if phase:
            self.instance.wait_phase(phase)
            wait_until(lambda: self.record()["running"], "the instance to hold the job")
        return self

    def call(self, command, *arguments, status=DONE):
        outcome = pgrecast.call(self.database, command, *self.connection, *arguments, environment=NOWHERE)
        assert outcome.status == status, str(outcome)
        return outcome

    def record(self):
        (found,) = json.loads(self.call("status", "--json", JOB).stdout)
        return found

    def screen(self):
        return masked(self.call("status", JOB).stdout)

    def next(self):
        """The commands of the screen, which are those of the JSON."""
        commands = [entry["command"] for entry in self.record()["next"]]
        assert hints.commands(self.call("status", JOB).stdout) == commands
        return commands

    def shell(self, command, status=DONE):
        """Paste a command into a shell that knows nothing of the server."""
        environment = {"PATH": self.path, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"}
        outcome = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60)
        assert outcome.returncode == status, f"{command}\n{outcome.stdout}{outcome.stderr}"
        return outcome

    def stop(self):
        self.instance.kill()
        wait_until(lambda: not self.record()["running"], "the server to see that the program is gone")
        return self

    def damage(self, table, value=-1):
        pgrecast.damage(self.database, f"UPDATE {table} SET n = {value} WHERE id = 7")


@pytest.fixture
def job(database, tmp_path):
    made = Job(database, tmp_path)
    yield made
    if made.instance:
        made.instance.kill()


# How a job gets into each state.


def copying(job):
    job.start(hold="copy", phase="copy", window="0")


def stopped(job):
    copying(job)
    job.stop()


def ready(job, *arguments):
    job.start("--cutover=hold", *arguments, phase="ready")


def unequal(job):
    ready(job)
    job.damage("items_pgrecast_new")
    job.call("verify", JOB, status=NO_PARITY)


def held(job):
    ready(job)
    job.database.execute("CREATE UNIQUE INDEX extra ON items (id, n)")
    wait_until(lambda: job.record()["held"], "the change to be seen")


def following(job):
    job.start(phase="reverse")


def following_stopped(job):
    following(job)
    job.stop()


def blocked(job):
    following(job)
    job.database.execute("UPDATE items SET n = 5000000000 WHERE id IN (3, 4)")
    wait_until(lambda: job.record()["rollback"]["blocked_rows"] == 2, "the rows to be set aside")


def unequal_after(job):
    following(job)
    job.damage("items_pgrecast_old")
    job.call("verify", JOB, status=NO_PARITY)


def rolled_back(job):
    following(job)
    job.call("rollback", JOB)


def finished(job):
    following(job)
    job.call("finish", JOB)


def finished_and_kept(job):
    following(job)
    job.call("finish", "--keep-original", JOB)


def undone(job):
    rolled_back(job)
    job.call("finish", JOB)


def aborted(job):
    ready(job)
    job.call("abort", JOB)


def failed(job):
    """The definition was changed so that the job can never continue."""
    job.start(kill="init-shadow").instance.wait_killed()
    job.database.execute("ALTER TABLE items ADD COLUMN other integer")
    job.call("resume", JOB, status=FAILED)


# What a pasted command leads to: the phase, or what the job says of itself.


def leads_to(phase):
    def wait(job):
        wait_until(lambda: pgrecast.job_phase(job.database) == phase, f"phase {phase}")
    return wait


def is_gone(job):
    assert pgrecast.job_rows(job.database) == 0
    assert job.call("status", JOB, status=USAGE).stderr.startswith(f'pgrecast: there is no job "{JOB}" in this database\n')


def mend_new(job):
    job.damage("items_pgrecast_new", 7)


def mend_old(job):
    job.damage("items_pgrecast_old", 7)


def are_equal(job):
    assert job.record()["verify"]["mismatches"] == 0


def drop_index(job):
    job.database.execute("DROP INDEX extra")


def is_released(job):
    wait_until(lambda: job.record()["held"] is None, "the job to be released")


def fit(job):
    job.database.execute("UPDATE items SET n = 1 WHERE n > 1000")


# State: what is done before the first command is pasted, what that leads to, and what the last one leads to.
STATES = {
    copying: (None, None, leads_to("aborted")),
    stopped: (None, leads_to("finished"), leads_to("aborted")),
    ready: (None, leads_to("reverse"), leads_to("aborted")),
    unequal: (mend_new, are_equal, leads_to("aborted")),
    held: (drop_index, is_released, leads_to("aborted")),
    following: (None, leads_to("rolled_back"), leads_to("finished")),
    following_stopped: (None, leads_to("rolled_back"), leads_to("finished")),
    blocked: (fit, leads_to("rolled_back"), leads_to("finished")),
    unequal_after: (mend_old, are_equal, leads_to("finished")),
    rolled_back: (None, leads_to("reverse"), leads_to("finished")),
    finished: (None, is_gone, None),
    finished_and_kept: (None, is_gone, None),
    undone: (None, is_gone, None),
    aborted: (None, is_gone, None),
    failed: (None, is_gone, None),
}


@pytest.mark.main_major
@pytest.mark.parametrize("reach", STATES, ids=lambda reach: reach.__name__)
def test_screen_and_first_command(job, reach):
    """The whole screen, and the command that it recommends, pasted."""
    before, leads, _ = STATES[reach]
    reach(job)
    assert job.screen() == TEXTS[reach.__name__]
    command = job.next()[0]
    if before:
        before(job)
    if leads:
        job.shell(command)
        leads(job)


@pytest.mark.main_major
@pytest.mark.parametrize("reach", [reach for reach in STATES if STATES[reach][2]], ids=lambda reach: reach.__name__)
def test_last_command(job, reach):
    """The command that ends the job, pasted."""
    reach(job)
    job.shell(job.next()[-1])
    STATES[reach][2](job)
    assert not pgrecast.leftovers(job.database)


# State, command, its exit status; the texts are in answers.txt. What is refused leaves the job as it is.
REFUSALS = (
    (copying, "rollback", NO_ROLLBACK),
    (copying, "finish", FAILED),
    (copying, "forget", FAILED),
    (stopped, "verify", FAILED),
    (stopped, "rollback", NO_ROLLBACK),
    (following, "cutover", FAILED),
    (following, "abort", FAILED),
    (following, "resume", FAILED),
    (unequal, "verify", NO_PARITY),
    (unequal, "cutover --wait", NO_PARITY),
    (unequal_after, "rollback", NO_PARITY),
    (blocked, "rollback", NO_ROLLBACK),
    (finished, "rollback", NO_ROLLBACK),
    (finished, "finish", DONE),
    (finished, "verify", FAILED),
    (finished, "resume", DONE),
    (finished_and_kept, "finish", DONE),
    (aborted, "finish", FAILED),
    (aborted, "cutover", FAILED),
    (aborted, "abort", DONE),
)


@pytest.mark.main_major
@pytest.mark.parametrize("reach", dict.fromkeys(reach for reach, _, _ in REFUSALS), ids=lambda reach: reach.__name__)
def test_refusals(job, reach):
    """What cannot be done in a state, word for word, and the state is what it was."""
    reach(job)
    before = job.record()["phase"]
    for _, command, status in [refusal for refusal in REFUSALS if refusal[0] is reach]:
        outcome = job.call(*command.split(), JOB, status=status)
        assert masked(outcome.text) == TEXTS[f"{reach.__name__}: {command}"]
        assert job.record()["phase"] == before


@pytest.mark.main_major
def test_figures_for_programs(job):
    """`status --json` has the figures and commands of the screen; `verify --json` the number of differences."""
    unequal_after(job)
    found = job.record()
    assert found["verify"]["mismatches"] == 1 and found["active"] == "new", found
    assert found["inactive_tables"] == ["public.items_pgrecast_old"], found
    assert found["rollback"] == {"possible": False, "blocked_rows": 0, "blocked_keys": [],
                                 "reason": "the last verification found 1 key that differs"}, found
    assert found["instance"]["host"] == socket.gethostname() and found["instance"]["pid"] == job.instance.process.pid, found
    assert [entry["purpose"] for entry in found["next"]] == ["to compare the tables again",
                                                             "to keep the new table and drop the original"], found
    outcome = job.call("verify", "--json", JOB, status=NO_PARITY)
    assert json.loads(outcome.stdout)["mismatches"] == 1, str(outcome)
    first = found["instance"]["number"]
    job.stop()
    job.instance = pgrecast.Running(job.database, ["resume", *job.connection, JOB], environment=NOWHERE)
    wait_until(lambda: job.record()["running"], "the second instance")
    found = job.record()["instance"]
    assert found["number"] > first and found["pid"] == job.instance.process.pid, found


@pytest.mark.main_major
def test_being_finished(job):
    """Once the end has begun there is no rollback, and `status` does not offer one."""
    following(job)
    job.stop()
    killed = pgrecast.Running(job.database, ["finish", *job.connection, JOB], kill="finish-dropped", environment=NOWHERE)
    killed.wait_killed()
    found = job.record()
    assert found["rollback"]["possible"] is False and found["rollback"]["reason"] == "the job is being finished", found
    assert masked(job.call("rollback", JOB, status=NO_ROLLBACK).stderr) == (
        f'pgrecast: job "{JOB}" is being finished: a rollback is no longer possible\n'
        "  hint: Complete it with: pgrecast finish CONNECTION 'it'\\''s; a job'\n")
    (command,) = job.next()
    job.shell(command)
    leads_to("finished")(job)
    assert job.call("status", JOB).stdout.count("(ended)") == 1
    assert not pgrecast.leftovers(job.database)


@pytest.mark.main_major
def test_no_lock_for_a_rollback(job):
    """The message speaks of the rollback, and names the command that tries again."""
    job.start("--cutover-attempts=1", "--lock-timeout=50ms", phase="reverse")
    with job.database.connect(autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT 1 FROM items LIMIT 1")
        outcome = job.call("rollback", JOB, status=NO_LOCK)
        reader.rollback()
    reader.close()
    message, *_, hint = masked(outcome.stderr).splitlines()
    assert message == ('pgrecast: no rollback within 1 attempt: the lock on "public"."items" was not free within TIME'), str(outcome)
    assert hint == ("  hint: The new table is active, and the job stays in sync. Try again with: pgrecast rollback CONNECTION"
                    " 'it'\\''s; a job'"), str(outcome)
    (command,) = hints.commands(outcome.stderr)
    job.shell(command)
    leads_to("rolled_back")(job)


@pytest.mark.main_major
def test_refused_while_planning(job):
    """Nothing was created: there is no job, and the next command lists those that are there."""
    outcome = job.start(change="ALTER TABLE items RENAME TO other").instance.wait()
    assert outcome.status == REFUSED or outcome.status == USAGE, str(outcome)
    refused = job.call("status", JOB, status=USAGE)
    assert masked(refused.stderr) == (f'pgrecast: there is no job "{JOB}" in this database\n'
                                      "  hint: List the jobs with: pgrecast jobs --all CONNECTION\n")
    assert job.shell(*hints.commands(refused.stderr)).stdout == "there are no jobs in this database\n"


@pytest.mark.main_major
def test_a_password_is_not_printed(job):
    """Not in a hint, nor where the log names a command; the rest of the connection is there, and works."""
    uri = (f"postgresql://{APP_ROLE}:se%20cret@/{job.database.name}?host={job.database.server.socket_folder}"
           f"&port={job.database.server.port}")
    outcome = pgrecast.call(job.database, "status", "-d", uri, "none", environment=NOWHERE)
    assert outcome.status == USAGE and "cret" not in outcome.text, str(outcome)
    (command,) = hints.commands(outcome.stderr)
    assert job.shell(command).stdout == "there are no jobs in this database\n"


def run_once(job, change, *arguments):
    outcome = job.start(*arguments, change=change, window="0").instance.wait()
    assert outcome.status == DONE, str(outcome)


def records(job, *arguments):
    return json.loads(job.call("jobs", "--json", *arguments).stdout)


@pytest.mark.main_major
def test_history(job):
    """The record of an ended job stays when another one of its name begins; it is shown by its number, and forgotten on request."""
    run_once(job, CHANGE)
    run_once(job, "ALTER TABLE items ALTER COLUMN n TYPE numeric")
    assert records(job) == []
    assert masked(job.call("jobs").stdout) == ("no job is under way in this database; to list those that have ended:"
                                               " pgrecast jobs --all CONNECTION\n")
    aborted_once = job.start("--cutover=hold", change="ALTER TABLE items ALTER COLUMN n TYPE text", phase="ready")
    (running,) = records(job)
    job.call("abort", JOB)
    aborted_once.instance.wait()
    found = records(job, "--all")
    assert [(one["phase"], one["sql"].rpartition(" ")[2]) for one in found] == [
        ("finished", "bigint"), ("finished", "numeric"), ("aborted", "text")], found
    assert found[2]["record"] == running["record"]
    numbers = [one["record"] for one in found]
    assert numbers == sorted(set(numbers))
    listed = job.call("jobs", "--all").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["record", *map(str, numbers)], listed
    assert re.fullmatch(rf" +{numbers[0]}  {JOB} +finished +ended +\d{{4}}-\S+Z  public\.items", listed[1]), listed
    # The one without a number is the latest.
    assert job.record()["record"] == numbers[2]
    (first,) = json.loads(job.call("status", "--json", JOB, f"--record={numbers[0]}").stdout)
    assert first == found[0]
    assert "TYPE bigint" in job.call("status", JOB, f"--record={numbers[0]}").stdout
    assert job.database.value("SELECT count(*) FROM pgrecast.event WHERE kind = 'end'") == 3
    # Another job's number is not taken for this one's.
    missing = job.call("status", JOB, "--record=999", status=USAGE)
    assert missing.stderr.startswith(f'pgrecast: there is no record 999 of a job "{JOB}" in this database\n'), str(missing)
    assert job.call("forget", "other", f"--record={numbers[0]}", status=USAGE).stderr.startswith("pgrecast: there is no record")
    assert job.call("status", f"--record={numbers[0]}", status=USAGE).stderr.startswith("pgrecast: --record needs the name")
    assert len(records(job, "--all")) == 3
    # Removed: one, then all; also what belongs to them.
    assert job.call("forget", JOB, f"--record={numbers[1]}").stdout == f"1 record of job {JOB} removed\n"
    assert [one["record"] for one in records(job, "--all")] == [numbers[0], numbers[2]]
    assert job.call("forget", JOB).stdout == f"2 records of job {JOB} removed\n"
    assert records(job, "--all") == []
    for table in ("job", "stream", "plan", "job_table", "progress", "event", "request", "object"):
        assert job.database.value(f"SELECT count(*) FROM pgrecast.{table}") == 0, table


@pytest.mark.main_major
def test_a_job_under_way_is_not_forgotten(job):
    """Its earlier record is."""
    run_once(job, CHANGE)
    job.start("--cutover=hold", change="ALTER TABLE items ALTER COLUMN n TYPE numeric", phase="ready")
    assert job.call("forget", JOB).stdout == f"1 record of job {JOB} removed\n"
    refused = job.call("forget", JOB, status=FAILED)
    assert refused.stderr.startswith(f'pgrecast: job "{JOB}" has not ended, and there is no record of an earlier one\n')
    (number,) = [one["record"] for one in records(job, "--all")]
    assert job.call("forget", JOB, f"--record={number}", status=USAGE).stderr.startswith("pgrecast: there is no record")
    job.call("cutover", "--wait", JOB)
    job.call("finish", JOB)


@pytest.mark.main_major
def test_default_name(job):
    """The table's; with its schema where an unqualified name would not find the table."""
    job.database.execute("CREATE SCHEMA side; CREATE TABLE side.items (id integer PRIMARY KEY, n integer)")
    for change, path, name in (("ALTER TABLE items ALTER n TYPE bigint", "public", "items"),
                               ("ALTER TABLE public.items ALTER n TYPE numeric", "public", "items"),
                               ("ALTER TABLE side.items ALTER n TYPE bigint", "public", "side.items"),
                               ("ALTER TABLE side.items ALTER n TYPE numeric", "side, public", "items"),
                               ("ALTER TABLE public.items ALTER n TYPE text", "side", "public.items")):
        outcome = pgrecast.run(job.database, change, environment={"PGOPTIONS": f"-c search_path={path.replace(' ', '')}"})
        assert outcome.status == DONE and outcome.stdout.startswith(f"job {name} is done"), str(outcome)
    assert sorted({one["job"] for one in records(job, "--all")}) == ["items", "public.items", "side.items"]


@pytest.mark.main_major
@pytest.mark.parametrize("name", ["", "a\nb", "a\x1f; id"], ids=["empty", "line", "control"])
def test_names_that_a_message_could_not_show(job, name):
    outcome = pgrecast.run(job.database, CHANGE, "--job", name)
    assert outcome.status == USAGE, str(outcome)
    assert pgrecast.job_rows(job.database) == 0
