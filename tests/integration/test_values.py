"""Every type of value comes through a rewrite unchanged: copied, and as a change in the stream.

The expected rows are those of a twin database that took the plain ALTER TABLE and the same changes.
"""

import pytest

import pgrecast
from tables import assert_clean, row_differences, schema_differences

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'ok', 'with "quotes", a comma and \\ backslash', '');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN short_code AS varchar(6) COLLATE "C" DEFAULT 'none';
CREATE DOMAIN positives AS integer[] CHECK (0 < ALL (VALUE));
CREATE TYPE pair AS (a integer, b text, m mood);
CREATE TYPE nested AS (p pair, list pair[], "odd ""name" positive);
CREATE TYPE float_range AS RANGE (subtype = float8);
"""

# column: (type, values as SQL literals). NULL is added to every list.
VALUES = {
    "c_smallint": ("smallint", ["0", "-32768", "32767"]),
    "c_integer": ("integer", ["0", "-2147483648", "2147483647"]),
    "c_bigint": ("bigint", ["0", "-9223372036854775808", "9223372036854775807"]),
    "c_numeric": ("numeric", ["0", "NaN", "Infinity", "-Infinity", "1.000", "-0.00",
                              "123456789012345678901234567890.123456789012345678901234567890", "1e-300", "1e300"]),
    "c_numeric_scale": ("numeric(12,3)", ["0", "NaN", "1.5", "-999999999.999"]),
    "c_real": ("real", ["0", "-0", "NaN", "Infinity", "-Infinity", "0.1", "3.4028235e38", "1e-45"]),
    "c_double": ("double precision", ["0", "-0", "NaN", "Infinity", "-Infinity", "0.1", "0.30000000000000004",
                                      "1.7976931348623157e308", "5e-324"]),
    "c_money": ("money", ["0", "-92233720368547758.08", "12.34"]),
    "c_text": ("text", ["", " ", "NULL", "\\N", "\\.", "a\tb\nc\rd", "quote ' and \" and \\", "日本語 🐘", "\u202e", "\x01\x7f",
                        "{}", "%s %d", "$1", "\u0301e"]),
    "c_varchar": ("varchar(20)", ["", "trailing   ", "été"]),
    "c_char": ("char(8)", ["", "a", "a  ", "12345678", "é"]),
    "c_name": ("name", ["", "relname"]),
    "c_char1": ('"char"', ["", "a", "\\200"]),
    "c_bytea": ("bytea", ["", "\\x00", "\\xdeadbeef", "\\x5c5c", "\\x27"]),
    "c_boolean": ("boolean", ["t", "f"]),
    "c_date": ("date", ["2024-02-29", "infinity", "-infinity", "0044-03-15 BC", "5874897-12-31", "4714-11-24 BC"]),
    "c_time": ("time", ["00:00", "24:00", "12:34:56.789012"]),
    "c_timetz": ("timetz", ["00:00+00", "23:59:59.999999-15:59", "12:00+05:30"]),
    "c_timestamp": ("timestamp", ["2024-02-29 12:34:56.789012", "infinity", "-infinity", "0001-01-01 00:00:00 BC",
                                  "294276-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC"]),
    "c_timestamptz": ("timestamptz", ["2024-02-29 12:34:56.789012+00", "infinity", "-infinity",
                                      "0001-01-01 00:00:00+00 BC", "2021-10-31 02:30:00+01", "1800-01-01 00:00:00+00"]),
    "c_timestamp3": ("timestamp(3)", ["2024-02-29 12:34:56.789"]),
    "c_interval": ("interval", ["0", "1 year -2 months 3 days -04:05:06.789", "-178000000 years",
                                "-1 day +23:59:59.999999", "1 month -1 day"]),
    "c_interval_ym": ("interval year to month", ["1 year 2 months"]),
    "c_uuid": ("uuid", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    "c_bit": ("bit(5)", ["00000", "10101"]),
    "c_varbit": ("varbit", ["", "1", "101010101"]),
    "c_inet": ("inet", ["0.0.0.0/0", "192.168.1.5/24", "::1", "2001:db8::/32", "::ffff:1.2.3.4"]),
    "c_cidr": ("cidr", ["10.0.0.0/8", "::/0"]),
    "c_macaddr": ("macaddr", ["08:00:2b:01:02:03"]),
    "c_macaddr8": ("macaddr8", ["08:00:2b:01:02:03:04:05"]),
    "c_json": ("json", ["null", '{"a":1,  "a":2}', '"\\ud83d\\udc18"', "[1, 2.0, 1e400]", '" spaces "']),
    "c_jsonb": ("jsonb", ["null", '{"b": [1, 2.50, {"c": null}]}', '"é"', "1e400", "[]", "{}"]),
    "c_jsonpath": ("jsonpath", ['$."a"[*] ? (@ > 5)']),
    "c_xml": ("xml", ["", "<a/>", "text only", '<?xml version="1.0"?><a b="&lt;">é</a>', "<a/><b/>"]),
    "c_tsvector": ("tsvector", ["", "'a':1A 'fat':2B,4C 'quo''te'"]),
    "c_tsquery": ("tsquery", ["'fat' & ( 'rat' | !'cat':AB* )", "'a' <2> 'b'"]),
    "c_point": ("point", ["(0,0)", "(NaN,Infinity)", "(0.1,-0.30000000000000004)"]),
    "c_line": ("line", ["{1,-1,0}"]),
    "c_lseg": ("lseg", ["[(0,0),(1,1)]"]),
    "c_box": ("box", ["(1,1),(0,0)"]),
    "c_path": ("path", ["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"]),
    "c_polygon": ("polygon", ["((0,0),(1,1),(2,0))"]),
    "c_circle": ("circle", ["<(0,0),1>"]),
    "c_enum": ("mood", ["sad", 'with "quotes", a comma and \\ backslash', ""]),
    "c_domain": ("positive", ["1", "2147483647"]),
    "c_domain_text": ("short_code", ["", "abc"]),
    "c_domain_array": ("positives", ["{}", "{1,2,3}"]),
    "c_composite": ("pair", ["(,,)", '(1,"a ""quoted"", (b)",sad)', '(1,"",)']),
    "c_nested": ("nested", ["(,,)", '("(1,x,ok)","{""(2,y,)"",NULL}",5)']),
    "c_int_array": ("integer[]", ["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={1,2}", "[-1:0][5:6]={{1,2},{3,4}}"]),
    "c_text_array": ("text[]", ["{}", '{"",NULL,"NULL","a,b","{}","\\"\\\\"}', '{{a},{"b c"}}']),
    "c_enum_array": ("mood[]", ["{}", '{sad,NULL,""}']),
    "c_composite_array": ("pair[]", ["{}", '{"(1,a,sad)",NULL,"(,,)"}']),
    "c_numeric_array": ("numeric(6,2)[]", ["{1.50,NaN,NULL}"]),
    "c_timestamptz_array": ("timestamptz[]", ['{infinity,"2024-02-29 12:00:00+00"}']),
    "c_bytea_array": ("bytea[]", ['{"\\\\x00ff",""}']),
    "c_int4range": ("int4range", ["empty", "[1,5)", "(,)", "[5,)"]),
    "c_numrange": ("numrange", ["empty", "(1.50,2.5]", "[NaN,NaN]", "(,Infinity]"]),
    "c_tstzrange": ("tstzrange", ['["2024-01-01 00:00:00+00",infinity)', "(,)"]),
    "c_daterange": ("daterange", ["[2024-01-01,2024-02-01)", "(-infinity,infinity)"]),
    "c_float_range": ("float_range", ["[0.1,0.30000000000000004)", "empty"]),
    "c_multirange": ("int8multirange", ["{}", "{[1,3),[5,7)}", "{(,)}"]),
    "c_oid": ("oid", ["0", "4294967295"]),
    "c_pg_lsn": ("pg_lsn", ["0/0", "FFFFFFFF/FFFFFFFF"]),
    "c_xid8": ("xid8", ["0", "18446744073709551615"]),
    "c_tid": ("tid", ["(0,1)", "(4294967295,65535)"]),
    "c_snapshot": ("pg_snapshot", ["10:20:10,14,15"]),
    "c_regclass": ("regtype", ["integer", "numeric"]),
}

LARGE = {
    "large_extended": ("repeat(md5({g}::text), 400)", "EXTENDED"),
    "large_external": ("(SELECT string_agg(md5({g} || '/' || i), '') FROM generate_series(1, 200) i)", "EXTERNAL"),
    "large_main": ("repeat('m' || {g}, 900)", "MAIN"),
    "large_incompressible": ("(SELECT string_agg(md5({g} || '-' || i), '') FROM generate_series(1, 150) i)", "EXTENDED"),
}

ROWS = 40


def literal(value):
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


def value_of(column, row):
    """Row by row each column goes through its values, each in a rhythm of its own; NULL among them."""
    values = [None, *VALUES[column][1]]
    return literal(values[row % len(values)])


def row_sql(row):
    return ", ".join(value_of(column, row) for column in VALUES)


def table_sql(major):
    """The table, with a dropped column, one added with a fast default, and generated ones."""
    columns = ",\n".join(f"{name} {type_}" for name, (type_, _) in VALUES.items())
    large = ",\n".join(f"{name} text" for name in LARGE)
    statements = [
        TYPES,
        f"CREATE TABLE everything (id integer PRIMARY KEY, dropped_first text, {columns}, dropped_later integer, {large},"
        " g_stored bigint GENERATED ALWAYS AS (c_integer::bigint * 2) STORED,"
        " g_text text GENERATED ALWAYS AS (upper(c_text)) STORED)",
        *(f"ALTER TABLE everything ALTER {name} SET STORAGE {storage}" for name, (_, storage) in LARGE.items()),
        "ALTER TABLE everything DROP dropped_first",
    ]
    names = ", ".join(VALUES)
    for row in range(ROWS):
        statements.append(f"INSERT INTO everything (id, {names}) VALUES ({row}, {row_sql(row)})")
    large_values = ", ".join(f"{name} = {expression.format(g='id')}" for name, (expression, _) in LARGE.items())
    statements += [
        f"UPDATE everything SET {large_values} WHERE id % 3 = 0",
        "ALTER TABLE everything DROP dropped_later",
        "ALTER TABLE everything ADD fast_text text DEFAULT 'quote '' and \\ é', ADD fast_array int[] DEFAULT '{1,NULL}',"
        " ADD fast_time timestamptz DEFAULT now()",
        "UPDATE everything SET fast_text = NULL WHERE id % 5 = 0",
        "UPDATE everything SET fast_time = '2024-01-01 00:00:00+00'",
        "INSERT INTO everything (id) VALUES (1000)",
        "UPDATE everything SET fast_time = '2024-01-01 00:00:00+00' WHERE id = 1000",
    ]
    if major >= 18:
        statements.append("ALTER TABLE everything ADD g_virtual integer GENERATED ALWAYS AS (c_smallint + 1) VIRTUAL")
    return ";\n".join(statements)


def changes_sql():
    """Changes of every kind: each value arrives in an insert and in an update, large ones stay as they are."""
    names = ", ".join(VALUES)
    statements = []
    for row in range(ROWS):
        if row % 4 == 0:
            statements.append(f"UPDATE everything SET ({names}) = ROW({row_sql(row + 1)}) WHERE id = {row}")
        elif row % 4 == 1:
            statements.append(f"INSERT INTO everything (id, {names}) VALUES ({row + 2000}, {row_sql(row + 3)})")
        elif row % 4 == 2:
            statements.append(f"UPDATE everything SET id = id + 5000 WHERE id = {row}")
        else:
            statements.append(f"DELETE FROM everything WHERE id = {row}")
            statements.append(f"INSERT INTO everything (id, {names}) VALUES ({row}, {row_sql(row + 7)})")
    statements += [
        "UPDATE everything SET large_external = large_extended WHERE id = 12",
        "UPDATE everything SET large_extended = NULL, large_main = '' WHERE id = 24",
        "UPDATE everything SET fast_text = DEFAULT, fast_array = '{}', fast_time = '0044-03-15 00:00:00+00 BC'"
        " WHERE id = 36",
        "UPDATE everything SET fast_time = '2024-01-01 00:00:00+00'"
        " WHERE fast_time > '2024-01-01 00:00:00+00'",
    ]
    return ";\n".join(statements)


def pair_of_databases(new_database, major):
    """Two databases with the same table; the second is the twin."""
    made = new_database(), new_database()
    for database in made:
        database.execute(table_sql(major))
    return made


ALTERS = {
    "key_wider": "ALTER TABLE everything ALTER COLUMN id TYPE bigint",
    "many_types": "ALTER TABLE everything ALTER c_smallint TYPE bigint, ALTER c_varchar TYPE text,"
                  " ALTER c_char TYPE text, ALTER c_json TYPE jsonb USING nullif(c_json::text, '[1, 2.0, 1e400]')::jsonb,"
                  " ALTER c_timestamp TYPE timestamptz, ALTER c_enum TYPE text, ALTER c_domain TYPE bigint,"
                  " ALTER c_int_array TYPE bigint[], ALTER c_money TYPE numeric(20,2), ALTER c_cidr TYPE inet,"
                  " ALTER c_real TYPE double precision, ALTER c_inet TYPE text",
}


def alter_for(name, major):
    # PostgreSQL itself refuses to change a column that a generated one needs.
    return ALTERS[name] if major < 18 else ALTERS[name].replace("ALTER c_smallint TYPE bigint, ", "")


@pytest.mark.parametrize("alter", ALTERS)
def test_idle(new_database, major, alter):
    database, twin = pair_of_databases(new_database, major)
    twin.execute(alter_for(alter, major))
    outcome = pgrecast.run(database, alter_for(alter, major))
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert row_differences(database, twin, "everything") == []
    assert schema_differences(database, twin, "everything") == []
    assert_clean(database, twin)


@pytest.mark.parametrize("phase", ["copy", "catchup", "ready"])
@pytest.mark.parametrize("alter", ALTERS)
def test_changed_during_the_run(new_database, major, alter, phase):
    database, twin = pair_of_databases(new_database, major)
    twin.execute(changes_sql())
    twin.execute(alter_for(alter, major))
    job = pgrecast.start_run(database, alter_for(alter, major), hold=phase)
    job.wait_phase(phase)
    database.execute(changes_sql())
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert row_differences(database, twin, "everything") == []
    assert_clean(database, twin)


ODD_SETTINGS = {
    "datestyle": "SQL, DMY", "intervalstyle": "sql_standard", "extra_float_digits": "-2", "bytea_output": "escape",
    "timezone": "Pacific/Apia", "xmloption": "document", "xmlbinary": "hex", "array_nulls": "off",
    "transform_null_equals": "on", "standard_conforming_strings": "off", "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on", "client_encoding": "LATIN1", "client_min_messages": "debug1",
    "search_path": "nowhere", "quote_all_identifiers": "on", "default_toast_compression": "pglz",
    "synchronous_commit": "off", "row_security": "off", "enable_tidscan": "off", "statement_timeout": "60s",
    "default_tablespace": "", "check_function_bodies": "off", "lock_timeout": "50s",
    "idle_in_transaction_session_timeout": "50s",
}


@pytest.mark.parametrize("phase", ["copy", "ready"])
def test_odd_settings_of_the_role(new_database, major, phase):
    """What the role or the database sets for its sessions changes no value."""
    database, twin = pair_of_databases(new_database, major)
    alter = "ALTER TABLE public.everything ALTER COLUMN id TYPE bigint, ALTER c_varchar TYPE text"
    twin.execute(changes_sql())
    twin.execute(alter)
    for name, value in ODD_SETTINGS.items():
        database.superuser(f'ALTER ROLE app_owner IN DATABASE "{database.name}" SET {name} = %s', value)
    job = pgrecast.start_run(database, alter, hold=phase)
    job.wait_phase(phase)
    database.superuser("SET ROLE app_owner;" + changes_sql())
    job.release()
    outcome = job.wait()
    database.superuser(f'ALTER ROLE app_owner IN DATABASE "{database.name}" RESET ALL')
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert row_differences(database, twin, "everything") == []
    assert schema_differences(database, twin, "everything") == []


def unquoted(name):
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


LONG = "ä" * 31 + "b"  # 63 bytes
NAMES = [
    ('"Mixed Case"', '"Tab.le ""x"""', '"select"'),
    ("public", f'"{LONG}"', f'"{LONG}"'),
    ('"schéma; --"', "\"o'clock\"", '"back\\slash"'),
    ("public", '"%s$1"', '"ctid2"'),
]


@pytest.mark.parametrize("schema, table, column", NAMES, ids=["mixed", "long", "hostile", "format"])
def test_identifiers(new_database, schema, table, column):
    database, twin = new_database(), new_database()
    for one in (database, twin):
        one.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}; CREATE TABLE {schema}.{table}"
                    f" ({column} integer PRIMARY KEY, \"Ünïcode\" text UNIQUE, \"a,b\" serial, CHECK (\"Ünïcode\" <> 'x'));"
                    f"CREATE INDEX ON {schema}.{table} (lower(\"Ünïcode\"));"
                    f"INSERT INTO {schema}.{table} SELECT g, 'value ' || g FROM generate_series(1, 500) g")
    alter = f"ALTER TABLE {schema}.{table} ALTER COLUMN {column} TYPE bigint"
    change = (f"UPDATE {schema}.{table} SET {column} = -{column} WHERE {column} % 7 = 0;"
              f"UPDATE {schema}.{table} SET \"Ünïcode\" = NULL WHERE {column} % 5 = 0")
    twin.execute(change + ";" + alter)
    job = pgrecast.start_run(database, alter, hold="copy")
    job.wait_phase("copy")
    database.execute(change)
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert row_differences(database, twin, f"{schema}.{table}") == []
    assert schema_differences(database, twin, unquoted(table), unquoted(schema)) == []
    assert_clean(database, twin)


@pytest.mark.main_major
@pytest.mark.timeout(600)
def test_value_of_200_mb(database):
    """One near the limit, copied, and one in the stream."""
    size = 200 * 1024 * 1024
    database.execute("CREATE TABLE huge (id integer PRIMARY KEY, v text, n integer);"
                     "ALTER TABLE huge ALTER v SET STORAGE EXTERNAL;"
                     f"INSERT INTO huge VALUES (1, repeat('x', {size}), 1), (2, 'small', 2)")
    job = pgrecast.start_run(database, "ALTER TABLE huge ALTER COLUMN id TYPE bigint", hold="catchup")
    job.wait_phase("catchup", timeout=120)
    database.execute(f"UPDATE huge SET v = repeat('y', {size}) WHERE id = 2; UPDATE huge SET n = 5 WHERE id = 1")
    job.release()
    outcome = job.wait(timeout=400)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.execute("SELECT id, length(v), left(v, 1), md5(v) = md5(repeat(left(v, 1), length(v))), n"
                            " FROM huge ORDER BY id") == [(1, size, "x", True, 5), (2, size, "y", True, 2)]
