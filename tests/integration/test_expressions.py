"""
Expressions mean what they meant: whatever is made again uses the same operators, functions and types. The texts do not
say which: IS DISTINCT FROM, NULLIF, CASE x WHEN, JOIN … USING and comparisons of rows name no operator.
"""

import psycopg2
import pytest

import pgrecast
from conftest import rotate
from servers import wait_until

# Two types whose equality is outside pg_catalog, and has a fallback in it that differs: citext, and a type of the user's.
TYPES = """
CREATE TYPE side.tag AS (v text);
CREATE FUNCTION side.same(side.tag, side.tag) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS $$ SELECT pg_catalog.lower($1.v) OPERATOR(pg_catalog.=) pg_catalog.lower($2.v) $$;
CREATE OPERATOR side.= (LEFTARG = side.tag, RIGHTARG = side.tag, FUNCTION = side.same, COMMUTATOR = OPERATOR(side.=));
CREATE TYPE kind AS ENUM ('user', 'admin');
"""

TABLES = """
CREATE TABLE log (what text);
CREATE TABLE acc (id int PRIMARY KEY, mail citext, tag side.tag, kind kind, code varchar(9), n int NOT NULL DEFAULT 0);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.log VALUES (TG_NAME); RETURN NEW; END $$;
INSERT INTO acc VALUES (1, 'Root', '(A)', 'admin', 'a'), (2, 'Ann', '(b)', 'user', 'b'), (3, 'ANN', '(B)', 'user', 'c');
"""

# What depends on the table: of each kind some, over both types.
DEPENDENTS = """
CREATE TRIGGER mail_changed AFTER UPDATE ON acc FOR EACH ROW WHEN (OLD.mail IS DISTINCT FROM NEW.mail) EXECUTE FUNCTION note();
CREATE TRIGGER tag_changed AFTER UPDATE ON acc FOR EACH ROW WHEN (OLD.tag IS DISTINCT FROM NEW.tag) EXECUTE FUNCTION note();
CREATE TRIGGER code_listed AFTER UPDATE ON acc FOR EACH ROW WHEN (NEW.code IN ('x', 'y')) EXECUTE FUNCTION note();
CREATE POLICY not_root ON acc USING (mail IS DISTINCT FROM 'root') WITH CHECK (nullif(mail, 'ROOT') IS NOT NULL);
CREATE POLICY not_tagged ON acc AS RESTRICTIVE USING (tag IS DISTINCT FROM '(zz)'::side.tag);
CREATE VIEW same AS SELECT a.id, b.id AS other FROM acc a JOIN acc b USING (mail) WHERE a.id < b.id;
CREATE VIEW same_tag AS SELECT a.id, b.id AS other FROM acc a JOIN acc b USING (tag) WHERE a.id < b.id;
CREATE VIEW later AS SELECT id FROM acc WHERE (mail, id) > ('ann'::citext, 1) AND code IN ('a', 'b');
CREATE VIEW role AS SELECT id, CASE mail WHEN 'root' THEN 'admin' ELSE 'user' END AS role FROM acc;
CREATE VIEW of_role AS SELECT role, count(*) FROM role GROUP BY role;
CREATE VIEW short AS SELECT id, code FROM acc;
ALTER VIEW short ALTER code SET DEFAULT CASE 'ROOT'::citext WHEN 'root' THEN 'admin' ELSE 'user' END;
CREATE RULE keep_root AS ON DELETE TO acc WHERE nullif(OLD.mail, 'root') IS NULL DO INSTEAD NOTHING;
"""
BODY = """
CREATE FUNCTION find(citext) RETURNS bigint LANGUAGE sql BEGIN ATOMIC
    SELECT count(*) FROM acc WHERE mail IS NOT DISTINCT FROM $1 AND CASE tag WHEN '(B)'::side.tag THEN true ELSE false END; END;
"""

USES = r"""
SELECT name, pg_catalog.array_agg(COALESCE(NULLIF(o.id, '0')::pg_catalog.oid::pg_catalog.regoperator::pg_catalog.text,
                                           f.id::pg_catalog.oid::pg_catalog.regprocedure::pg_catalog.text) ORDER BY m.place)
FROM (SELECT tgname::pg_catalog.text, tgqual::pg_catalog.text FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
      UNION ALL SELECT polname, polqual::pg_catalog.text FROM pg_catalog.pg_policy
      UNION ALL SELECT polname || ' check', polwithcheck::pg_catalog.text FROM pg_catalog.pg_policy
      UNION ALL SELECT rulename || ' on ' || relname, ev_qual::pg_catalog.text || ev_action::pg_catalog.text
      FROM pg_catalog.pg_rewrite JOIN pg_catalog.pg_class c ON c.oid = ev_class AND relnamespace >= 16384
      UNION ALL SELECT rulename || ' on ' || relname, ev_qual::pg_catalog.text || ev_action::pg_catalog.text
      FROM pg_catalog.pg_rewrite JOIN pg_catalog.pg_class c ON c.oid = ev_class AND relnamespace = 'public'::pg_catalog.regnamespace
      UNION ALL SELECT proname, prosqlbody::pg_catalog.text FROM pg_catalog.pg_proc WHERE proname = 'find'
      UNION ALL SELECT conname, conbin::pg_catalog.text FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid <> 0 AND conrelid::pg_catalog.regclass::pg_catalog.text !~ 'pgrecast'
      UNION ALL SELECT indexrelid::pg_catalog.regclass::pg_catalog.text, indexprs::pg_catalog.text FROM pg_catalog.pg_index
      UNION ALL SELECT indexrelid::pg_catalog.regclass || ' where', indpred::pg_catalog.text FROM pg_catalog.pg_index
      UNION ALL SELECT attname || ' default', adbin::pg_catalog.text
      FROM pg_catalog.pg_attrdef JOIN pg_catalog.pg_attribute a ON a.attrelid = adrelid AND attnum = adnum
      WHERE adrelid::pg_catalog.regclass::pg_catalog.text !~ 'pgrecast'
      UNION ALL SELECT stxnamespace::pg_catalog.regnamespace || '.' || stxname, stxexprs::pg_catalog.text FROM pg_catalog.pg_statistic_ext) tree (name, text)
CROSS JOIN LATERAL pg_catalog.regexp_matches(text, ':(?:opnos? (?:\(o )?(\d+)|(?:funcid|aggfnoid) (\d+))', 'g')
    WITH ORDINALITY m (found, place)
CROSS JOIN LATERAL (SELECT m.found[1]) o (id)
CROSS JOIN LATERAL (SELECT m.found[2]) f (id)
WHERE text IS NOT NULL AND name !~ 'pgrecast'
GROUP BY name
"""


def uses(database):
    """Of each expression in the database, the operators and functions, in order."""
    conn = database.connect("postgres", options="-c search_path=")
    try:
        with conn.cursor() as cursor:
            cursor.execute(USES)
            return dict(cursor.fetchall())
    finally:
        conn.close()


def application(database):
    """As people set it up who have such types: their schemas are on the application's search_path."""
    database.superuser("CREATE EXTENSION citext; CREATE SCHEMA side; GRANT USAGE, CREATE ON SCHEMA side TO PUBLIC;"
                       " GRANT CREATE ON SCHEMA public TO PUBLIC;"
                       f' ALTER DATABASE "{database.name}" SET search_path = public, side')
    database.execute(TYPES)
    database.execute(TABLES)
    return database


@pytest.fixture
def accounts(database):
    database = application(database)
    database.execute(DEPENDENTS + BODY)
    return database


def assert_same_meaning(database, before):
    found = uses(database)
    assert {name for name in before if before[name] != found.get(name)} == set(), (before, found)


def held(database, sql, *arguments):
    """The job, in sync and held before the cutover."""
    job = pgrecast.start_run(database, sql, *arguments, "--cutover=hold", window=None)
    job.wait_phase("ready")
    return job


def command(database, name):
    outcome = pgrecast.call(database, name, "acc")
    assert outcome.status == pgrecast.DONE, str(outcome)


CHANGES = {
    "rebuild": (None, ["--rebuild", "-t", "acc"]),
    "another_column": ("ALTER TABLE acc ALTER n TYPE bigint", []),
}


@pytest.mark.parametrize("change", CHANGES)
def test_dependents(accounts, change):
    """There, back, and there again."""
    before = uses(accounts)
    assert before["mail_changed"] == ["public.=(public.citext,public.citext)"]
    assert before["tag_changed"] == ["side.=(side.tag,side.tag)"]
    assert before["code default"][-1] == "public.=(public.citext,public.citext)"
    sql, arguments = CHANGES[change]
    job = held(accounts, sql, *arguments)
    command(accounts, "cutover")
    job.wait_phase("reverse")
    assert_same_meaning(accounts, before)
    accounts.execute("UPDATE acc SET mail = 'ROOT', tag = '(a)' WHERE id = 1")
    assert accounts.execute("SELECT count(*) FROM log") == [(0,)]
    assert accounts.execute("SELECT id, other FROM same") == accounts.execute("SELECT id, other FROM same_tag") == [(2, 3)]
    assert accounts.execute("SELECT find('ann')") == [(2,)]
    command(accounts, "rollback")
    assert_same_meaning(accounts, before)
    command(accounts, "cutover")
    job.wait_phase("reverse")
    command(accounts, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_same_meaning(accounts, before)


def test_dependents_over_new_types(accounts):
    """The operators that follow from a new type are another one's of the same name; the others stay as they are."""
    accounts.execute("CREATE VIEW large AS SELECT id FROM acc WHERE n > 5 AND n + 1 > 3 AND mail IS DISTINCT FROM 'x';"
                     "CREATE VIEW sums AS SELECT mail, sum(n) AS s FROM acc GROUP BY mail HAVING sum(n) > 5")
    before = uses(accounts)
    outcome = pgrecast.run(accounts, "ALTER TABLE acc ALTER n TYPE numeric(12,2)")
    assert outcome.status == pgrecast.DONE, str(outcome)
    found = uses(accounts)
    assert "public.=(public.citext,public.citext)" in found["_RETURN on large"]
    assert ">(numeric,numeric)" in found["_RETURN on large"]
    assert {name for name in before if before[name] != found[name]} == {"_RETURN on large", "_RETURN on sums"}


PLANTED = """
CREATE FUNCTION {schema}.never(kind, kind) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT false';
CREATE OPERATOR {schema}.= (LEFTARG = public.kind, RIGHTARG = public.kind, FUNCTION = {schema}.never);
"""
MIXED = """
CREATE TRIGGER changed AFTER UPDATE ON acc FOR EACH ROW
    WHEN (OLD.mail IS DISTINCT FROM NEW.mail OR OLD.kind IS DISTINCT FROM NEW.kind) EXECUTE FUNCTION note();
"""


def test_planted_before_the_plan(accounts):
    """A better match that somebody has put into a schema which the expression needs: refused, by its name."""
    accounts.execute(MIXED)
    accounts.execute(PLANTED.format(schema="public"))
    outcome = pgrecast.rebuild(accounts, "acc")
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert ("trigger changed on table public.acc would not mean the same over the new table: its condition uses operator"
            " public.=(public.kind,public.kind) instead of =(anyenum,anyenum)") in " ".join(outcome.stderr.split())
    assert pgrecast.leftovers(accounts) == []


def test_planted_before_the_swap(accounts):
    """… or while the job runs: the swap is undone."""
    accounts.execute(MIXED)
    before = uses(accounts)
    job = held(accounts, None, "--rebuild", "-t", "acc")
    accounts.execute(PLANTED.format(schema="public"))
    pgrecast.call(accounts, "cutover", "acc")
    outcome = job.wait()
    assert outcome.status == pgrecast.FAILED, str(outcome)
    assert "trigger changed on table public.acc would not mean the same" in outcome.stderr, str(outcome)
    assert_same_meaning(accounts, before)
    command(accounts, "abort")
    assert pgrecast.leftovers(accounts) == []


def test_nothing_outside_the_path_counts(accounts):
    """A match in another schema than those that the expression uses is not found."""
    accounts.execute(MIXED)
    before = uses(accounts)
    job = held(accounts, None, "--rebuild", "-t", "acc")
    accounts.execute(PLANTED.format(schema="side"))
    command(accounts, "cutover")
    job.wait_phase("reverse")
    assert_same_meaning(accounts, before)
    command(accounts, "finish")
    assert job.wait().status == pgrecast.DONE


# What belongs to the table itself.
OWN = """
ALTER TABLE acc ADD CONSTRAINT not_root CHECK (mail IS DISTINCT FROM 'nobody'),
    ADD CONSTRAINT not_tagged CHECK (tag IS DISTINCT FROM '(zz)'::side.tag),
    ADD CONSTRAINT listed CHECK (code IN ('a', 'b', 'c', 'd')),
    ADD CONSTRAINT ordered CHECK ((mail, id) > ('a'::citext, 0)),
    ADD CONSTRAINT later CHECK (nullif(mail, 'never') IS NOT NULL) NOT VALID,
    ADD m citext GENERATED ALWAYS AS (nullif(mail, 'root')) STORED,
    ADD o text DEFAULT CASE 'A'::citext WHEN 'a'::citext THEN 'same' ELSE 'other' END;
CREATE INDEX acc_mail ON acc (id) WHERE mail IS DISTINCT FROM 'root';
CREATE UNIQUE INDEX acc_tag ON acc (id, (CASE tag WHEN '(b)'::side.tag THEN 'B' END));
CREATE INDEX acc_code ON acc (id) WHERE code IN ('a', 'b');
CREATE STATISTICS acc_statistics ON (nullif(mail, 'root')), (n + 1) FROM acc;
CREATE STATISTICS side.acc_statistics ON (nullif(tag, '(b)'::side.tag)), (n + 2) FROM acc;
"""


@pytest.mark.parametrize("change", ["ALTER TABLE acc ALTER n TYPE bigint",
                                    "ALTER TABLE acc ALTER n TYPE numeric, ADD CHECK (mail IS DISTINCT FROM 'x'),"
                                    " ADD x citext DEFAULT nullif('q'::citext, 'z'::citext)"])
def test_parts_of_the_table(database, new_database, change):
    """As in a twin that took plain ALTER TABLE, and as before after a rollback."""
    application(database).execute(OWN)
    twin = application(new_database())
    twin.execute(OWN)
    before = uses(database)
    assert "public.=(public.citext,public.citext)" in before["not_root"]
    twin.execute(change)
    job = held(database, change)
    command(database, "cutover")
    job.wait_phase("reverse")
    assert_same_meaning(database, uses(twin))
    assert database.execute("SELECT id, m FROM acc ORDER BY id") == twin.execute("SELECT id, m FROM acc ORDER BY id")
    assert database.execute("INSERT INTO acc (id, mail, tag) VALUES (4, 'x1', '(q)') RETURNING o") == [("same",)]
    command(database, "rollback")
    assert_same_meaning(database, before)
    command(database, "cutover")
    job.wait_phase("reverse")
    command(database, "finish")
    assert job.wait().status == pgrecast.DONE
    assert_same_meaning(database, uses(twin))


VARCHAR_LISTS = """
CREATE TABLE v (id int PRIMARY KEY, s varchar(10) CHECK (s IN ('a', 'b')), t varchar(9) CHECK (t NOT IN ('x', 'y')),
    u varchar DEFAULT CASE WHEN 'a'::varchar IN ('a', 'b') THEN 'in' END, n int, CHECK (t = ANY (ARRAY['q', 'r']::varchar[])),
    g boolean GENERATED ALWAYS AS (s IN ('a', 'c')) STORED, EXCLUDE USING btree (id WITH =) WHERE (s IN ('b', 'c')));
CREATE INDEX v_some ON v (n) WHERE s IN ('a', 'b');
CREATE INDEX v_in ON v ((s IN ('a', 'b')));
CREATE STATISTICS v_statistics ON (s IN ('a', 'b')), n FROM v;
INSERT INTO v SELECT g, 'a', 'q' FROM generate_series(1, 50) g;
"""


@pytest.mark.parametrize("how", [("--rebuild", "-t", "v"), ("--sql", "ALTER TABLE v ALTER n TYPE bigint")])
def test_varchar_in_a_list(database, how):
    """The server prints such a list in a form that it reads back as another, of the same meaning."""
    database.execute(VARCHAR_LISTS)
    before = uses(database)
    plan = pgrecast.call(database, "plan", *how)
    assert plan.status == pgrecast.DONE, str(plan)
    assert "the server will print constraint v_s_check differently" in " ".join(plan.stdout.split()), str(plan)
    outcome = pgrecast.run(database, None, *how)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_same_meaning(database, before)
    with pytest.raises(Exception, match="v_s_check"):
        database.execute("INSERT INTO v VALUES (99, 'c', 'q')")


def test_using_that_needs_the_search_path(accounts):
    """It would find another operator in the sessions that copy: refused, and how to write it."""
    outcome = pgrecast.run(accounts, "ALTER TABLE acc ALTER code TYPE text USING CASE mail WHEN 'root' THEN 'admin' ELSE code END")
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    text = " ".join(outcome.stderr.split())
    assert ("the USING expression needs operators of a search_path: its query uses operator =(text,text) instead of"
            " public.=(public.citext,public.citext)") in text
    assert "CASE a WHEN b THEN ... END, which names no operator" in text and "CASE WHEN a = b THEN ... END" in text
    for using, form in (("nullif(mail, 'ROOT')", "NULLIF(a, b)"), ("(mail IS NOT DISTINCT FROM 'ROOT')::text", "a IS NOT DISTINCT FROM b"),
                        ("(mail IS DISTINCT FROM 'ROOT')::text", "a IS DISTINCT FROM b")):
        outcome = pgrecast.call(accounts, "plan", "--sql", f"ALTER TABLE acc ALTER code TYPE text USING {using}")
        text = " ".join(outcome.text.split())
        assert outcome.status == pgrecast.REFUSED and f"{form}, which names no operator, finds another one than here" in text, text
    accounts.execute("DROP TRIGGER code_listed ON acc; DROP VIEW later")
    outcome = pgrecast.run(accounts, "ALTER TABLE acc ALTER code TYPE text USING CASE WHEN mail = 'root' THEN 'admin' ELSE code END")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert accounts.execute("SELECT code FROM acc ORDER BY id") == [("admin",), ("b",), ("c",)]


@pytest.mark.parametrize("piece, name", [
    ("ALTER TABLE orders ADD CONSTRAINT c CHECK (ok('orders', n))", "constraint c on table public.orders"),
    ("CREATE INDEX i ON orders (n) WHERE ok('orders_pkey', n)", "index public.i"),
    ("ALTER TABLE orders ADD b boolean DEFAULT ok('orders', 1)", "default value for column b of table public.orders"),
])
def test_own_name_as_a_constant(database, piece, name):
    """The constant is the table, whatever its name: it would stay with the original."""
    database.execute("CREATE FUNCTION ok(regclass, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $2 > 0';"
                     "CREATE TABLE orders (id serial PRIMARY KEY, n int); INSERT INTO orders (n) VALUES (1)")
    assert pgrecast.call(database, "plan", "--rebuild", "-t", "orders").status == pgrecast.DONE  # the sequence is one too
    database.execute(piece)
    outcome = pgrecast.rebuild(database, "orders")
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert f"{name} refers to public.orders" in " ".join(outcome.stderr.split()), str(outcome)
    assert pgrecast.leftovers(database) == []


@pytest.mark.parametrize("piece, message", [
    ("CREATE INDEX i ON rows (whole(rows))", "index public.i uses the row as a whole"),
    ("ALTER TABLE rows ADD CONSTRAINT c CHECK (whole(rows) > 0)", "constraint c on table public.rows uses the row as a whole"),
    ("ALTER TABLE rows ADD g oid GENERATED ALWAYS AS (tableoid) STORED",
     "default value for column g of table public.rows is generated from tableoid"),
])
def test_what_belongs_to_the_original(database, piece, message):
    database.execute("CREATE TABLE rows (id int PRIMARY KEY, n int); INSERT INTO rows VALUES (1, 1);"
                     "CREATE FUNCTION whole(rows) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS 'SELECT $1.n'")
    database.execute(piece)
    outcome = pgrecast.rebuild(database, "rows")
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert message in " ".join(outcome.stderr.split()), str(outcome)
    assert pgrecast.leftovers(database) == []


@pytest.mark.parametrize("phase, piece, message", [
    ("init", "ALTER TABLE acc ADD CONSTRAINT c CHECK ({})", 'table constraint "c" of table acc_pgrecast_new would not mean the same'),
    ("copy", "CREATE INDEX i ON acc (n) WHERE {}", 'index "i_pgrecast_new" would not mean the same'),
    ("ready", "ALTER TABLE acc ADD CONSTRAINT c CHECK ({}) NOT VALID", 'table constraint "c" of table acc would not mean the same'),
])
def test_planted_before_a_part_is_made(database, phase, piece, message):
    """What was really made is compared again: the shadow before the cutover, what the swap makes in it."""
    application(database).execute(piece.format("mail IS DISTINCT FROM 'x' AND kind IS NOT DISTINCT FROM kind"))
    before = uses(database)
    job = pgrecast.start_run(database, None, "--rebuild", "-t", "acc", hold=phase)
    job.wait_phase(phase)
    database.execute(PLANTED.format(schema="public"))
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.FAILED, str(outcome)
    assert message in " ".join(outcome.stderr.split()), str(outcome)
    assert_same_meaning(database, before)


def test_texts_that_change(accounts):
    """The plan lists what the server will print in another form, and nothing else."""
    plan = pgrecast.call(accounts, "plan", "--rebuild", "-t", "acc")
    assert plan.status == pgrecast.DONE, str(plan)
    listed = {line.strip() for line in plan.stdout.replace("- ", "  ").splitlines() if "will print" in line}
    assert {line[line.index("the server"):] for line in listed} == {
        "the server will print trigger code_listed on table public.acc differently",
        "the server will print view public.later differently"}


def test_functions_that_need_a_search_path(database):
    """They are named, unless they have a setting of their own."""
    application(database).execute(
        "CREATE FUNCTION staff(e citext) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN e = ''admin''; END';"
        "ALTER TABLE acc ADD staff boolean GENERATED ALWAYS AS (staff(mail)) STORED")
    plan = pgrecast.call(database, "plan", "--rebuild", "-t", "acc")
    assert ("default value for column staff of table public.acc calls public.staff(public.citext), which runs with an empty"
            " search_path in this program's sessions") in " ".join(plan.stdout.split()), str(plan)
    database.execute("ALTER FUNCTION staff(citext) SET search_path = pg_catalog, public, pg_temp")
    plan = pgrecast.call(database, "plan", "--rebuild", "-t", "acc")
    assert "empty search_path" not in plan.stdout, str(plan)


def test_functions_of_a_using_that_need_a_search_path(database):
    """Named before anything is made; refused where the body cannot even be read with an empty one."""
    application(database).execute(
        "CREATE FUNCTION level(i int) RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT max(n) FROM acc) + i; END';"
        "CREATE FUNCTION total(i int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT max(n) + i FROM acc'")
    plan = pgrecast.call(database, "plan", "--sql", "ALTER TABLE acc ALTER n TYPE bigint USING level(n)", "--rollback-window=0")
    assert plan.status == pgrecast.DONE, str(plan)
    assert ("the USING expression calls public.level(integer), which runs with an empty search_path in this program's sessions"
            in " ".join(plan.stdout.split())), str(plan)
    change = "ALTER TABLE acc ALTER n TYPE bigint USING total(n)"
    outcome = pgrecast.run(database, change)
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    text = " ".join(outcome.stderr.split())
    assert 'the USING expression calls public.total(integer), which fails with an empty search_path: relation "acc" does not exist' in text
    assert "ALTER FUNCTION public.total(integer) SET search_path" in text
    assert pgrecast.leftovers(database) == []
    database.execute("ALTER FUNCTION total(int) SET search_path = pg_catalog, public, pg_temp")
    plan = pgrecast.call(database, "plan", "--sql", change, "--rollback-window=0")
    assert plan.status == pgrecast.DONE and "empty search_path" not in plan.stdout, str(plan)


@pytest.mark.main_major
def test_functions_of_a_conversion_that_need_a_search_path(database):
    """Those of a cast that the statement does not name, and of the checks of a domain, are examined like those of a USING."""
    database.execute(
        "CREATE TYPE pair AS (a int, b int); CREATE TABLE labels (i int PRIMARY KEY); INSERT INTO labels VALUES (1);"
        "CREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT ROW(i, i)::pair FROM labels); END';"
        "CREATE FUNCTION to_pair(bigint) RETURNS pair LANGUAGE sql STABLE AS 'SELECT ROW(i, i)::pair FROM labels';"
        "CREATE CAST (int AS pair) WITH FUNCTION to_pair(int) AS ASSIGNMENT;"
        "CREATE CAST (bigint AS pair) WITH FUNCTION to_pair(bigint) AS ASSIGNMENT;"
        "CREATE FUNCTION listed(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN EXISTS (SELECT FROM labels); END';"
        "CREATE DOMAIN listed AS int CHECK (listed(value));"
        "CREATE TABLE t (id int PRIMARY KEY, n int, m bigint); INSERT INTO t VALUES (1, 1, 1)")

    def plan(change, status=pgrecast.DONE):
        outcome = pgrecast.call(database, "plan", "--sql", f"ALTER TABLE t ALTER {change}", "--rollback-window=0")
        assert outcome.status == status, str(outcome)
        return " ".join(outcome.text.split())

    note = 'the conversion of column "n" calls public.{}, which runs with an empty search_path in this program\'s sessions'
    for using in ("", " USING n + 1"):
        assert note.format("to_pair(integer)") in plan("n TYPE pair" + using)
        assert note.format("listed(integer)") in plan("n TYPE listed" + using)
        text = plan("m TYPE pair" + using.replace("n", "m"), pgrecast.REFUSED)
        assert ('the conversion of column "m" calls public.to_pair(bigint), which fails with an empty search_path: relation "labels"'
                ' does not exist') in text and "ALTER FUNCTION public.to_pair(bigint) SET search_path" in text
    assert "empty search_path" not in plan("n TYPE bigint") + plan("n TYPE text USING 'x'")
    for function in ("to_pair(int)", "to_pair(bigint)", "listed(int)"):
        database.execute(f"ALTER FUNCTION {function} SET search_path = pg_catalog, public, pg_temp")
    assert "empty search_path" not in plan("n TYPE pair") + plan("m TYPE pair") + plan("n TYPE listed")


@pytest.mark.parametrize("major, part", rotate(["CHECK (known(mail))", "DEFAULT known('x')", "GENERATED ALWAYS AS (known(mail)) STORED"]))
def test_functions_in_sql_that_need_a_search_path(database, part):
    """The copy would fail on the first row: refused before anything is made."""
    application(database).execute(
        "CREATE FUNCTION known(e citext) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT NOT EXISTS (SELECT FROM acc WHERE n = -1)';"
        f"ALTER TABLE acc ADD extra boolean {part}")
    outcome = pgrecast.rebuild(database, "acc")
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert ('calls public.known(public.citext), which fails with an empty search_path: relation "acc" does not exist'
            in " ".join(outcome.stderr.split())), str(outcome)
    assert pgrecast.leftovers(database) == []
    database.execute("ALTER FUNCTION known(citext) SET search_path = pg_catalog, public, pg_temp")
    assert pgrecast.rebuild(database, "acc").status == pgrecast.DONE


def test_index_over_a_function_that_needs_a_search_path(database):
    """With another one it could find another operator, and the index would lack rows."""
    application(database).execute(
        "CREATE FUNCTION staff(e citext) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN e = ''root''; END';"
        "CREATE INDEX staff_only ON acc (id) WHERE staff(mail)")
    outcome = pgrecast.rebuild(database, "acc")
    assert outcome.status == pgrecast.REFUSED, str(outcome)
    assert ("index public.staff_only calls public.staff(public.citext), which finds operators by the search_path"
            in " ".join(outcome.stderr.split())), str(outcome)
    database.execute("ALTER FUNCTION staff(citext) SET search_path = pg_catalog, public, pg_temp")
    outcome = pgrecast.rebuild(database, "acc")
    assert outcome.status == pgrecast.DONE, str(outcome)
    found = database.execute("SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT id FROM acc WHERE staff(mail) AND id > 0")
    assert found == [(1,)]
