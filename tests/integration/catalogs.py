"""Describes tables from the catalogs of any major: all that a user can see or set, by names, in order.

A query here takes the oids of relations (%(oids)s) and tells with each row which one it belongs to (relation): so that
database.py asks for all of them at once what describe() asks for one.

Two tables made in different ways are the same where their descriptions are equal. Left out are oids, physical
column numbers, sizes, and the server's own pg_attver (since 15.20 the log position of a column's last change of type
among the column's options, which nobody can set).
"""

import re


def acl_text(acl, default):
    """SQL for an access list as sorted text; NULL where it says no more than the default, '' where it grants nothing."""
    return (f"CASE WHEN NOT ({acl} @> {default} AND {acl} <@ {default})"
            f" THEN (SELECT coalesce(string_agg(item::text, ' ' ORDER BY item::text), '') FROM unnest({acl}) AS item) END")


COLUMNS = r"""
SELECT a.attrelid AS relation, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
       a.attnotnull AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS default,
       a.attidentity::text AS identity,
       a.attgenerated::text AS generated,
       a.attstorage::text AS storage,
       a.attcompression::text AS compression,
       coalesce(a.attstattarget, -1) AS statistics,
       (SELECT array_agg(o ORDER BY o) FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\_attver=%%')::text AS options,
       a.attislocal AS local,
       a.attinhcount AS inherited,
       col_description(a.attrelid, a.attnum) AS comment,
       {column_acl} AS acl
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = ANY (%(oids)s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
"""

# To a partitioned table a foreign key has a row more for each partition; until 18 those keep what the key was made
# with when it is validated, and nobody looks: they are described as the key is.
CONSTRAINTS = """
SELECT c.conrelid AS relation, c.conname AS name, c.contype::text AS type,
       CASE WHEN whole.convalidated THEN regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', '')
            ELSE pg_get_constraintdef(c.oid) END AS definition,
       coalesce(whole.convalidated, c.convalidated) AS validated,
       c.condeferrable AS deferrable, c.condeferred AS deferred, c.conislocal AS local, c.coninhcount AS inherited,
       c.connoinherit AS no_inherit, i.relname AS index, obj_description(c.oid, 'pg_constraint') AS comment
  FROM pg_constraint c
  LEFT JOIN pg_constraint whole ON whole.oid = c.conparentid AND whole.conrelid = c.conrelid AND c.contype = 'f'
  LEFT JOIN pg_class i ON i.oid = c.conindid
 WHERE c.conrelid = ANY (%(oids)s)
 ORDER BY c.conname
"""

INDEXES = """
SELECT x.indrelid AS relation, i.relname AS name, pg_get_indexdef(x.indexrelid) AS definition, x.indisunique AS unique,
       x.indisprimary AS primary, x.indisvalid AS valid, x.indisready AS ready, x.indimmediate AS immediate,
       x.indisclustered AS clustered, x.indisreplident AS replica_identity, i.reloptions::text AS options,
       s.spcname AS tablespace, pg_get_userbyid(i.relowner) AS owner, obj_description(i.oid, 'pg_class') AS comment,
       (SELECT string_agg(attname || ':' || attstattarget, ' ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = i.oid AND attstattarget >= 0) AS statistics
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
 WHERE x.indrelid = ANY (%(oids)s)
 ORDER BY i.relname
"""

STATISTICS = """
SELECT stxrelid AS relation, pg_get_statisticsobjdef(oid) AS definition, coalesce(stxstattarget, -1) AS target,
       pg_get_userbyid(stxowner) AS owner, obj_description(oid, 'pg_statistic_ext') AS comment
  FROM pg_statistic_ext
 WHERE stxrelid = ANY (%(oids)s)
 ORDER BY stxname, definition
"""

# Of a table, or asked for themselves. 'a' is a sequence OWNED BY a column (serial), 'i' one of an identity column.
SEQUENCES = """
SELECT d.refobjid AS relation, s.oid::regclass::text AS name, a.attname AS column, d.deptype::text AS kind, format_type(q.seqtypid, NULL) AS type,
       q.seqstart AS start, q.seqincrement AS increment, q.seqmin AS minimum, q.seqmax AS maximum,
       q.seqcache AS cache, q.seqcycle AS cycle, pg_get_userbyid(s.relowner) AS owner, {sequence_acl} AS acl,
       s.relpersistence::text AS persistence, obj_description(s.oid, 'pg_class') AS comment
  FROM pg_class s
  JOIN pg_sequence q ON q.seqrelid = s.oid
  LEFT JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
   AND d.deptype IN ('a', 'i')
  LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
 WHERE d.refobjid = ANY (%(oids)s) OR s.oid = ANY (%(oids)s)
 ORDER BY 2
"""

TABLE = """
SELECT c.oid AS relation, c.relname AS name, n.nspname AS schema, c.relkind::text AS kind, c.relpersistence::text AS persistence,
       pg_get_userbyid(c.relowner) AS owner, {table_acl} AS acl, c.reloptions::text AS options,
       t.reloptions::text AS toast_options, s.spcname AS tablespace, m.amname AS access_method,
       c.relreplident::text AS replica_identity, c.relrowsecurity AS row_security,
       c.relforcerowsecurity AS force_row_security,
       EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid) AS has_triggers, -- relhastriggers stays until a VACUUM
       obj_description(c.oid, 'pg_class') AS comment, y.typname AS row_type, pg_get_userbyid(y.typowner) AS row_type_owner
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
  LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
  LEFT JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_type y ON y.oid = c.reltype
 WHERE c.oid = ANY (%(oids)s)
"""

# What depends on the table and is not told above: views, policies, triggers, publications, rules …
DEPENDENTS = """
SELECT DISTINCT refobjid AS relation, pg_describe_object(classid, objid, objsubid) AS object
  FROM pg_depend
 WHERE refclassid = 'pg_class'::regclass AND refobjid = ANY (%(oids)s) AND deptype = 'n'
   AND classid NOT IN ('pg_attrdef'::regclass, 'pg_constraint'::regclass)
 ORDER BY 2
"""

PARTS = {"table": TABLE, "columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES, "statistics": STATISTICS,
         "sequences": SEQUENCES, "dependents": DEPENDENTS}


def rows_by_relation(cursor, query, oids):
    """What a query says of these relations: oid to a list of its rows, as dicts."""
    cursor.execute(query.replace("{column_acl}", acl_text("a.attacl", "acldefault('c', c.relowner)"))
                   .replace("{sequence_acl}", acl_text("s.relacl", "acldefault('s', s.relowner)"))
                   .replace("{table_acl}", acl_text("c.relacl", "acldefault('r', c.relowner)")), {"oids": oids})
    names = [column.name for column in cursor.description]
    found = {}
    for values in cursor.fetchall():
        row = dict(zip(names, values))
        found.setdefault(row.pop("relation"), []).append(row)
    return found


def add_values(cursor, sequences):
    """Where each of the sequences stands."""
    for sequence in sequences:
        cursor.execute(f"SELECT last_value, is_called FROM {sequence['name']}")
        sequence["last_value"], sequence["is_called"] = cursor.fetchone()


def describe(conn, schema, table):
    """A dict of the table's whole description; None where there is no such table."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT set_config('search_path', '', false)")
        cursor.execute("SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                       " WHERE n.nspname = %s AND c.relname = %s", (schema, table))
        found = cursor.fetchone()
        if found is None:
            return None
        description = {section: rows_by_relation(cursor, query, [found[0]]).get(found[0], [])
                       for section, query in PARTS.items()}
        description["table"] = description["table"][0]
        add_values(cursor, description["sequences"])
        return description


def relations(conn):
    """Every relation, constraint and type of the user's schemas, by name: what a stray object shows up in."""
    with conn.cursor() as cursor:
        cursor.execute("SELECT n.nspname, c.relkind::text, c.relname FROM pg_class c"
                       "  JOIN pg_namespace n ON n.oid = c.relnamespace"
                       " WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrecast')"
                       " UNION ALL SELECT n.nspname, 'type', t.typname FROM pg_type t"
                       "  JOIN pg_namespace n ON n.oid = t.typnamespace"
                       " WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrecast')"
                       " ORDER BY 1, 2, 3")
        return [" ".join(row) for row in cursor.fetchall()]


def lines(description):
    """The description as a list of lines, for a readable comparison."""
    text = []
    for section in PARTS:
        entries = description[section]
        for entry in entries if isinstance(entries, list) else [entries]:
            name = entry.get("name") or entry.get("object") or entry.get("definition")
            text += [f"{section} {name} {key}: {value}" for key, value in entry.items() if value is not None]
    return text


def differences(expected, actual):
    """Lines that only one of two descriptions has, and orders that differ; empty where they are the same."""
    if expected is None or actual is None:
        return [] if expected is actual else ["one of the two tables does not exist"]
    wanted, found = lines(expected), lines(actual)
    result = [f"missing: {line}" for line in wanted if line not in set(found)]
    result += [f"unexpected: {line}" for line in found if line not in set(wanted)]
    if not result and wanted != found:
        result = ["the same in another order:", *found]
    return result


def without(description, pattern):
    """A description without the entries whose section and key match: for what a test does not look at."""
    kept = {}
    for section, entries in description.items():
        if isinstance(entries, dict):
            kept[section] = {k: v for k, v in entries.items() if not re.fullmatch(pattern, f"{section}.{k}")}
        else:
            kept[section] = [{k: v for k, v in entry.items() if not re.fullmatch(pattern, f"{section}.{k}")}
                             for entry in entries]
    return kept
