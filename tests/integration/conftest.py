"""Fixtures: one server per major for the whole session, a fresh database for each test."""

import os
import pathlib
import signal
import sys
import zlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

pytest.register_assert_rewrite("campaign", "database", "pgrecast", "rewrite", "tables")

import servers  # noqa: E402 (needs the path)

MAJORS = servers.chosen_majors()
MAIN_MAJOR = 15 if 15 in MAJORS else MAJORS[0]
# Every test runs on the main major and on one other, of which the newest has as many as the rest together. Who names majors
# (PGRECAST_MAJORS) gets every test on each of them.
OTHERS = [major for major in MAJORS if major != MAIN_MAJOR]
SHARES = [] if "PGRECAST_MAJORS" in os.environ else [*OTHERS, *(OTHERS[-1:] * (len(OTHERS) - 2))]

_running = {}  # by major


def spread(cases):
    """(major, case) parameters: each case on the main major and, in turn, on one of the others.

    For tests of what hardly differs between majors: all of it is tested, at a fraction of the time.
    """
    others = [major for major in MAJORS if major != MAIN_MAJOR]
    for number, case in enumerate(cases):
        majors = [MAIN_MAJOR] + ([others[number % len(others)]] if others else [])
        name = case if isinstance(case, str) else "-".join(map(str, case))
        for major in majors:
            yield pytest.param(major, case, id=f"pg{major}-{name}")


def rotate(cases, first=0):
    """(major, case) parameters: each case on one of the majors, in turn."""
    for number, case in enumerate(cases, first):
        name = case if isinstance(case, str) else "-".join(map(str, case))
        yield pytest.param(MAJORS[number % len(MAJORS)], case, id=f"pg{MAJORS[number % len(MAJORS)]}-{name}")


def _end(signal_number, frame):
    """An end by signal runs the finalizers too."""
    raise KeyboardInterrupt


def pytest_configure(config):
    config.addinivalue_line("markers", "main_major: runs on one major only, where majors cannot differ")
    config.addinivalue_line("markers", "majors(numbers): runs on these majors only")
    signal.signal(signal.SIGTERM, _end)


def names_major(definition):
    """Whether the test chooses its majors by a parametrize of its own."""
    return any("major" in marker.args[0] for marker in definition.iter_markers("parametrize"))


def pytest_generate_tests(metafunc):
    """A test that asks for a server runs on each chosen major."""
    if "major" not in metafunc.fixturenames or names_major(metafunc.definition):
        return
    majors = MAJORS
    if metafunc.definition.get_closest_marker("main_major"):
        majors = (MAIN_MAJOR,)
    marker = metafunc.definition.get_closest_marker("majors")
    if marker:
        majors = tuple(major for major in majors if major in marker.args[0])
    metafunc.parametrize("major", majors, scope="session", ids=[f"pg{major}" for major in majors])


def is_thinned_out(item):
    """Whether the test runs on another one of the majors that share the tests between them."""
    major = item.callspec.params.get("major") if hasattr(item, "callspec") else None
    if major not in SHARES or names_major(item) or item.get_closest_marker("majors"):
        return False
    name = item.nodeid.replace(f"pg{major}", "", 1)
    return SHARES[zlib.crc32(name.encode()) % len(SHARES)] != major


def pytest_collection_modifyitems(config, items):
    """The suite has to end in time on two cores: majors that hardly differ share the tests between them."""
    if any("::" in argument for argument in config.args):
        return  # who names a test means it
    out = [item for item in items if is_thinned_out(item)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in set(out)]


@pytest.fixture(scope="session", autouse=True)
def stop_servers():
    yield
    for server in _running.values():
        server.remove()
    _running.clear()


@pytest.fixture
def server(major):
    """The shared server of this major; a test that needs settings of its own makes a Server itself."""
    if major not in _running:
        _running[major] = servers.Server(major).start()
    found = _running[major]
    if found.process is None or found.process.poll() is not None:
        found.start()
    return found


@pytest.fixture
def lonely(major):
    """A server of the test's own, with a database."""
    with servers.Server(major) as server:
        database = server.new_database()
        yield server, database


@pytest.fixture
def new_database(server):
    """A function that makes databases, which end with the test."""
    made = []

    def make(template="template1", **options):
        made.append(server.new_database(template=template, **options))
        return made[-1]

    yield make
    for database in made:
        database.drop()


@pytest.fixture
def database(new_database):
    """A fresh database for this test."""
    return new_database()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the server logged meanwhile."""
    server = getattr(item, "funcargs", {}).get("server")
    if call.when == "setup" and server:
        item.server_log_start = server.log_size()
    outcome = yield
    report = outcome.get_result()
    if report.failed and server and hasattr(item, "server_log_start"):
        text = server.log_since(item.server_log_start)
        report.sections.append((f"log of PostgreSQL {server.major}", text[-6000:]))
