"""One rewrite of a table under load, from its beginning to its end, whatever stops it on the way."""

import pgrecast
from load import Load
from servers import wait_until
from tables import (assert_clean, assert_equal, assert_follows, assert_named, assert_same, assert_unharmed, describe,
                    relations)

JOB = TABLE = "items"
MIRROR = "items_mirror"
OLD, NEW = "items_pgrecast_old", "items_pgrecast_new"


class Rewrite:
    """
    The table of a load, its job and the instance of the program that works on it.

        rewrite = Rewrite(database, rows=3000)
        with rewrite.load:
            rewrite.run().wait_phase("reverse")
            rewrite.roll_back()
        rewrite.finish()
        rewrite.assert_over()
    """

    def __init__(self, database, workload="int_key", arguments=(), **load_options):
        self.database = database
        self.load = Load(database, workload, **load_options).prepare()
        self.workload = self.load.workload
        self.arguments = [*self.workload.arguments, *arguments]
        self.before = describe(database, TABLE)
        self.relations = relations(database)
        self.spool = pgrecast.new_spool(database)
        self.instance = None
        self.disconnected = False  # the test ends sessions of the load's
        self.ignore = ()  # columns that the oracle leaves out

    # The program. Each gives the process, or the outcome of a command that has ended well.

    def run(self, *arguments, window=None, **options):
        """Start the job; its rollback window ends with `finish` only."""
        self.instance = pgrecast.start_run(self.database, self.workload.alter, *self.arguments, *arguments,
                                           spool=self.spool, window=window, **options)
        return self.instance

    def resume(self, *arguments, **options):
        self.instance = pgrecast.start_resume(self.database, JOB, *arguments, **options)
        return self.instance

    def go_on(self, **options):
        """Resume it or, when there is no job or one that was given up, run it."""
        return self.run(**options) if self.phase in (None, "aborted", "failed") else self.resume(**options)

    def command(self, name, *arguments, status=pgrecast.DONE, **options):
        """A command on the job, which must end so."""
        outcome = pgrecast.call(self.database, name, JOB, *arguments, **options)
        assert outcome.status == status, str(outcome)
        return outcome

    def to_reverse(self, *arguments, **options):
        """Run it up to the cutover."""
        self.run(*arguments, **options).wait_phase("reverse")
        return self

    def kill(self):
        """The instance, if there is one, is gone at once."""
        if self.instance:
            self.instance.kill()
        return self

    def roll_back(self):
        """By the command, with or without an instance."""
        outcome = self.command("rollback")
        assert "rolled back" in outcome.text and "lock held" in outcome.text, str(outcome)
        assert self.phase == "rolled_back"
        return outcome

    def roll_forward(self):
        """Cut over again; an instance is running."""
        self.command("cutover")
        self.instance.wait_phase("reverse")

    def finish(self, *arguments):
        """By the command; an instance that is running ends well."""
        self.command("finish", *arguments)
        self.end_of_instance()

    def end_of_instance(self, *statuses):
        if self.instance and self.instance.process.returncode is None:
            outcome = self.instance.wait()
            assert outcome.status in (statuses or (pgrecast.DONE,)), str(outcome)

    # What is there

    @property
    def phase(self):
        return pgrecast.job_phase(self.database)

    @property
    def status(self):
        return pgrecast.the_job(self.database)

    def wait_for(self, condition, what):
        """Wait until the database says so, in SQL that gives a row."""
        wait_until(lambda: self.database.superuser(condition), what)

    def wait_traffic(self, transactions=20):
        """Until so many more transactions were made, where there is a load."""
        if self.load.running:
            self.load.wait_for(transactions)

    def wait_running(self):
        """Until an instance holds the job: one that has lost its session needs a moment."""
        wait_until(lambda: self.status["running"], "the instance to hold the job again", timeout=20)

    def wait_copied(self, chunks=1):
        self.wait_for(f"SELECT 1 FROM pgrecast.chunk HAVING count(*) >= {chunks}", "chunks to be copied")

    def pace(self, seconds):
        """How long the job takes over each row that it reads, with workload Paced."""
        self.database.execute("UPDATE pace SET seconds = %s", seconds)

    # What must be so

    def assert_serves(self):
        """The table that serves has every row; under load too, as every transaction changes both."""
        assert_equal(self.database, TABLE, MIRROR, self.workload.transformation, self.ignore)

    def assert_follows(self):
        """The table that does not serve comes to have every row."""
        if self.load.running:
            self.load.pause()
        other = OLD if self.phase == "reverse" else NEW
        assert_follows(self.database, other, MIRROR, self.workload.transformation, self.ignore)
        if self.load.running:
            self.load.go_on()

    def assert_named(self):
        assert_named(self.database, self.status)

    def assert_load_unharmed(self):
        if self.load.result is not None:
            assert_unharmed(self.load, self.disconnected)

    def assert_original(self):
        """The table is what it was, with all that was written since."""
        self.assert_serves()
        assert_same(self.before, describe(self.database, TABLE))

    def assert_gone(self):
        """The job is over, and what it made is gone."""
        assert self.phase in pgrecast.ENDED
        assert_clean(self.database)

    def assert_over_with_original(self):
        """After a rollback or an abort, and the end of the load."""
        self.assert_load_unharmed()
        self.assert_original()
        self.assert_gone()
        assert relations(self.database) == self.relations

    def assert_over(self):
        """After the cutover and finish, and the end of the load."""
        self.assert_load_unharmed()
        self.assert_serves()
        self.assert_gone()
