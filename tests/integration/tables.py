"""Tables that several tests use, and the comparison of a job's result with plain ALTER TABLE's."""

import catalogs
import oracle
import pgrecast
from servers import wait_until


def describe(database, table, schema="public"):
    conn = database.connect("postgres")
    try:
        return catalogs.describe(conn, schema, table)
    finally:
        conn.close()


def relations(database):
    conn = database.connect("postgres")
    try:
        return catalogs.relations(conn)
    finally:
        conn.close()


def schema_differences(database, twin, table, schema="public"):
    """What differs between the table here and in the database that took the plain ALTER TABLE."""
    found = catalogs.differences(describe(twin, table, schema), describe(database, table, schema))
    here, there = set(relations(database)), set(relations(twin))
    found += [f"missing: {name}" for name in sorted(there - here)]
    found += [f"unexpected: {name}" for name in sorted(here - there)]
    return found


def row_differences(database, twin, table, ignore=()):
    """Values that differ between two small tables, by row; empty where the tables are the same."""
    names = [name for name in column_names(database, table) if name not in ignore]
    here, there = rows(database, table, ignore), rows(twin, table, ignore)
    if names != [name for name in column_names(twin, table) if name not in ignore]:
        return ["other columns"]
    if len(here) != len(there):
        return [f"{len(here)} rows, {len(there)} in the twin",
                *(f"unexpected: {row[:3]}" for row in here if row not in there),
                *(f"missing: {row[:3]}" for row in there if row not in here)]
    return [f"{mine[:1]}: {name} is {a!r:.200}, {b!r:.200} in the twin" for mine, other in zip(here, there)
            for name, a, b in zip(names, mine, other) if a != b]


def column_names(database, table):
    return [name for (name,) in database.execute(
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum", table)]


def rows(database, table, ignore=()):
    """All rows as texts, sorted: for tables small enough to compare at once."""
    names = [name for name in column_names(database, table) if name not in ignore]
    # By the output functions: a cast to text shows how an xml value was once spelled, which no client gets to see.
    values = ", ".join(f"CASE WHEN num_nulls({name}) = 0 THEN format('%s', {name}) END" for name in names)
    conn = database.connect(options="-c extra_float_digits=3 -c datestyle=ISO -c intervalstyle=postgres"
                            " -c bytea_output=hex -c timezone=UTC")
    try:
        with conn.cursor() as cursor:
            cursor.execute(f"SELECT {values} FROM {table}")
            return sorted(cursor.fetchall(), key=repr)
    finally:
        conn.close()


def assert_clean(database, twin=None):
    """Nothing of the job is left: with a twin, its every relation is here and no other."""
    assert pgrecast.leftovers(database) == []
    if twin:
        assert relations(database) == relations(twin)


def assert_untouched(database, before, table, schema="public"):
    """After a refusal or an abort: no trace, and the table as it was described before."""
    assert pgrecast.leftovers(database) == []
    assert catalogs.differences(before, describe(database, table, schema)) == []


def assert_same(before, after):
    """Two descriptions of a table say the same, but for the values that its sequences have reached."""
    moving = r"sequences\.(last_value|is_called)"
    assert catalogs.differences(catalogs.without(before, moving), catalogs.without(after, moving)) == []


def assert_equal(database, table="items", mirror="items_mirror", transformation=None, ignore=()):
    differences = oracle.compare(database, table, mirror, transformation, ignore)
    assert not differences, differences


def assert_follows(database, table, mirror="items_mirror", transformation=None, ignore=(), timeout=60):
    """The table comes to equal the mirror, which nobody changes now."""
    found = []

    def equal():
        found[:] = [oracle.compare(database, table, mirror, transformation, ignore)]
        return not found[0]

    try:
        wait_until(equal, f"{table} to equal {mirror}", timeout, interval=0.2)
    except TimeoutError:
        raise AssertionError(f"{table} does not come to equal {mirror}: {found[0]}") from None


def assert_unharmed(load, disconnected=False):
    """No transaction of the application has failed; disconnected: but those that a crash of the server took along."""
    assert not load.result.broken, load.result.broken
    assert load.result.failed == {}
    assert disconnected or load.result.disconnected == 0


def assert_resumable(database, job, phase=None):
    """A job that stopped: status tells where it stands, all that it has made, and the command that goes on."""
    found = pgrecast.the_job(database)
    assert found["phase"] not in pgrecast.ENDED and not found["running"], found
    assert phase is None or found["phase"] == phase, found
    text = pgrecast.call(database, "status", job).stdout
    assert f"pgrecast resume {job}" in text, text
    assert_named(database, found)
    return found


def assert_named(database, found):
    """Whatever of the job can be seen on the server is named by its status."""
    named = " ".join(entry["name"] for entry in found["objects"])
    for thing in pgrecast.things_made(database):
        assert thing in named, f"{thing} is not in the status: {found['objects']}"


def assert_aborts(database, job):
    """Abort ends the job; that nothing is left is for the caller to see."""
    outcome = pgrecast.call(database, "abort", job)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert pgrecast.job_phase(database) in ("aborted", "failed")
    return outcome


def filled(database, sql):
    """Run the DDL and DML that make a table; the statistics are there, as they would be in life."""
    database.execute(sql)
    database.execute("ANALYZE")
    return database
