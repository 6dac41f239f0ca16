"""Jobs that meet one accident after another, at random instants, and must come to the right end all the same.

./dev campaign N runs N of them; the suite runs a few short ones. A job goes the whole way: cutover, rollback, cutover,
finish. In each section of it the program is killed, interrupted or cut off, or the server crashes, some times. After each
accident the active table must have every row of the load's mirror. The seed tells what happened, if not exactly
when.
"""

import argparse
import random
import sys
import time
import traceback

import psycopg2

import pgrecast
import servers
from rewrite import Rewrite
from workloads import WORKLOADS

SESSIONS = ("control", "apply", "stream", "copy", "index", "verify", "snapshot")
ACCIDENTS = {"kill": 12, "terminate": 4, "interrupt": 2, "crash": 1}
KILLS_ONLY = {"kill": 1}
SECTIONS = ("reverse", "rolled_back", "reverse", "finished")
REQUESTS = {"rolled_back": "rollback", "reverse": "cutover", "finished": "finish"}


class Campaign:
    """One job and what happens to it."""

    def __init__(self, database, seed, accidents=12, kinds=None, rows=4000, workloads=tuple(WORKLOADS), rewrite=Rewrite):
        self.database = database
        self.rng = random.Random(seed)
        self.accidents = accidents
        self.kinds = kinds or ACCIDENTS
        self.story = []  # for a person, when it ends badly
        self.begun = time.monotonic()
        workload = self.rng.choice(list(workloads))
        self.rewrite = rewrite(database, workload, rows=rows, seed=seed, rate=40, arguments=["--chunk-size=64kB"])
        self.request = None  # a command of another terminal
        self.tell(f"seed {seed}, workload {workload}, PostgreSQL {database.major}")

    def tell(self, text):
        self.story.append(f"{time.monotonic() - self.begun:7.2f}  {text}")

    def run(self):
        """Raises when anything is not as it must be."""
        try:
            with self.rewrite.load:
                self.rewrite.load.wait_for(20)
                for number, section in enumerate(SECTIONS):
                    for _ in range(self.share(number)):
                        self.accident(section)
                    self.reach(section)
                self.rewrite.load.wait_for(20)
            self.rewrite.assert_over()
        except BaseException:
            print("\n".join(self.story), flush=True)
            raise
        finally:
            if self.rewrite.instance:
                self.rewrite.instance.kill()
            if self.request:
                self.request.kill()

    def share(self, number):
        """How many of the accidents are of this section: the first is the longest."""
        first = (self.accidents + 1) // 2
        rest, sections = self.accidents - first, len(SECTIONS) - 1
        return first if number == 0 else rest // sections + (1 if number <= rest % sections else 0)

    # One accident

    def start(self, section):
        """An instance, and perhaps the request that leads to the section."""
        wanted = self.section_request(section)
        if wanted in ("rollback", "finish") and self.rng.random() < 0.5:
            self.tell(f"{wanted}, by itself")
            self.rewrite.instance = pgrecast.Running(self.database, [wanted, "items"])
            return
        self.tell(self.rewrite.go_on().command[1])
        if wanted:
            time.sleep(self.rng.random() * 0.5)
            self.tell(wanted)
            self.request = pgrecast.Running(self.database, [wanted, "items"])

    def section_request(self, section):
        """The command that leads to the section from where the job is, or None where it gets there by itself."""
        phase = self.rewrite.phase
        if section == "reverse":
            return "cutover" if phase == "rolled_back" else None
        return REQUESTS[section] if phase in ("reverse", "rolled_back") and phase != section else None

    def accident(self, section):
        if self.rewrite.phase == "finished":
            return
        self.start(section)
        time.sleep(self.rng.random() ** 2 * 2.5)
        kind = self.rng.choices(list(self.kinds), list(self.kinds.values()))[0]
        phase = self.rewrite.phase
        self.tell(f"{kind} in phase {phase}")
        getattr(self, kind)(may_fail=phase in (None, "init"))
        self.end_of_request()
        if self.rewrite.phase in ("failed", "aborted") and phase not in (None, "init"):
            raise AssertionError(f"the job was given up: {self.rewrite.instance.outcome()}")
        self.rewrite.assert_serves()
        if self.rewrite.phase is not None:
            self.rewrite.assert_named()

    def kill(self, may_fail):
        self.rewrite.kill()

    def interrupt(self, may_fail):
        """Ctrl-C: an end in order."""
        self.rewrite.instance.kill(pgrecast.signal.SIGINT)
        outcome = self.rewrite.instance.wait()
        assert outcome.status in (pgrecast.DONE, pgrecast.FAILED, -pgrecast.signal.SIGINT), str(outcome)

    def terminate(self, may_fail):
        """Some of its sessions end; it goes on for a while, then is killed after all."""
        for name in self.rng.sample(SESSIONS, self.rng.randrange(1, 4)):
            if self.database.terminate(f"pgrecast {name}"):
                self.tell(f"  session {name} ended")
        self.live_on("the end of a session", may_fail)

    def crash(self, may_fail):
        self.rewrite.disconnected = True
        self.database.crash()
        self.live_on("a crash of the server", may_fail)

    def live_on(self, what, may_fail):
        """
        The program is not impressed. Only before it has the job it gives up at once, and while a job begins, of which
        it then removes everything.
        """
        time.sleep(self.rng.random())
        status = self.rewrite.instance.poll()
        if status not in (None, pgrecast.DONE):
            outcome = self.rewrite.instance.outcome()
            assert may_fail or " continues in phase " not in outcome.stderr, f"it did not live on after {what}\n{outcome}"
        self.rewrite.kill()

    def end_of_request(self):
        """A command whose instance has died does the work itself, or says that it was not done."""
        if self.request:
            outcome = self.request.wait()
            assert outcome.status in (pgrecast.DONE, pgrecast.FAILED), str(outcome)
            self.tell(f"  {outcome.command[1]} ended with {outcome.status}")
            self.request = None

    # Without an accident

    def reach(self, section):
        """The job gets there when it is left alone. What was asked for before may have happened already."""
        self.tell(f"on to {section}")
        if section == "finished":
            self.rewrite.command("finish")  # once more where it is over: the phase says only that the end has begun
            return
        self.rewrite.go_on()
        reached = (section, "rolled_back") if section == "reverse" else (section, "reverse")
        self.rewrite.instance.wait_phase(*reached, timeout=120)
        if self.rewrite.phase != section:
            outcome = pgrecast.call(self.database, REQUESTS[section], "items")
            assert outcome.status == pgrecast.DONE or self.rewrite.phase == section, str(outcome)
            self.rewrite.instance.wait_phase(section, timeout=60)
        self.rewrite.load.wait_for(20)
        self.rewrite.assert_serves()
        self.rewrite.assert_follows()
        self.rewrite.kill()


def main():
    parser = argparse.ArgumentParser(prog="./dev campaign", description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("jobs", nargs="?", type=int, default=20, help="how many jobs (20)")
    parser.add_argument("--seed", type=int, help="of the first job; the next has the next")
    parser.add_argument("--accidents", type=int, default=20, help="that each job meets (20)")
    parser.add_argument("--rows", type=int, default=20000, help="of the table (20000)")
    options = parser.parse_args()
    first = options.seed if options.seed is not None else random.randrange(1_000_000)
    majors = servers.chosen_majors()
    running, failed = {}, []
    try:
        for number in range(options.jobs):
            major = majors[(first + number) % len(majors)]
            server = running.get(major) or running.setdefault(major, servers.Server(major).start())
            if not one(server, first + number, options):
                failed.append(first + number)
    except KeyboardInterrupt:
        pass
    finally:
        for server in running.values():
            server.remove()
    print(f"{options.jobs} jobs, {len(failed)} failed{': seeds ' + ', '.join(map(str, failed)) if failed else ''}")
    return 1 if failed else 0


def one(server, seed, options):
    """One job; True when it came to the right end."""
    database = server.new_database()
    campaign = Campaign(database, seed, options.accidents, rows=options.rows)
    begun = time.monotonic()
    try:
        campaign.run()
    except (Exception, psycopg2.Error):
        print(f"FAILED: {campaign.story[0]}\n{traceback.format_exc()}\n{server.log_tail()}", flush=True)
        return False
    print(f"{campaign.story[0].split(None, 1)[1]}: right after {options.accidents} accidents,"
          f" {time.monotonic() - begun:.0f} s", flush=True)
    database.drop()
    return True


if __name__ == "__main__":
    sys.exit(main())
