"""What expressions see of the session's settings is what they were at `run`, whoever connects later and from where.

The expected rows are those of a twin database in which the same session ran the plain ALTER TABLE.
"""

import pytest

import pgrecast
from conftest import rotate
from servers import APP_ROLE, wait_until
from tables import assert_clean, row_differences, schema_differences

SETTINGS = {"TimeZone": "America/New_York", "DateStyle": "SQL, DMY", "IntervalStyle": "sql_standard",
            "extra_float_digits": "-3", "bytea_output": "escape", "transform_null_equals": "on",
            "default_text_search_config": "german", "xmlbinary": "hex", "app.tenant": "north, \"west\""}
LATER = {"TimeZone": "Asia/Tokyo", "DateStyle": "ISO, MDY", "IntervalStyle": "iso_8601", "extra_float_digits": "1",
         "bytea_output": "hex", "transform_null_equals": "off", "default_text_search_config": "english",
         "xmlbinary": "base64", "app.tenant": "south", "app.new": "7"}

TABLE = """
CREATE TABLE readings (
    id integer PRIMARY KEY, at timestamp, written text, day text, span text, value double precision, bytes bytea,
    range tstzrange, parts double precision[], period interval, words text, tenant text, stamped timestamptz);
CREATE FUNCTION tenant_of(name text) RETURNS text LANGUAGE sql STABLE
    AS $$SELECT concat(current_setting('app.tenant', true), '/', name, '/', current_setting('app.new', true))$$;
"""


def rows(first, last):
    return f"""
INSERT INTO readings
SELECT g, timestamp '2026-01-15 12:00' + g * interval '37 hours', '2026-07-01 10:00 EST', '0' || g % 9 + 1 || '/02/2026',
       '-1 2:03:0' || g % 10, g + 0.30000000000000004, ('\\x00ff' || lpad(to_hex(g), 4, '0'))::bytea,
       tstzrange('2026-11-01 05:00+00', timestamptz '2026-11-01 05:30+00' + g * interval '1 min'),
       ARRAY[g / 3.0::float8, NULL], make_interval(days => -g, hours => g), 'die Häuser', 'row ' || g,
       timestamptz '2026-11-01 05:30+00' + g * interval '10 min'
  FROM generate_series({first}, {last}) g;
"""


ALTER = """ALTER TABLE readings ALTER at TYPE timestamptz, ALTER written TYPE timestamptz USING written::timestamptz,
    ALTER day TYPE date USING day::date, ALTER span TYPE interval USING span::interval, ALTER value TYPE text,
    ALTER bytes TYPE text USING bytes::text || coalesce(nullif(id = NULL, true)::text, '?'), ALTER period TYPE text,
    ALTER range TYPE text, ALTER words TYPE tsvector USING to_tsvector(words), ALTER tenant TYPE text USING tenant_of(tenant),
    ALTER stamped TYPE text, ADD made text DEFAULT (0.1::float8 + 0.2::float8)::text || (interval '-1 2:03:04')::text"""


def options(settings):
    """As PGOPTIONS has them."""
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings.items())


def set_database(database, settings):
    for name, value in settings.items():
        database.superuser(f'ALTER DATABASE "{database.name}" SET {name} = %s', value)


def alter_plainly(database, sql, settings):
    """In a session of its own, which the settings do not outlive. (Its driver has set DateStyle.)"""
    conn = database.connect(options=options(settings))
    try:
        with conn.cursor() as cursor:
            cursor.execute("RESET DateStyle; " + sql)
    finally:
        conn.close()


def test_every_setting_is_the_one_of_run(new_database):
    """Copied, streamed and verified, by an instance with the settings and by one without them."""
    database, twin = new_database(), new_database()
    changes = (rows(301, 400) + "UPDATE readings SET value = value / 7, period = period * 2, parts = ARRAY[value / 9]"
               " WHERE id % 3 = 0; DELETE FROM readings WHERE id % 50 = 0;")
    for one in (database, twin):
        one.execute(TABLE + rows(1, 300))
    twin.execute(changes)
    alter_plainly(twin, ALTER, SETTINGS)
    job = pgrecast.start_run(database, ALTER, hold="copy", environment={"PGOPTIONS": options(SETTINGS)})
    job.wait_phase("copy")
    job.kill()
    database.execute(changes)
    set_database(database, LATER)
    outcome = pgrecast.resume(database, "readings", environment={"PGTZ": "Asia/Kolkata", "PGDATESTYLE": "ISO, YMD"})
    assert outcome.status == pgrecast.DONE, str(outcome)
    database.superuser(f'ALTER DATABASE "{database.name}" RESET ALL')
    assert row_differences(database, twin, "readings") == []
    assert schema_differences(database, twin, "readings") == []
    assert_clean(database)


def test_settings_of_the_database(new_database):
    """They are the session's too, and those of the application among them."""
    database, twin = new_database(), new_database()
    for one in (database, twin):
        one.execute(TABLE + rows(1, 100))
        set_database(one, SETTINGS)
    alter_plainly(twin, ALTER, {})
    outcome = pgrecast.run(database, ALTER)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert row_differences(database, twin, "readings") == []


SHIFTED = "SELECT count(*) FROM t JOIN before b USING (id) WHERE t.ts IS DISTINCT FROM b.ts OR t.day IS DISTINCT FROM b.day"


def test_there_and_back_under_other_time_zones(database):
    """Cutover, rollback, cutover, rollback: each by somebody in another time zone, and through a reconnect."""
    database.execute("CREATE TABLE t (id int PRIMARY KEY, ts timestamp, day timestamptz, n int);"
                     "INSERT INTO t SELECT g, timestamp '2026-01-15 12:00' + g * interval '1 min',"
                     " timestamptz '2026-03-04 05:00+00' + g * interval '1 day', g FROM generate_series(1, 200) g;"
                     "CREATE TABLE before AS SELECT * FROM t")
    alter = "ALTER TABLE t ALTER ts TYPE timestamptz, ALTER day TYPE timestamp"
    spool = pgrecast.new_spool(database)
    job = pgrecast.start_run(database, alter, spool=spool, window=None, environment={"PGTZ": "America/New_York"})
    job.wait_phase("reverse")
    assert database.value("SELECT ts = '2026-01-15 12:01 America/New_York' FROM t WHERE id = 1")
    for times, zone in enumerate(("Asia/Tokyo", "Australia/Lord_Howe"), 1):
        set_database(database, {"TimeZone": zone, "DateStyle": "German"})
        wait_until(lambda: database.terminate("pgrecast apply"), "a session of the apply")
        database.execute("UPDATE t SET n = -n WHERE id < 50")
        wait_until(lambda: job.errors_so_far().count("connected again") == times, "the instance to connect again")
        outcome = pgrecast.call(database, "rollback", "t", environment={"PGTZ": zone})
        assert outcome.status == pgrecast.DONE, str(outcome)
        assert database.value(SHIFTED) == 0
        database.execute("UPDATE t SET n = -n WHERE id BETWEEN 30 AND 70")
        outcome = pgrecast.call(database, "cutover", "t", environment={"PGTZ": zone})
        assert outcome.status == pgrecast.DONE, str(outcome)
        job.wait_phase("reverse")
        assert database.value("SELECT ts = '2026-01-15 12:01 America/New_York' FROM t WHERE id = 1")
    job.kill()
    outcome = pgrecast.call(database, "rollback", "t", environment={"PGTZ": "Europe/Paris"})
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.value(SHIFTED) == 0


@pytest.mark.parametrize("major, key", rotate(["double precision", "timestamptz", "float8[]", "float_range", "interval"]))
def test_keys_whose_text_depends_on_settings(new_database, key):
    """Rows are found by keys of which such a text would show too few digits, or an ambiguous time."""
    database, twin = new_database(), new_database()
    made = {"double precision": "g / 3.0::float8", "float8[]": "ARRAY[g / 3.0::float8]", "interval": "g * interval '-1 h 1 s'",
            "timestamptz": "timestamptz '2026-11-01 04:00+00' + g * interval '1 min'",
            "float_range": "float_range(g / 3.0::float8, NULL)"}[key]
    changes = "UPDATE t SET v = -v WHERE v % 5 = 0; DELETE FROM t WHERE v % 7 = 0;"
    for one in (database, twin):
        one.execute("CREATE TYPE float_range AS RANGE (subtype = float8);"
                    f"CREATE TABLE t (k {key} PRIMARY KEY, v int, f float8); INSERT INTO t SELECT {made}, g, g / 7.0::float8"
                    " FROM generate_series(1, 500) g")
        set_database(one, {**SETTINGS, "DateStyle": "Postgres, DMY", "extra_float_digits": "-12"})
    alter = "ALTER TABLE t ALTER v TYPE bigint, ALTER f TYPE text"
    twin.execute(changes)
    alter_plainly(twin, alter, {})
    job = pgrecast.start_run(database, alter, hold="copy")
    job.wait_phase("copy")
    database.execute(changes)
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert row_differences(database, twin, "t") == []


def test_plan_shows_them(database):
    database.execute(TABLE)
    outcome = pgrecast.call(database, "plan", "--rollback-window=0", "--sql", ALTER, environment={"PGOPTIONS": options(SETTINGS)})
    assert outcome.status == pgrecast.DONE, str(outcome)
    text = " ".join(outcome.stdout.split())
    for name, value in SETTINGS.items():
        assert f"{name} = '{value}'" in text.replace("pg_catalog.", "")
    outcome = pgrecast.call(database, "plan", "--sql", "ALTER TABLE readings DROP COLUMN words")
    assert "TimeZone =" not in outcome.stdout


@pytest.mark.parametrize("setting, sql, refused", [
    ("array_nulls", "ALTER TABLE t ALTER v TYPE text[] USING v::text[]", True),
    ("array_nulls", "ALTER TABLE t ADD w text[] DEFAULT '{NULL}'", True),
    ("array_nulls", "ALTER TABLE t ALTER id TYPE bigint", False),
    ("standard_conforming_strings", "ALTER TABLE t ALTER v TYPE text USING v || '\\n'", True),
    ("standard_conforming_strings", "ALTER TABLE t ALTER id TYPE bigint", False)])
def test_settings_that_a_job_cannot_have(database, setting, sql, refused):
    """Where the result would depend on them, nothing is created; else they are named."""
    database.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, '{NULL}')")
    outcome = pgrecast.run(database, sql, environment={"PGOPTIONS": f"-c {setting}=off"})
    assert outcome.status == (pgrecast.REFUSED if refused else pgrecast.DONE), str(outcome)
    assert f"{setting} is off" in outcome.stderr if refused else True
    assert_clean(database)
    outcome = pgrecast.run(database, sql, "--job", "again")
    assert outcome.status == (pgrecast.DONE if refused else outcome.status), str(outcome)


def test_definitions_with_constants(new_database):
    """Constants in definitions are read and written alike, whatever the settings write of such values."""
    database, twin = new_database(), new_database()
    setup = """
SET DateStyle = 'SQL, DMY'; SET IntervalStyle = sql_standard; SET bytea_output = escape; SET TimeZone = 'America/New_York';
CREATE TABLE t (id int PRIMARY KEY, day date DEFAULT '02/03/2026' CHECK (day > '01/12/2020'),
    span interval DEFAULT '-1 2:03:04' CHECK (span < '1 2:00:00'), value float8 DEFAULT 0.1::float8 CHECK (value <> 0.30000000000000004),
    bytes bytea DEFAULT '\\x00ff', at timestamptz DEFAULT '01/11/2026 01:30 EDT', d float8 GENERATED ALWAYS AS (value + 0.1::float8) STORED);
CREATE INDEX part ON t (day) WHERE span > '-5 1:00:00' AND value > 0.1::float8;
CREATE VIEW v AS SELECT id, span + interval '-1 2:03:04' AS s, at > '01/11/2026 01:30 EST' AS late FROM t WHERE day > '05/06/2021';
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER w BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.span < '3 1:00:00' AND NEW.at > '01/11/2026 01:30 EDT')
    EXECUTE FUNCTION f();
INSERT INTO t SELECT g FROM generate_series(1, 100) g;"""
    for one in (database, twin):
        conn = one.connect(options="-c extra_float_digits=1")
        with conn.cursor() as cursor:
            cursor.execute(setup)
        conn.close()
    alter = "ALTER TABLE t ALTER id TYPE bigint"
    twin.execute("DROP VIEW v; " + alter + "; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = sql_standard;"
                 " SET TimeZone = 'America/New_York'; CREATE VIEW v AS SELECT id, span + interval '-1 2:03:04' AS s,"
                 " at > '01/11/2026 01:30 EST' AS late FROM t WHERE day > '05/06/2021'")
    job = pgrecast.start_run(database, alter, window=None, environment={"PGOPTIONS": options(SETTINGS)})
    job.wait_phase("reverse")
    database.execute("INSERT INTO t VALUES (101); UPDATE t SET value = value / 3")
    assert pgrecast.call(database, "rollback", "t").status == pgrecast.DONE, job.errors_so_far()
    database.execute("UPDATE t SET span = span * 2")
    assert pgrecast.call(database, "cutover", "t").status == pgrecast.DONE
    job.wait_phase("reverse")
    twin.execute("INSERT INTO t VALUES (101); UPDATE t SET value = value / 3; UPDATE t SET span = span * 2")
    assert row_differences(database, twin, "t") == []
    assert pgrecast.call(database, "finish", "t").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE, str(job.outcome())
    assert schema_differences(database, twin, "t") == []
    assert_clean(database)


def test_session_replication_role(database):
    """Rows are written with triggers and foreign keys, whatever the default of the database is; or the job is refused."""
    database.execute("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t SELECT g, g FROM generate_series(1, 10) g")
    database.superuser(f'ALTER DATABASE "{database.name}" SET session_replication_role = replica')
    alter = "ALTER TABLE t ALTER n TYPE text USING current_setting('session_replication_role')"
    outcome = pgrecast.run(database, alter)
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert "session_replication_role" in outcome.stderr and "RESET session_replication_role" in outcome.stderr, str(outcome)
    assert_clean(database)
    outcome = pgrecast.run(database, alter, "--trust-owner", APP_ROLE, user="postgres")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.superuser("SELECT DISTINCT n FROM t") == [("origin",)]
    database.superuser(f'ALTER DATABASE "{database.name}" RESET session_replication_role')
