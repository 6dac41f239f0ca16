"""Databases of every encoding that a server can have: a whole job, with characters beyond ASCII in values, keys and names."""

import json

import pytest

import pgrecast
from conftest import MAIN_MAJOR, MAJORS
from servers import wait_until
from tables import assert_clean

# By encoding: characters that it has.
SINGLE_BYTE = {
    "LATIN1": "été ÿ", "LATIN2": "řeč ž", "LATIN3": "ĥĝ ż", "LATIN4": "ąķ ž", "LATIN5": "ğış é", "LATIN6": "þŋ ā", "LATIN7": "šū ž",
    "LATIN8": "ŵŷ é", "LATIN9": "œŸ €", "LATIN10": "șț €", "ISO_8859_5": "жук Ђ", "ISO_8859_6": "سلام", "ISO_8859_7": "λόγος",
    "ISO_8859_8": "שלום", "KOI8R": "жук Ы", "KOI8U": "їжак Ґ", "WIN866": "жук Ы", "WIN874": "ไทย", "WIN1250": "řeč €",
    "WIN1251": "жук €", "WIN1252": "été €", "WIN1253": "λόγος €", "WIN1254": "ğış €", "WIN1255": "שלום €", "WIN1256": "سلام €",
    "WIN1257": "šū €", "WIN1258": "ăđơ €", "SQL_ASCII": "été 漢字"}
MULTI_BYTE = {"EUC_JP": "日本語 ア", "EUC_CN": "汉字", "EUC_KR": "한국", "EUC_TW": "漢字", "EUC_JIS_2004": "日本語 ア", "MULE_INTERNAL": "",
              "UTF8": "日本語 🐘"}
ENCODINGS = {**SINGLE_BYTE, **MULTI_BYTE}
ELSEWHERE = ("LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII")

CASES = [pytest.param(major, encoding, id=f"pg{major}-{encoding}") for encoding in ENCODINGS for major in MAJORS
         if major == MAIN_MAJOR or (encoding in ELSEWHERE and major in (14, MAJORS[-1]))]

# All bytes beyond ASCII; some have no form in UTF-8.
BYTES = "convert_from(decode('{}', 'hex'), getdatabaseencoding())".format("".join(f"{n:02x}" for n in range(128, 256)))


def make_database(new_database, encoding):
    return new_database("template0", options=f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'",
                        client_encoding="SQL_ASCII" if encoding == "MULE_INTERNAL" else "UTF8")


def changes(table, key, word, start):
    """Rows under keys beyond ASCII come, change, move to another key and go."""
    return f"""
INSERT INTO {table} SELECT '{word}' || g, g, '{word}' FROM generate_series({start}, {start} + 40) g;
UPDATE {table} SET "v {word}" = "v {word}" || ' {word}' WHERE n % 3 = 0;
UPDATE {table} SET {key} = {key} || 'x' WHERE n % 11 = 0;
DELETE FROM {table} WHERE n % 7 = 0;
"""


@pytest.mark.parametrize("major, encoding", CASES)
def test_job_in_encoding(new_database, encoding):
    """Run, verify, roll back, cut over again, finish; a mirror takes the same changes."""
    database = make_database(new_database, encoding)
    word = ENCODINGS[encoding]
    table, key, mirror = f'"t {word}"', f'"k {word}"', f'"m {word}"'

    def change(start):
        database.execute("".join(changes(name, key, word, start) for name in (table, mirror)))

    def same():
        columns = f'{key}, n, "v {word}"'
        return database.value(f"SELECT count(*) FROM ((SELECT {columns} FROM {table} EXCEPT SELECT {columns} FROM {mirror})"
                              f" UNION ALL (SELECT {columns} FROM {mirror} EXCEPT SELECT {columns} FROM {table})) d") == 0

    database.execute(f'CREATE TABLE {table} ({key} text PRIMARY KEY, n int, "v {word}" varchar(200) CHECK ("v {word}" <> \'-{word}\'));'
                     f"INSERT INTO {table} SELECT '{word} ' || g, g, '{word}' || g FROM generate_series(1, 300) g;"
                     f'CREATE INDEX "i {word}" ON {table} (lower("v {word}"));')
    if encoding in SINGLE_BYTE:
        database.execute(f"INSERT INTO {table} VALUES ({BYTES}, 1, {BYTES})")
    database.execute(f"CREATE TABLE {mirror} AS SELECT * FROM {table}")
    job = pgrecast.start_run(database, f'ALTER TABLE {table} ALTER n TYPE bigint, ALTER "v {word}" TYPE text', "--job", "j",
                             hold="copy", window=None)
    job.wait_phase("copy")
    change(400)
    if encoding in SINGLE_BYTE:
        database.execute("".join(f"INSERT INTO {name} VALUES ({BYTES} || '2', 1, {BYTES});"
                                 f"""UPDATE {name} SET "v {word}" = "v {word}" || 'x' WHERE n = 1;""" for name in (table, mirror)))
    job.release()
    job.wait_phase("reverse")
    assert same()
    change(500)
    outcome = pgrecast.call(database, "verify", "j")
    assert outcome.status == pgrecast.DONE, str(outcome)
    outcome = pgrecast.call(database, "rollback", "j")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert same()
    change(600)
    assert pgrecast.call(database, "cutover", "j").status == pgrecast.DONE
    job.wait_phase("reverse")
    assert same()
    assert pgrecast.call(database, "finish", "j").status == pgrecast.DONE
    assert job.wait().status == pgrecast.DONE, str(job.outcome())
    assert same()
    assert_clean(database)


@pytest.mark.parametrize("encoding, byte, shown", [("WIN1252", "81", "\\x81"), ("SQL_ASCII", "e9", "\\xe9"), ("LATIN2", "f8", "ř")])
def test_rows_set_aside(new_database, encoding, byte, shown):
    """A row that the original cannot hold, under a key without a form in UTF-8: it is named, and known to the next instance."""
    database = make_database(new_database, encoding)
    word = f"convert_from('\\x{byte}', getdatabaseencoding())"
    database.execute("CREATE TABLE t (k text PRIMARY KEY, v varchar(3)); INSERT INTO t SELECT g, 'abc' FROM generate_series(1, 50) g")
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER v TYPE text", window=None)
    job.wait_phase("reverse")
    database.execute(f"INSERT INTO t VALUES ({word}, 'long' || {word}), (7 || {word}, {word})")
    wait_until(lambda: database.value("SELECT count(*) FROM pgrecast.blocked") == 1, "the row to be set aside")
    job.kill()
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == pgrecast.NO_ROLLBACK and f"({shown})" in outcome.text, str(outcome)
    assert f"({shown})" in json.dumps(pgrecast.the_job(database), ensure_ascii=False).replace("\\\\", "\\")
    database.execute(f"UPDATE t SET v = 'fit' WHERE k = {word}")
    outcome = pgrecast.call(database, "rollback", "t")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.value(f"SELECT count(*) FROM t WHERE k = {word} AND v = 'fit' OR k = 7 || {word} AND v = {word}") == 2
    outcome = pgrecast.call(database, "finish", "t")
    assert outcome.status == pgrecast.DONE, str(outcome)


@pytest.mark.parametrize("encoding, word, values", [
    ("WIN1252", "Größe", ["Größe €", {"hex": "81"}]), ("SQL_ASCII", "Größe", ["Größe €", {"hex": "81"}]),
    ("EUC_JP", "漢字", ["漢字"]), ("KOI8R", "жук", ["жук"])])
def test_decode(new_database, encoding, word, values):
    """A slot and a spool as JSON in UTF-8; a value without a form in UTF-8 is its bytes."""
    database = make_database(new_database, encoding)
    database.execute(f'CREATE TABLE "t {word}" (k int PRIMARY KEY, "v {word}" text);'
                     f"INSERT INTO \"t {word}\" SELECT g, 'x' FROM generate_series(1, 50) g")
    job = pgrecast.start_run(database, f'ALTER TABLE "t {word}" ALTER k TYPE bigint', "--job", "j", hold="ready")
    job.wait_phase("ready")
    database.superuser(f'CREATE PUBLICATION p FOR TABLE "t {word}"')  # the job's state changes all the time
    database.superuser("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    for number, value in enumerate(values, 100):
        text = f"'{value}'" if isinstance(value, str) else f"convert_from('\\x{value['hex']}', getdatabaseencoding())"
        database.execute(f'INSERT INTO "t {word}" VALUES ({number}, {text})')

    def inserted(*arguments):
        outcome = pgrecast.call(database, "decode", *arguments)
        records = [json.loads(line) for line in outcome.stdout_bytes.decode().splitlines()]
        return [r["new_row"][f"v {word}"] for r in records if r["kind"] == "insert" and r["table"] == f"t {word}"]

    spool = database.value("SELECT spool_directory FROM pgrecast.stream")
    wait_until(lambda: inserted("--spool-dir", f"{spool}/direction0") == values, "the rows to be in the spool")
    records = 1 + 3 * len(values)  # the relation; begin, insert and commit of each
    assert inserted("--slot", "s", "--publication", "p", "--limit", str(records)) == values
    database.superuser("SELECT pg_drop_replication_slot('s')")
    database.superuser("DROP PUBLICATION p")
    job.release()
    assert job.wait().status == pgrecast.DONE, str(job.outcome())


RAW = "DO $$ BEGIN EXECUTE convert_from(decode('{}', 'hex'), getdatabaseencoding()); END $$"


@pytest.mark.parametrize("encoding, word", [("MULE_INTERNAL", b"\x81\xe9"), ("SQL_ASCII", b"\xe9"), ("WIN1252", b"\x81")])
def test_names_without_utf8(new_database, encoding, word):
    """A table of which the program cannot tell the name is refused; in MULE_INTERNAL its columns may have such names."""
    database = make_database(new_database, encoding)
    for table in (b"t", b"t" + word):
        database.execute(RAW.format((b'CREATE TABLE "' + table + b'" (id int PRIMARY KEY, "c' + word + b'" text DEFAULT \'' + word + b"')")
                                    .hex()))
        database.execute(RAW.format((b'INSERT INTO "' + table + b'" SELECT g FROM generate_series(1, 50) g').hex()))
    outcome = pgrecast.run(database, "ALTER TABLE t ALTER id TYPE bigint", hold=None)
    if encoding == "MULE_INTERNAL":
        assert outcome.status == pgrecast.DONE, str(outcome)
        assert database.value("SELECT count(*) FROM t") == 50
    else:
        assert outcome.status == pgrecast.REFUSED and "has no form in UTF-8" in outcome.text, str(outcome)
    name = (b't' + word).decode(errors="surrogateescape")
    outcome = pgrecast.run(database, f'ALTER TABLE "{name}" ALTER id TYPE bigint', "--job", "other")
    assert outcome.status in (pgrecast.REFUSED, pgrecast.USAGE), str(outcome)
    assert pgrecast.job_rows(database) == (encoding == "MULE_INTERNAL")
