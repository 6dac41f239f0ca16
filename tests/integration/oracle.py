"""Compares the table under test with its mirror, row for row, through the transformation that was asked for."""

import dataclasses


@dataclasses.dataclass
class Differences:
    """Empty (false) where the two agree."""

    table_rows: int
    mirror_rows: int
    only_in_table: int
    only_in_mirror: int
    examples: list

    def __bool__(self):
        return self.only_in_table > 0 or self.only_in_mirror > 0 or self.table_rows != self.mirror_rows

    @property
    def count(self):
        return self.only_in_table + self.only_in_mirror


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def columns_of(cursor, table):
    """(name, type) of each column of a table named as in SQL."""
    cursor.execute("SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                   " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum", (table,))
    return cursor.fetchall()


def compare(database, table, mirror, transformation=None, ignore=()):
    """Rows of the table that the transformed mirror has not, and the other way, in one snapshot.

    transformation gives for a column of the table an SQL expression over the mirror's columns; the others are the
    mirror's column of the same name, cast to the table's type. Columns in ignore are left out. Everything is
    compared as text, byte by byte: some types have no equality, and some collations see no difference.
    """
    transformation = transformation or {}
    conn = database.connect(autocommit=False, options="-c extra_float_digits=3 -c search_path=public")
    try:
        with conn.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            here, there = [], []
            for name, type_ in columns_of(cursor, table):
                if name in ignore:
                    continue
                here.append(f'{quoted(name)}::text COLLATE "C"')
                there.append(f'({transformation.get(name, quoted(name))})::{type_}::text COLLATE "C"')
            here = f"SELECT {', '.join(here)} FROM {table}"
            there = f"SELECT {', '.join(there)} FROM {mirror}"
            return Differences(
                table_rows=_count(cursor, f"SELECT FROM {table}"),
                mirror_rows=_count(cursor, f"SELECT FROM {mirror}"),
                only_in_table=_count(cursor, f"{here} EXCEPT ALL {there}"),
                only_in_mirror=_count(cursor, f"{there} EXCEPT ALL {here}"),
                examples=_examples(cursor, "table", here, there) + _examples(cursor, "mirror", there, here))
    finally:
        conn.close()


def _count(cursor, query):
    cursor.execute(f"SELECT count(*) FROM ({query}) AS counted")
    return cursor.fetchone()[0]


def _examples(cursor, side, these, those):
    cursor.execute(f"SELECT * FROM ({these} EXCEPT ALL {those}) AS differing LIMIT 5")
    return [(side, tuple(value if value is None else value[:60] for value in row)) for row in cursor.fetchall()]
