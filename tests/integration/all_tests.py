"""Runs the unit tests, then the integration tests, and closes with one line that counts both.

What is not an option of this program goes to pytest: -k NAME, -x, a file …
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
WORKERS = "3"  # on two cores: much of the time a test waits for one process of several


class Count:
    """Test cases, by how they ended."""

    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"

    @property
    def total(self):
        return self.passed + self.failed + self.skipped


def cases_of(test):
    """The cases of one unit test program, from an entry of meson's log: TAP, cmocka's own lines, or one for all."""
    text = (test.get("stdout") or "") + "\n" + (test.get("stderr") or "")
    skipped = len(re.findall(r"^ok \d+.*# *SKIP", text, re.M | re.I))
    tap = Count(len(re.findall(r"^ok \d+", text, re.M)) - skipped, len(re.findall(r"^not ok \d+", text, re.M)), skipped)
    # cmocka names a failed case again in its summary, without the blanks.
    plain = Count(len(re.findall(r"^\[ +OK \]", text, re.M)),
                  len(set(re.findall(r"^\[  FAILED  \] (\w+)$", text, re.M))),
                  len(set(re.findall(r"^\[  SKIPPED \] (\w+)$", text, re.M))))
    count = tap if tap.total else plain
    result = test["result"]
    if count.total == 0:
        return Count(passed=int(result in ("OK", "EXPECTEDFAIL")), skipped=int(result == "SKIP"),
                     failed=int(result not in ("OK", "EXPECTEDFAIL", "SKIP")))
    if result not in ("OK", "EXPECTEDFAIL", "SKIP") and count.failed == 0:
        count.failed = 1  # it crashed, or a sanitizer or a time limit ended it
    return count


def unit_tests(build):
    print("unit tests", flush=True)
    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    done = subprocess.run(["meson", "test", "-C", str(build), "--no-rebuild", "--print-errorlogs", "--quiet"],
                          check=False, stdin=subprocess.DEVNULL)
    count = Count()
    if log.exists():
        for line in log.read_text(errors="replace").splitlines():
            count += cases_of(json.loads(line))
    if done.returncode != 0 and count.failed == 0:
        count.failed = 1
    print(f"unit tests: {count}", flush=True)
    return count


def integration_tests(build, arguments):
    print("integration tests", flush=True)
    environment = dict(os.environ)
    environment.setdefault("PGRECAST_PROGRAM", str(build / "pgrecast"))
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.xml"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE), "-q", "-n", WORKERS,
             "--durations=10", f"--junitxml={report}", *with_paths(arguments)],
            check=False, env=environment, stdin=subprocess.DEVNULL, cwd=REPOSITORY)
        count = counted(report) if report.exists() else Count()
    if done.returncode != 0 and count.failed == 0:
        count.failed = 1
    print(f"integration tests: {count}", flush=True)
    return count


def with_paths(arguments):
    """Names of test files are of this folder; without any, all of them are meant."""
    found = [str(HERE / argument) if argument.split("::")[0].endswith(".py") else argument for argument in arguments]
    return found if found != arguments else [*arguments, str(HERE)]


def counted(report):
    count = Count()
    for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        failed = int(suite.get("failures")) + int(suite.get("errors"))
        skipped = int(suite.get("skipped"))
        count += Count(max(0, int(suite.get("tests")) - failed - skipped), failed, skipped)
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    options, rest = parser.parse_known_args()
    build = options.build.resolve()
    unit = unit_tests(build)
    integration = integration_tests(build, rest)
    total = unit + integration
    print(f"{total}", flush=True)
    # Half of the tests not being there is no success either.
    sys.exit(0 if total.failed == 0 and unit.passed > 0 and integration.passed > 0 else 1)


if __name__ == "__main__":
    main()
