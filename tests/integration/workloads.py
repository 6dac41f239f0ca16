"""Tables under test and how their rows are made. load.py writes them.

A row is known by a number; the workload makes its key from it, in Python (key_for) and in SQL (key_sql) alike.
Every value is given to the server as an untyped literal, so that statements go on working when a column's type
changes at the cutover.
"""

import datetime
import hashlib
import importlib

SMALL_TEXTS = ("", " ", "a", "quote ' and \\ backslash", "tab\tnewline\n", "naïve", "日本語", "\\N", "NULL", "{}", "\u200d")


class Workload:
    """An int key, small columns, a unique text and a TOASTed text: the plain case, and the base of the others."""

    name = "int_key"
    table = "items"
    key_columns = (("id", "integer"),)
    key_constraint = "PRIMARY KEY (id)"
    after = ()  # statements after CREATE TABLE; {t} is the table
    before = ()  # statements before it, once
    alter = "ALTER TABLE items ALTER COLUMN id TYPE bigint"
    arguments = ()  # of the run, for this change
    transformation = {}  # columns of the new table that are not those of the mirror: an expression over its row

    @property
    def mirror(self):
        return self.mirror_of(self.table)

    @staticmethod
    def mirror_of(table):
        return table + "_mirror"

    @property
    def tables(self):
        """All of them, in the order in which a transaction comes to them; the first is the table."""
        return (self.table,)

    def tables_for(self, values, rng):
        """Those in which a row's new values are written."""
        return self.tables

    @property
    def key(self):
        return tuple(name for name, _ in self.key_columns)

    @property
    def columns(self):
        return self.key + ("n", "note", "label", "document")

    def ddl(self, table):
        keys = ", ".join(f"{name} {type_} NOT NULL" for name, type_ in self.key_columns)
        yield (f"CREATE TABLE {table} ({keys}, n integer, note varchar(200), label text UNIQUE,"
               f" document text, {self.key_constraint})")
        for statement in self.after:
            yield statement.format(t=table)

    def create(self, cursor):
        for statement in self.before:
            cursor.execute(statement)
        for table in reversed(self.tables):
            for name in (table, self.mirror_of(table)):
                for statement in self.ddl(name):
                    cursor.execute(statement)

    def fill(self, cursor, rows):
        """Rows 0 to rows-1 in each table, and the same in its mirror. Every 20th has a large value."""
        cursor.execute(
            f"INSERT INTO {self.table} ({', '.join(self.columns)})"
            f" SELECT {self.key_sql('g')}, g % 1000, CASE WHEN g % 7 > 0 THEN 'note ' || g END, 'first-' || g,"
            "  CASE g % 40 WHEN 0 THEN repeat(md5(g::text), 300)"
            "   WHEN 20 THEN (SELECT string_agg(md5(g || '-' || i), '') FROM generate_series(1, 150) i)"
            "   ELSE left(md5(g::text), (g % 32)::int) END"
            f" FROM generate_series(0, {rows:d} - 1) g")
        for table in (*self.tables[1:], *map(self.mirror_of, self.tables)):
            cursor.execute(f"INSERT INTO {table} SELECT * FROM {self.table}")

    # Keys

    def key_for(self, number):
        return (str(number),)

    def key_sql(self, number):
        return number

    def respelled(self, number, rng):
        """The key of the row in other bytes that compare as equal, or None where there are none."""
        return None

    # Values

    def small_values(self, rng):
        """New values for some of the small columns."""
        values = {}
        if rng.random() < 0.8:
            values["n"] = rng.choice([None, "0", "-1", "2147483647", "-2147483648", str(rng.randrange(10000))])
        if not values or rng.random() < 0.5:
            values["note"] = rng.choice([None, rng.choice(SMALL_TEXTS), f"note {rng.random()}"])
        return values

    def large_value(self, rng):
        kind = rng.random()
        if kind < 0.1:
            return None
        if kind < 0.3:
            return "small again"
        if kind < 0.5:
            return f"{rng.random()}" * rng.randrange(300, 3000)  # compresses well
        return "".join(hashlib.md5(str(rng.random()).encode()).hexdigest() for _ in range(rng.randrange(80, 400)))


class BigintKey(Workload):
    name = "bigint_key"
    key_columns = (("id", "bigint"),)
    alter = "ALTER TABLE items ALTER COLUMN n TYPE bigint, ADD COLUMN added integer NOT NULL DEFAULT 7"
    transformation = {"added": "7"}

    def key_for(self, number):
        return (str(number * 3_000_000_019 - 2**60),)

    def key_sql(self, number):
        return f"{number}::bigint * 3000000019 - 1152921504606846976"


class UuidKey(Workload):
    name = "uuid_key"
    key_columns = (("id", "uuid"),)
    alter = "ALTER TABLE items ALTER COLUMN n TYPE bigint"

    def key_for(self, number):
        digits = hashlib.md5(str(number).encode()).hexdigest()
        return ("-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])),)

    def key_sql(self, number):
        return f"md5({number}::text)::uuid"


class CompositeKey(Workload):
    name = "composite_key"
    key_columns = (("region", "text"), ("number", "integer"))
    key_constraint = "PRIMARY KEY (region, number)"
    alter = "ALTER TABLE items ALTER COLUMN number TYPE bigint, ALTER COLUMN note TYPE text"

    def key_for(self, number):
        return (f"région {number % 3}", str(number))

    def key_sql(self, number):
        return f"'région ' || {number} % 3, {number}"


class TextKey(Workload):
    """A text key under the C collation."""

    name = "text_c_key"
    key_columns = (("id", 'text COLLATE "C"'),)
    alter = "ALTER TABLE items ALTER COLUMN n TYPE numeric(20,2)"

    def key_for(self, number):
        return (("Zürich-", "zurich-", "ZURICH ", "école ")[number % 4] + str(number),)

    def key_sql(self, number):
        return f"(ARRAY['Zürich-', 'zurich-', 'ZURICH ', 'école '])[{number} % 4 + 1] || {number}"


class IcuTextKey(TextKey):
    name = "text_icu_key"
    key_columns = (("id", 'text COLLATE "en-x-icu"'),)


class CaseInsensitiveKey(TextKey):
    """A key under a collation in which different bytes are equal."""

    name = "text_ci_key"
    before = ("CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",)
    key_columns = (("id", "text COLLATE ignore_case"),)

    def respelled(self, number, rng):
        text = self.key_for(number)[0]
        return (rng.choice([text.upper(), text.lower(), text]),)


class NumericKey(Workload):
    name = "numeric_key"
    key_columns = (("id", "numeric"),)
    alter = "ALTER TABLE items ALTER COLUMN n TYPE bigint"

    def key_for(self, number):
        return (f"{number}.5",)

    def key_sql(self, number):
        return f"{number} + 0.5"

    def respelled(self, number, rng):
        return (f"{number}.5" + "0" * rng.randrange(4),)


class TimestamptzKey(Workload):
    name = "timestamptz_key"
    key_columns = (("id", "timestamptz"),)
    alter = "ALTER TABLE items ALTER COLUMN n TYPE bigint"

    def key_for(self, number):
        moment = datetime.datetime(2020, 1, 1) + datetime.timedelta(microseconds=number)
        return (f"{moment}+00",)

    def key_sql(self, number):
        return f"timestamptz '2020-01-01 00:00:00+00' + {number} * interval '1 microsecond'"


class ByteaKey(Workload):
    name = "bytea_key"
    key_columns = (("id", "bytea"),)
    alter = "ALTER TABLE items ALTER COLUMN n TYPE bigint"

    def key_for(self, number):
        return ("\\x00ff" + hashlib.md5(str(number).encode()).hexdigest(),)

    def key_sql(self, number):
        return f"decode('00ff' || md5({number}::text), 'hex')"


class UniqueIndexKey(Workload):
    """No primary key: rows are identified by a unique index chosen as replica identity."""

    name = "unique_index_key"
    key_columns = (("id", "integer"), ("part", "smallint"))
    key_constraint = "CHECK (part >= 0)"
    after = ("CREATE UNIQUE INDEX {t}_identity ON {t} (part, id) INCLUDE (n)",
             "ALTER TABLE {t} REPLICA IDENTITY USING INDEX {t}_identity")
    alter = "ALTER TABLE items ALTER COLUMN id TYPE bigint"

    def key_for(self, number):
        return (str(number), str(number % 10))

    def key_sql(self, number):
        return f"{number}, {number} % 10"


class Paced(Workload):
    """A job that takes its time over each row, as much as the test says in table pace: to be met in the act."""

    name = "workloads:Paced"
    before = (
        "CREATE TABLE pace (seconds double precision)",
        "INSERT INTO pace VALUES (0)",
        "CREATE FUNCTION slowly(integer) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_sleep(seconds) FROM public.pace WHERE seconds > 0; RETURN $1; END'")
    alter = "ALTER TABLE items ALTER COLUMN n TYPE bigint USING slowly(n)"
    arguments = ("--reverse-map", "n=n::integer", "--chunk-size=8kB")


class Shrunk(Workload):
    """The primary key changes and a column goes, that the load does not write: 'old' in the rows there were."""

    name = "workloads:Shrunk"
    key_columns = (("id", "integer"), ("part", "smallint"))
    key_constraint = "PRIMARY KEY (id)"
    after = ("ALTER TABLE {t} ADD COLUMN extra text DEFAULT 'new'",)
    alter = ("ALTER TABLE items DROP CONSTRAINT items_pkey, ADD PRIMARY KEY (part, id), DROP COLUMN extra,"
             " ALTER COLUMN label TYPE varchar(200), ALTER COLUMN n TYPE numeric(20,2)")

    def fill(self, cursor, rows):
        super().fill(cursor, rows)
        for table in (self.table, self.mirror):
            cursor.execute(f"UPDATE {table} SET extra = 'old ' || id")

    def key_for(self, number):
        return (str(number), str(number % 10))

    def key_sql(self, number):
        return f"{number}, {number} % 10"


class Padded(Workload):
    """Columns whose order wastes room, also a generated one; the load writes some of them."""

    name = "workloads:Padded"
    after = ("ALTER TABLE {t} ADD flag boolean NOT NULL DEFAULT true, ADD at timestamptz DEFAULT now(),"
             " ADD small smallint DEFAULT 3, ADD number bigint",)
    alter = None
    arguments = ("-t", "items", "--rebuild", "--pack-columns")

    def fill(self, cursor, rows):
        super().fill(cursor, rows)
        for table in (self.table, self.mirror):
            cursor.execute(f"ALTER TABLE {table} ADD twice bigint GENERATED ALWAYS AS (n * 2::bigint) STORED")


class Shop(Workload):
    """
    Several tables that every transaction changes. Their rows come and go together, and small values are changed in one
    of them or in all. The load comes to items first, whose oid is the last.
    """

    name = "workloads:Shop"
    others = ("orders",)
    alter = ("ALTER TABLE items ALTER COLUMN id TYPE bigint; ALTER TABLE orders ALTER COLUMN id TYPE bigint;"
             " ALTER TABLE items ALTER COLUMN n TYPE bigint; CREATE INDEX orders_n ON orders (n)")

    @property
    def tables(self):
        return (self.table, *self.others)

    def tables_for(self, values, rng):
        if set(values) <= {"n", "note"} and rng.random() < 0.5:
            return (rng.choice(self.tables),)
        return self.tables


class Mall(Shop):
    """Three of them."""

    name = "workloads:Mall"
    others = ("orders", "parcels")
    alter = ("ALTER TABLE items ALTER COLUMN id TYPE bigint; ALTER TABLE orders ALTER COLUMN id TYPE bigint;"
             " ALTER TABLE parcels ALTER COLUMN id TYPE bigint, ALTER COLUMN note TYPE text")


WORKLOADS = {cls.name: cls for cls in (
    Workload, BigintKey, UuidKey, CompositeKey, TextKey, IcuTextKey, CaseInsensitiveKey, NumericKey, TimestamptzKey,
    ByteaKey, UniqueIndexKey)}


def workload(name):
    """A workload by its name, or by "module:Class"."""
    if ":" in name:
        module, attribute = name.split(":")
        return getattr(importlib.import_module(module), attribute)()
    return WORKLOADS[name]()
