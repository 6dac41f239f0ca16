"""Describes a whole database from the catalogs of any major: all that users can see or set, by names.

Two databases made in different ways are the same where their descriptions are equal. Left out are oids, physical column
numbers, sizes, hints (pg_class.relhasrules …) and the program's own schema. A description is dicts, lists and scalars:
what has no order is a dict by name, or a sorted list.
"""

import difflib
import os
import re
import subprocess

import catalogs
from catalogs import acl_text
from servers import CLIENT_BIN

# Of the users: not the server's, nor the program's.
USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'pgrecast')"
FIRST_USER_OID = 16384

# What depends on relations: a query for each part, as in catalogs.py; a name that is new here is unique in its relation.

RELATION = """
SELECT c.oid AS relation, c.relispopulated AS populated, NULLIF(c.reloftype, 0)::regtype::text AS of_type,
       pg_get_expr(c.relpartbound, c.oid) AS bound, pg_get_partkeydef(c.oid) AS partition_key,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END AS definition,
       ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno) AS parents,
       (SELECT f.ftoptions::text FROM pg_foreign_table f WHERE f.ftrelid = c.oid) AS foreign_options
  FROM pg_class c
 WHERE c.oid = ANY (%(oids)s)
"""

# Clones on partitions count as internal up to 14. Triggers of constraints are told with these.
TRIGGERS = """
SELECT t.tgrelid AS relation, t.tgname AS name, pg_get_triggerdef(t.oid) AS definition, t.tgenabled::text AS enabled,
       t.tgdeferrable AS deferrable, t.tginitdeferred AS deferred, t.tgparentid <> 0 AS clone
  FROM pg_trigger t
  LEFT JOIN pg_constraint c ON c.oid = t.tgconstraint AND c.contype <> 't'
 WHERE t.tgrelid = ANY (%(oids)s) AND c.oid IS NULL AND (NOT t.tgisinternal OR t.tgparentid <> 0)
 ORDER BY 2
"""

RULES = """
SELECT r.ev_class AS relation, r.rulename AS name, pg_get_ruledef(r.oid) AS definition, r.ev_enabled::text AS enabled
  FROM pg_rewrite r
 WHERE r.ev_class = ANY (%(oids)s) AND r.rulename <> '_RETURN'
 ORDER BY 2
"""

POLICIES = """
SELECT p.polrelid AS relation, p.polname AS name, p.polcmd::text AS command, p.polpermissive AS permissive,
       ARRAY(SELECT CASE WHEN r = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END::text FROM unnest(p.polroles) r
              ORDER BY 1) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS check
  FROM pg_policy p
 WHERE p.polrelid = ANY (%(oids)s)
 ORDER BY 2
"""

# The server's own triggers behind a constraint; their names contain oids.
CONSTRAINT_TRIGGERS = """
SELECT c.conrelid AS relation, c.conname AS name, t.tgrelid::regclass::text AS fires_on, t.tgfoid::regproc::text AS function,
       t.tgenabled::text AS enabled, t.tgdeferrable AS deferrable, t.tginitdeferred AS deferred, t.tgtype AS events
  FROM pg_trigger t
  JOIN pg_constraint c ON c.oid = t.tgconstraint
 WHERE c.conrelid = ANY (%(oids)s) AND c.contype <> 't' AND t.tgisinternal
 ORDER BY 2, 3, 4, 5, 6, 7, 8
"""

CONSTRAINT_PARENTS = """
SELECT c.conrelid AS relation, c.conname AS name, p.conrelid::regclass || '.' || p.conname AS parent
  FROM pg_constraint c
  JOIN pg_constraint p ON p.oid = c.conparentid
 WHERE c.conrelid = ANY (%(oids)s)
 ORDER BY 2
"""

INDEX_PARENTS = """
SELECT x.indrelid AS relation, i.relname AS name, h.inhparent::regclass::text AS parent
  FROM pg_index x
  JOIN pg_class i ON i.oid = x.indexrelid
  JOIN pg_inherits h ON h.inhrelid = i.oid
 WHERE x.indrelid = ANY (%(oids)s)
 ORDER BY 2
"""

PARTS = {"columns": catalogs.COLUMNS, "constraints": catalogs.CONSTRAINTS, "indexes": catalogs.INDEXES,
         "statistics": catalogs.STATISTICS, "triggers": TRIGGERS, "rules": RULES, "policies": POLICIES,
         "constraint_triggers": CONSTRAINT_TRIGGERS, "constraint_parents": CONSTRAINT_PARENTS,
         "index_parents": INDEX_PARENTS}

# The rest: (section, oldest major, query). A row's name is unique in its section.

SECTIONS = [
    ("database", 14, f"""
SELECT 'database' AS name, {acl_text("d.datacl", "acldefault('d', d.datdba)")} AS acl, pg_get_userbyid(d.datdba) AS owner,
       ARRAY(SELECT coalesce(setrole::regrole::text, '') || ' ' || setconfig::text FROM pg_db_role_setting
              WHERE setdatabase = d.oid ORDER BY 1) AS settings
  FROM pg_database d
 WHERE d.datname = current_database()"""),
    ("schemas", 14, f"""
SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner, {acl_text("n.nspacl", "acldefault('n', n.nspowner)")} AS acl
  FROM pg_namespace n
 WHERE {USER_SCHEMA}"""),
    ("functions", 14, f"""
SELECT p.oid::regprocedure::text AS name,
       CASE WHEN p.prokind = 'a' THEN (SELECT to_jsonb(a)::text FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
            ELSE pg_get_functiondef(p.oid) END AS definition,
       pg_get_userbyid(p.proowner) AS owner, {acl_text("p.proacl", "acldefault('f', p.proowner)")} AS acl
  FROM pg_proc p
  JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE {USER_SCHEMA}"""),
    ("types", 14, f"""
SELECT t.oid::regtype::text AS name, t.typtype::text AS kind, pg_get_userbyid(t.typowner) AS owner,
       {acl_text("t.typacl", "acldefault('T', t.typowner)")} AS acl, format_type(NULLIF(t.typbasetype, 0), t.typtypmod) AS base,
       NULLIF(t.typrelid, 0)::regclass::text AS row_of, t.typnotnull AS not_null, t.typdefault AS default,
       NULLIF(t.typcollation, 0)::regcollation::text AS collation, (SELECT a.typname FROM pg_type a WHERE a.oid = t.typarray) AS array,
       ARRAY(SELECT e.enumlabel FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)::text[] AS labels,
       ARRAY(SELECT c.conname || ' ' || pg_get_constraintdef(c.oid) || ' ' || c.convalidated FROM pg_constraint c
              WHERE c.contypid = t.oid ORDER BY 1) AS constraints,
       (SELECT format_type(r.rngsubtype, NULL) || ' ' || r.rngcollation::regcollation || ' ' || r.rngcanonical || ' ' || r.rngsubdiff
          FROM pg_range r WHERE r.rngtypid = t.oid) AS range
  FROM pg_type t
  JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE {USER_SCHEMA}"""),
    ("casts", 14, f"""
SELECT format('%s to %s', castsource::regtype, casttarget::regtype) AS name, castfunc::regprocedure::text AS function,
       castcontext::text AS context, castmethod::text AS method
  FROM pg_cast
 WHERE oid >= {FIRST_USER_OID}"""),
    ("operators", 14, f"""
SELECT o.oid::regoperator::text AS name, o.oprcode::regproc::text AS function, oprresult::regtype::text AS result,
       NULLIF(o.oprcom, 0)::regoperator::text AS commutator, NULLIF(o.oprnegate, 0)::regoperator::text AS negator,
       o.oprrest::regproc::text AS restrict, o.oprjoin::regproc::text AS join, oprcanmerge AS merges, oprcanhash AS hashes,
       pg_get_userbyid(o.oprowner) AS owner
  FROM pg_operator o
  JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE {USER_SCHEMA}"""),
    # {gencols} is publish_generated_columns, of 18.
    ("publications", 14, """
SELECT p.pubname AS name, pg_get_userbyid(p.pubowner) AS owner, p.puballtables AS all_tables, p.pubinsert AS inserts,
       p.pubupdate AS updates, p.pubdelete AS deletes, p.pubtruncate AS truncates, p.pubviaroot AS via_root, {gencols} AS generated,
       ARRAY(SELECT concat_ws(' ', r.prrelid::regclass, {filter}) FROM pg_publication_rel r WHERE r.prpubid = p.oid ORDER BY 1)
           AS tables,
       {schemas} AS schemas
  FROM pg_publication p"""),
    ("subscriptions", 14, """
SELECT s.subname AS name, pg_get_userbyid(s.subowner) AS owner, s.subenabled AS enabled, s.subpublications::text AS publications,
       ARRAY(SELECT r.srrelid::regclass::text FROM pg_subscription_rel r WHERE r.srsubid = s.oid ORDER BY 1) AS tables
  FROM pg_subscription s
 WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""),
    ("event triggers", 14, """
SELECT evtname AS name, evtevent AS event, pg_get_userbyid(evtowner) AS owner, evtfoid::regprocedure::text AS function,
       evtenabled::text AS enabled, evttags::text AS tags
  FROM pg_event_trigger"""),
    # A default privilege of a schema adds to the others: it has no default of its own.
    ("default privileges", 14, f"""
SELECT format('%s in %s on %s', pg_get_userbyid(d.defaclrole), coalesce(n.nspname, 'all'), d.defaclobjtype) AS name,
       CASE WHEN n.oid IS NULL
           THEN {acl_text("d.defaclacl", "acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)")}
           ELSE (SELECT string_agg(item::text, ' ' ORDER BY item::text) FROM unnest(d.defaclacl) AS item) END AS acl
  FROM pg_default_acl d
  LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace"""),
    ("extensions", 14, """
SELECT extname AS name, pg_get_userbyid(extowner) AS owner, extversion AS version, extnamespace::regnamespace::text AS schema,
       (SELECT string_agg(c::regclass::text, ' ' ORDER BY o) FROM unnest(extconfig) WITH ORDINALITY AS x (c, o)) AS configuration,
       extcondition::text AS conditions
  FROM pg_extension"""),
    # Every comment, whatever it is on.
    ("comments", 14, f"""
SELECT i.type || ' ' || i.identity AS name, d.description AS comment
  FROM pg_description d, pg_identify_object(d.classoid, d.objoid, d.objsubid) i
 WHERE d.objoid >= {FIRST_USER_OID} AND i.identity !~ '(^| )pgrecast(\\.|$)'"""),
    ("security labels", 14, f"""
SELECT i.type || ' ' || i.identity || ' by ' || l.provider AS name, l.label
  FROM pg_seclabel l, pg_identify_object(l.classoid, l.objoid, l.objsubid) i
 WHERE l.objoid >= {FIRST_USER_OID}"""),
]

# Who depends on what, both as type and identity. The names of the server's own triggers and of TOAST tables contain oids.
DEPENDENCIES = f"""
SELECT DISTINCT a.type || ' ' || a.identity AS name, d.deptype::text || ' ' || b.type || ' ' || b.identity AS what
  FROM pg_depend d,
       pg_identify_object(d.classid, d.objid, d.objsubid) a,
       pg_identify_object(d.refclassid, d.refobjid, d.refobjsubid) b
 WHERE d.objid >= {FIRST_USER_OID}
   AND a.schema IS DISTINCT FROM 'pgrecast' AND b.schema IS DISTINCT FROM 'pgrecast'
   AND b.identity <> 'pgrecast' AND a.identity !~ '(^| )pgrecast\\.'
   AND a.schema !~ '^pg_(toast|temp)' IS NOT FALSE AND b.schema !~ '^pg_(toast|temp)' IS NOT FALSE
   AND NOT EXISTS (SELECT FROM pg_trigger t WHERE d.classid = 'pg_trigger'::regclass AND t.oid = d.objid AND t.tgisinternal)
UNION
SELECT DISTINCT a.type || ' ' || a.identity, s.deptype::text || ' role ' || r.rolname
  FROM pg_shdepend s
  JOIN pg_roles r ON s.refclassid = 'pg_authid'::regclass AND r.oid = s.refobjid
 CROSS JOIN pg_identify_object(s.classid, s.objid, s.objsubid) a
 WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND s.objid >= {FIRST_USER_OID}
   AND a.schema IS DISTINCT FROM 'pgrecast' AND a.schema !~ '^pg_(toast|temp)' IS NOT FALSE
   AND a.identity !~ '(^| )pgrecast(\\.|$)'
 ORDER BY 1, 2
"""

SCHEMA_MEMBERS = """ARRAY(SELECT m.pnnspid::regnamespace::text FROM pg_publication_namespace m WHERE m.pnpubid = p.oid
                            ORDER BY 1)"""
TABLE_FILTER = """
    (SELECT '(' || string_agg(a.attname, ', ' ORDER BY a.attname) || ')' FROM pg_attribute a
      WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)),
    'WHERE ' || pg_get_expr(r.prqual, r.prrelid)"""


def _of_major(query, major):
    """The query as this major understands it."""
    return (query.replace("{filter}", TABLE_FILTER if major >= 15 else "NULL")
            .replace("{schemas}", SCHEMA_MEMBERS if major >= 15 else "NULL")
            .replace("{gencols}", "p.pubgencols::text" if major >= 18 else "NULL"))


def _keyed(rows):
    """Rows as a dict by their names, each of which comes once."""
    found = {}
    for row in rows:
        name = row.pop("name")
        assert name not in found, f"{name} is there twice"
        found[name] = row
    return found


def _query(cursor, query):
    cursor.execute(query)
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def _relations(cursor):
    """Every relation but indexes and sequences, with all that is part of it, by qualified name; and the sequences."""
    cursor.execute("SELECT c.oid, c.oid::regclass::text, c.relkind::text FROM pg_class c"
                   " JOIN pg_namespace n ON n.oid = c.relnamespace"
                   f" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c', 'S') AND {USER_SCHEMA}")
    found = cursor.fetchall()
    oids = [oid for oid, _, kind in found if kind != "S"]
    tables = catalogs.rows_by_relation(cursor, catalogs.TABLE, oids)
    more = catalogs.rows_by_relation(cursor, RELATION, oids)
    parts = {part: catalogs.rows_by_relation(cursor, query, oids) for part, query in PARTS.items()}
    relations = {}
    for oid, name, kind in found:
        if kind != "S":
            relations[name] = {**tables[oid][0], **more[oid][0], **{part: rows.get(oid, []) for part, rows in parts.items()}}
            del relations[name]["has_triggers"]  # stays set until a VACUUM
            for constraint in relations[name]["constraints"]:
                if constraint["type"] == "f":
                    del constraint["no_inherit"]  # means nothing here: tells whether the partition's was made first
    oids = [oid for oid, _, kind in found if kind == "S"]
    sequences = []
    for owner, rows in catalogs.rows_by_relation(cursor, catalogs.SEQUENCES, oids).items():
        for row in rows:
            row["table"] = next((name for oid, name, _ in found if oid == owner), None)
        catalogs.add_values(cursor, rows)
        sequences += rows
    return relations, _keyed(sequences)


def describe(connection):
    """The description of the connection's database; the role sees all of it if it is a superuser. A dict of dicts."""
    major = connection.server_version // 10000
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path')")
        (path,) = cursor.fetchone()
        cursor.execute("SELECT set_config('search_path', '', false)")
        description = {}
        for section, oldest, query in SECTIONS:
            if major >= oldest:
                description[section] = _keyed(_query(cursor, _of_major(query, major)))
        description["relations"], description["sequences"] = _relations(cursor)
        description["dependencies"] = {}
        for row in _query(cursor, DEPENDENCIES):
            description["dependencies"].setdefault(row["name"], []).append(row["what"])
        cursor.execute("SELECT set_config('search_path', %s, false)", (path,))
    return description


def without_kept(description):
    """
    A description without the tables that a job keeps until it is finished, and what is theirs, and its publications:
    by the names of whole objects only. What a job has left in the user's own objects stays.
    """
    kept = re.compile(r"_pgrecast_(new|old)\d*(\b|_)|\bpublication(:| relation .* in publication)? pgrecast_|in publication pgrecast_")
    result = {}
    for section, entries in description.items():
        result[section] = {name: value for name, value in entries.items()
                           if not kept.search(f"{section.removesuffix('s')} {name}")}
    result["dependencies"] = {name: [what for what in whats if not kept.search(what)]
                              for name, whats in result["dependencies"].items()}
    result["dependencies"] = {name: whats for name, whats in result["dependencies"].items() if whats}
    return result


def without_values(description):
    """A description without the values that sequences have reached: these move on whatever is rolled back."""
    moving = ("last_value", "is_called")
    return {**description, "sequences": {name: {key: value for key, value in sequence.items() if key not in moving}
                                         for name, sequence in description["sequences"].items()}}


def differences(expected, actual, path=""):
    """Lines that tell where two descriptions differ; empty where they are the same."""
    where = path or "the description"
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = []
        for name in sorted({*expected, *actual}):
            inner = f"{path} / {name}" if path else name
            if name not in actual:
                found.append(f"missing: {inner}: {expected[name]}")
            elif name not in expected:
                found.append(f"unexpected: {inner}: {actual[name]}")
            else:
                found += differences(expected[name], actual[name], inner)
        return found
    if isinstance(expected, list) and isinstance(actual, list) and expected != actual:
        found = [f"missing: {where}: {item}" for item in expected if item not in actual]
        found += [f"unexpected: {where}: {item}" for item in actual if item not in expected]
        return found or [f"another order or count: {where}: {expected} became {actual}"]
    return [] if expected == actual else [f"differs: {where}: {expected!r} became {actual!r}"]


def dump(server, database):
    """
    What pg_dump says of the schema (server: 14 or 15, as the client is of 15), as lines; without the program's own schema.
    A superuser dumps: another role would be refused what it may not read, and could not tell who owns what.
    """
    command = [str(CLIENT_BIN / "pg_dump"), "--schema-only", "--exclude-schema=pgrecast", "-h", server.socket_folder,
               "-p", str(server.port), "-U", "postgres", database]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          env={**environment, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    return _in_order(line for line in done.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line))


def _in_order(lines):
    """Lines of a dump, each run of GRANT and REVOKE in the order of its text: access lists have none."""
    result, run, role = [], [], None
    for line in lines:
        session = re.match(r"(?:RESET|SET) SESSION AUTHORIZATION ?(.*);$", line)
        if session:
            role = session[1]
        elif re.match(r"(GRANT|REVOKE) .*;$", line):
            run.append(f"{line} -- as {role}" if role else line)
        elif line or not run:  # no blank lines within a run
            if run:
                result += [*sorted(run), ""]
                run = []
            result.append(line)
    return result + sorted(run)


def dump_differences(expected, actual):
    """The lines around each difference of two dumps; empty where they are the same."""
    return list(difflib.unified_diff(expected, actual, "expected", "found", lineterm="", n=6))
