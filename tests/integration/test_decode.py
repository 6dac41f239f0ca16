"""`decode`: a slot or a job's spool as JSON lines or length-delimited protobuf."""

import json

import pytest

import pgrecast
from servers import wait_until

TABLE = """
CREATE TABLE t (id integer PRIMARY KEY, note text, big text);
ALTER TABLE t ALTER big SET STORAGE EXTERNAL;
"""
CHANGES = """
INSERT INTO t VALUES (1, 'naïve "quoted"', repeat('x', 10000)), (2, NULL, '');
UPDATE t SET note = 'changed' WHERE id = 1;
UPDATE t SET id = 3 WHERE id = 2;
DELETE FROM t WHERE id = 3;
TRUNCATE t;
SELECT pg_logical_emit_message(true, 'app', 'hello');
"""


def prepared(database):
    database.execute(TABLE)
    database.execute("CREATE PUBLICATION p FOR TABLE t")
    database.execute("SELECT pg_create_logical_replication_slot('s', 'pgoutput')")
    database.execute("BEGIN;" + CHANGES + "COMMIT")


def kinds(records):
    return [record["kind"] for record in records]


def test_a_slot_as_json(database):
    prepared(database)
    outcome = pgrecast.call(database, "decode", "--slot=s", "--publication=p", "--limit=11")
    assert outcome.status == pgrecast.DONE, str(outcome)
    records = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert kinds(records)[:2] == ["begin", "relation"]
    records = [record for record in records if record["kind"] != "relation"]  # it comes again after the TRUNCATE
    assert kinds(records) == ["begin", "insert", "insert", "update", "update", "delete", "truncate", "message",
                              "commit"]
    first, second, changed, moved, gone, emptied, message = records[1:8]
    assert first["schema"] == "public" and first["table"] == "t"
    assert first["new_row"]["note"] == 'naïve "quoted"' and len(first["new_row"]["big"]) == 10000
    assert second["new_row"] == {"id": "2", "note": None, "big": ""}
    assert changed["new_row"] == {"id": "1", "note": "changed"} and changed["unchanged"] == ["big"]
    assert moved["old_key"]["id"] == "2" and moved["new_row"]["id"] == "3"
    assert gone["old_key"]["id"] == "3"
    assert emptied["tables"] == [{"schema": "public", "table": "t"}]
    assert (message["prefix"], message["content"]) == ("app", "hello")


def delimited(data):
    """The messages of protobuf's length-delimited form."""
    at, messages = 0, []
    while at < len(data):
        length = shift = 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        messages.append(data[at:at + length])
        at += length
    assert at == len(data)
    return messages


def test_a_slot_as_protobuf(database):
    prepared(database)
    outcome = pgrecast.call(database, "decode", "--slot=s", "--publication=p", "--limit=10", "--format=protobuf")
    assert outcome.status == pgrecast.DONE, str(outcome)
    messages = delimited(outcome.stdout_bytes)
    assert len(messages) == 10
    assert 'naïve "quoted"'.encode() in messages[2]


def test_the_spool_of_a_job(database):
    database.execute(TABLE)
    job = pgrecast.start_run(database, "ALTER TABLE t ALTER COLUMN id TYPE bigint", hold="copy")
    job.wait_phase("copy")
    database.execute("INSERT INTO t VALUES (7, 'seven', NULL)")
    folder = database.value("SELECT name FROM pgrecast.object WHERE kind = 'spool'")

    def seen():
        outcome = pgrecast.call(database, "decode", f"--spool-dir={folder}")
        assert outcome.status == pgrecast.DONE, str(outcome)
        records = [json.loads(line) for line in outcome.stdout.splitlines()]
        return [record for record in records if record["kind"] == "insert"]

    wait_until(seen, "the insert to be in the spool")
    assert seen()[0]["new_row"] == {"id": "7", "note": "seven", "big": None}
    job.release()
    assert job.wait().status == pgrecast.DONE


@pytest.mark.main_major
def test_what_to_decode_must_be_said(database):
    for arguments in ((), ("--slot=s",), ("--publication=p",), ("--slot=s", "--publication=p", "--spool-dir=x")):
        outcome = pgrecast.call(database, "decode", *arguments)
        assert outcome.status == pgrecast.USAGE, str(outcome)


def test_a_slot_that_is_not_there(database):
    outcome = pgrecast.call(database, "decode", "--slot=nothing", "--publication=p")
    assert outcome.status == pgrecast.FAILED and '"nothing"' in outcome.stderr, str(outcome)
