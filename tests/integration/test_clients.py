"""The application's side of a swap: what its clients meet, beside what plain ALTER TABLE has them meet."""

import dataclasses

import pytest

import pgrecast
from clients import KINDS, OWN, PGBENCH, STAGES, TABLES, NodeProcess, Pgbench, Session, Traffic
from conftest import rotate
from pooler import Pooler
from tables import assert_clean, assert_equal

RESULT_CHANGED = "cached plan must not change result type"


@dataclasses.dataclass(frozen=True)
class Change:
    sql: str  # what ALTER TABLE does …
    back: str  # … and how it is undone
    rebuild: bool = False

    def start(self, database, *arguments, **options):
        if self.rebuild:
            return pgrecast.start_run(database, None, "--rebuild", "-t", "items", *arguments, **options)
        return pgrecast.start_run(database, self.sql, *arguments, **options)


CHANGES = {
    "key": Change("ALTER TABLE items ALTER COLUMN id TYPE bigint", "ALTER TABLE items ALTER COLUMN id TYPE integer"),
    "column": Change("ALTER TABLE items ALTER COLUMN n TYPE bigint", "ALTER TABLE items ALTER COLUMN n TYPE integer"),
    "added": Change("ALTER TABLE items ADD COLUMN added timestamptz DEFAULT clock_timestamp()",
                    "ALTER TABLE items DROP COLUMN added"),
    "rebuild": Change("VACUUM FULL items", "VACUUM FULL items", rebuild=True),
}


def by_alter_table(database, change, way, traffic):
    traffic.enter("swap")
    database.execute(change.sql)
    traffic.beat()
    if way == "back":
        traffic.enter("back")
        database.execute(change.back)
        traffic.beat()
    traffic.enter("end")
    traffic.beat()


def by_pgrecast(database, change, way, traffic):
    traffic.enter("swap")
    window = None if way == "back" else "0"
    run = change.start(database, window=window)
    if way == "back":
        run.wait_phase("reverse")
        traffic.beat()
        traffic.enter("back")
        outcome = pgrecast.call(database, "rollback", "items")
        assert outcome.status == pgrecast.DONE, str(outcome)
        traffic.beat()
        traffic.enter("end")
        outcome = pgrecast.call(database, "finish", "items")
        assert outcome.status == pgrecast.DONE, str(outcome)
    outcome = run.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    if way != "back":
        traffic.beat()
        traffic.enter("end")
    traffic.beat()


def sessions(database):
    made = []
    for number, kind in enumerate(KINDS):
        made.append(Session(database, kind, 1 + number * OWN))
    return made


def play(database, act, change, way, make_clients):
    """Clients, and what is done to their table; gives the clients."""
    database.execute(TABLES)
    with Traffic(make_clients(database)) as traffic:
        act(database, change, way, traffic)
    assert_equal(database, ignore=("added",))
    return traffic


def errors_of(traffic):
    """By client, by stage."""
    return {client.name: {stage: dict(counter) for stage, counter in client.errors.items()}
            for client in traffic.all() if client.errors}


CASES = [(change, way) for change in CHANGES for way in ("back", "for good")]


@pytest.mark.parametrize("major, case", rotate(CASES))
def test_look(major, case, new_database):
    change, way = CHANGES[case[0]], case[1]
    plain = play(new_database(), by_alter_table, change, way, sessions)
    database = new_database()
    ours = play(database, by_pgrecast, change, way, sessions)
    assert_clean(database)
    import json
    print(json.dumps(errors_of(plain), indent=1))
    print(json.dumps(errors_of(ours), indent=1))
