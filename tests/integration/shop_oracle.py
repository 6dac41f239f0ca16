"""Decides whether the shop is what its history made of it (see shop_traffic.py for why this way)."""

import collections
import decimal
import json
import re

SLOT = "shop_history"
SCHEMAS = ("audit", "crm", "catalogue", "stock", "sales")

# "table sales.order: UPDATE: old-key: … new-tuple: …", as test_decoding prints it, and one column of a tuple.
CHANGE = re.compile(r'table ("?\w+"?\."?\w+"?): (INSERT|UPDATE|DELETE|TRUNCATE): (.*)', re.S)
COLUMN = re.compile(r"""("(?:[^"]|"")+"|\w+)\[((?:[^\[\]"]|\[\]|"[^"]*")+)\]:('(?:[^']|'')*'|unchanged-toast-datum|[^ ]+)(?: |$)""")
UNCHANGED = object()

TABLES = """
SELECT n.nspname || '.' || c.relname, c.oid::regclass::text,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated <> 'v' ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_attribute a, unnest(x.indkey) WITH ORDINALITY AS k (number, place)
              WHERE a.attrelid = c.oid AND a.attnum = k.number AND k.place <= x.indnkeyatts ORDER BY k.place),
       EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND t.tgfoid = 'audit.record'::regproc AND t.tgenabled <> 'D')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_index x ON x.indrelid = c.oid AND CASE WHEN c.relreplident = 'i' THEN x.indisreplident ELSE x.indisprimary END
 WHERE c.relkind = 'r' AND n.nspname = ANY (%s)
"""

FOREIGN_KEYS = """
SELECT k.conrelid::regclass || '.' || k.conname, k.conrelid::regclass::text, k.confrelid::regclass::text,
       (SELECT string_agg(format('f.%%I = p.%%I', a.attname, b.attname), ' AND ') FROM unnest(k.conkey, k.confkey) AS c (here, there)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.here
          JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = c.there),
       (SELECT string_agg(format('f.%%I IS NOT NULL', a.attname), ' AND ') FROM unnest(k.conkey) AS c (here)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.here)
  FROM pg_constraint k
  JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE k.contype = 'f' AND k.conparentid = 0 AND k.convalidated AND n.nspname = ANY (%s)
 ORDER BY 1
"""


class Table:
    """What a table must hold, by its key."""

    def __init__(self, sql_name, columns, key, audited):
        self.sql_name, self.columns, self.key, self.audited = sql_name, columns, key, audited
        self.rows = {}
        self.changes = collections.Counter()  # (operation, key) of an audited one

    def key_of(self, row):
        return tuple(row[name] for name in self.key)

    def change(self, operation, old, new):
        if operation == "TRUNCATE":
            self.rows.clear()
            return
        key = self.key_of(old or new)
        before = self.rows.pop(key, None)
        assert (before is None) == (operation == "INSERT"), f"{operation} of {self.sql_name} {key}, which was {before}"
        if operation != "DELETE":
            row = {name: before.get(name) if value is UNCHANGED else value for name, value in new.items()}
            self.rows[self.key_of(row)] = row
            key = self.key_of(row)
        if self.audited:
            self.changes[operation[0], key] += 1


class History:
    """
    Follows the tables of a shop from here on. Nobody may write them while this is made, nor during a comparison.
    """

    def __init__(self, database):
        self.database = database
        self.conn = database.connect(options="-c timezone=UTC -c datestyle=ISO -c bytea_output=hex")
        self.cursor = self.conn.cursor()
        self.cursor.execute("SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", (SLOT,))
        self.tables = {}
        self.cursor.execute(TABLES, (list(SCHEMAS),))
        for name, sql_name, columns, key, audited in self.cursor.fetchall():
            table = self.tables[name] = Table(sql_name, columns, key, audited)
            table.rows = {table.key_of(row): row for row in self.held(table, columns)}
        self.cursor.execute(FOREIGN_KEYS, (list(SCHEMAS),))
        self.foreign_keys = self.cursor.fetchall()
        self.cursor.execute("SELECT max(id) FROM audit.log")
        (self.first_entry,) = self.cursor.fetchone()

    def close(self):
        self.conn.close()
        self.database.execute("SELECT pg_drop_replication_slot(%s)", SLOT)

    def held(self, table, columns):
        """The rows that the table holds, each a dict of texts as the server prints them to a client."""
        names = [f'"{name}"' for name in columns]
        values = ", ".join(f"CASE WHEN num_nulls({name}) = 0 THEN format('%s', {name}) END" for name in names)
        self.cursor.execute(f"SELECT {values} FROM {table.sql_name}")
        return [dict(zip(columns, row)) for row in self.cursor.fetchall()]

    def follow(self):
        """Read what was committed since the last time."""
        self.cursor.execute("SELECT data FROM pg_logical_slot_get_changes(%s, NULL, NULL, 'skip-empty-xacts', '1',"
                            " 'include-xids', '0') WHERE data LIKE 'table %%'", (SLOT,))
        for (text,) in self.cursor:
            name, operation, rest = CHANGE.fullmatch(text).groups()
            table = self.tables.get(name.replace('"', ""))
            if table is not None:
                table.change(operation, *images(operation, rest))

    def differences(self, names=None):
        """What the named tables (or all) hold and should not, or do not and should. Nobody writes now."""
        self.follow()
        found = []
        for name in names or self.tables:
            found += self.table_differences(name, self.tables[name])
        return found

    def table_differences(self, name, table):
        columns, types = self.columns_now(table)
        if set(columns) < set(table.key):
            return [f"{name}: it is not there, or without its key"]
        shape = [types.get(column, "") for column in columns]
        held, expected = {}, {}
        found = []
        for row in self.held(table, columns):
            image = tuple(spelled(row[column], kind) for column, kind in zip(columns, shape))
            if held.setdefault(table.key_of(row), image) is not image:
                found.append(f"{name}: {table.key_of(row)} is there twice")
        for key, row in table.rows.items():
            expected[key] = tuple(spelled(row[column], kind) for column, kind in zip(columns, shape))
        found += [f"{name}: lost: {key}" for key in expected.keys() - held.keys()]
        found += [f"{name}: invented: {key}" for key in held.keys() - expected.keys()]
        for key in expected.keys() & held.keys():
            found += [f"{name}: {key}: {column} is {mine!r:.80}, and was written as {other!r:.80}"
                      for column, mine, other in zip(columns, held[key], expected[key]) if mine != other]
        return found[:10]

    def columns_now(self, table):
        """Those of the start that the table still has, and the types of all that it has."""
        self.cursor.execute("SELECT attname, format_type(atttypid, NULL) FROM pg_attribute"
                            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped", (table.sql_name,))
        types = dict(self.cursor.fetchall())
        return [column for column in table.columns if column in types], types

    def audit_differences(self):
        """Changes of audited tables that were not logged once."""
        self.follow()
        self.cursor.execute("SELECT table_name, operation::text, row_key FROM audit.log WHERE id > %s", (self.first_entry,))
        logged = collections.Counter((table, operation, as_texts(key)) for table, operation, key in self.cursor)
        made = collections.Counter()
        for name, table in self.tables.items():
            for (operation, key), count in table.changes.items():
                made[name, operation, tuple(sorted(zip(table.key, key)))] += count
        return [f"{entry} happened {made[entry]} times and was logged {logged[entry]} times"
                for entry in sorted(made.keys() | logged.keys()) if made[entry] != logged[entry]][:10]

    def orphans(self):
        """Foreign keys of the start that a row breaks, whatever the catalogs say now."""
        found = []
        for name, here, there, equal, known in self.foreign_keys:
            self.cursor.execute(f"SELECT count(*) FROM {here} f WHERE {known}"
                                f" AND NOT EXISTS (SELECT FROM {there} p WHERE {equal})")
            (count,) = self.cursor.fetchone()
            if count:
                found.append(f"{count} rows break {name}")
        return found


def images(operation, text):
    """(old key, new row) of a change, each None where it is not told."""
    if operation == "TRUNCATE":
        return None, None
    old = None
    if text.startswith("old-key: "):
        old, text = split(text.removeprefix("old-key: "))
        text = text.removeprefix("new-tuple: ")
    new, rest = split(text)
    assert rest == "", f"cannot read {text!r}"
    return (new, None) if operation == "DELETE" else (old, new)


def split(text):
    """A tuple as a dict, and what follows it."""
    row, place = {}, 0
    while True:
        column = COLUMN.match(text, place)
        if column is None:
            return row, text[place:]
        name, _, value = column.groups()
        row[name.strip('"')] = value_of(value)
        place = column.end()


def value_of(text):
    if text == "unchanged-toast-datum":
        return UNCHANGED
    if text == "null":
        return None
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    return {"true": "t", "false": "f"}.get(text, text)


def spelled(text, kind):
    """A value in one spelling, where the old and the new type of a column have two."""
    if text is None:
        return None
    if kind == "numeric":
        return decimal.Decimal(text)
    if kind in ("json", "jsonb"):
        return json.dumps(json.loads(text), sort_keys=True)
    if kind.startswith(("character", "text")):
        return text.rstrip(" ")  # of char(n) no more than this is kept
    return text


def as_texts(key):
    return tuple(sorted((name, str(value)) for name, value in key.items()))
