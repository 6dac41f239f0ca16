"""The main job: a table is rewritten under load, no row differs from the mirror, the schema is ALTER TABLE's."""

import pytest

import oracle
import pgrecast
from load import Load
from conftest import MAIN_MAJOR, MAJORS
from tables import (assert_aborts, assert_clean, assert_resumable, assert_untouched, describe, relations,
                    schema_differences)
from workloads import WORKLOADS

FEW = ("int_key", "composite_key", "unique_index_key")


def cases():
    """Every workload on one major, a few on the others."""
    return [pytest.param(major, name, id=f"pg{major}-{name}")
            for major in MAJORS for name in WORKLOADS if major == MAIN_MAJOR or name in FEW]


def plain_twin(new_database, workload, sql):
    """A database in which the same table, empty, took the plain statements."""
    twin = new_database()
    Load(twin, workload, rows=0).prepare()
    twin.execute(sql)
    return twin


@pytest.mark.parametrize("major, workload", cases())
def test_rewrite_under_load(new_database, workload):
    database = new_database()
    load = Load(database, workload, rows=20000).prepare()
    alter = load.workload.alter
    twin = plain_twin(new_database, workload, alter)
    with load:
        load.wait_for(50)
        outcome = pgrecast.run(database, alter)
        load.wait_for(50)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert not load.result.broken
    assert load.result.failed == {}
    assert not oracle.compare(database, "items", "items_mirror", load.workload.transformation)
    assert schema_differences(database, twin, "items") == []
    assert_clean(database, twin)


def test_rebuild_under_load(new_database):
    """The same without a change of the schema: bloat goes, all else stays."""
    database, twin = new_database(), new_database()
    load = Load(database, rows=10000).prepare()
    Load(twin, rows=0).prepare()
    database.execute("DELETE FROM items WHERE id % 2 = 1; DELETE FROM items_mirror WHERE id % 2 = 1")
    file_before = database.value("SELECT pg_relation_filenode('items')")
    with load:
        outcome = pgrecast.rebuild(database, "items")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert load.result.failed == {} and not load.result.broken
    assert not oracle.compare(database, "items", "items_mirror")
    assert database.value("SELECT pg_relation_filenode('items')") != file_before
    assert schema_differences(database, twin, "items") == []
    assert_clean(database, twin)


@pytest.mark.parametrize("phase", ["copy", "index", "catchup", "verify", "ready", "cutover"])
def test_changes_while_held(database, phase):
    """The load goes on while the job stands at the entry of a phase; what it did is there at the end."""
    load = Load(database, rows=3000).prepare()
    with load:
        job = pgrecast.start_run(database, load.workload.alter, hold=phase)
        job.wait_phase(phase)
        load.wait_for(300)
        job.release()
        outcome = job.wait()
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert load.result.failed == {} and not load.result.broken
    assert not oracle.compare(database, "items", "items_mirror")
    assert_clean(database)


def test_status_while_held(database):
    """status --json has the fields that scripts rely on."""
    load = Load(database, rows=3000).prepare()
    job = pgrecast.start_run(database, load.workload.alter, hold="verify")
    job.wait_phase("verify")
    found = pgrecast.status(database)
    jobs = pgrecast.call(database, "jobs")
    job.release()
    assert job.wait().status == pgrecast.DONE
    assert len(found) == 1
    wanted = {"job", "tables", "phase", "rows_copied", "rows_estimated", "bytes_copied", "changes_spooled",
              "changes_applied", "lag_bytes", "lag_seconds", "throttled_by", "eta_seconds", "lock_held_ms",
              "lock_attempts", "verify", "error", "swaps", "rollback", "window_ends_at", "wal_retained_bytes"}
    assert wanted <= set(found[0])
    assert found[0]["phase"] == "verify"
    assert found[0]["rows_copied"] == 3000
    assert jobs.status == pgrecast.DONE and found[0]["job"] in jobs.stdout


def test_proof_of_parity(database):
    """The last word of a job: what was compared, and that it agreed."""
    load = Load(database, rows=3000).prepare()
    with load:
        outcome = pgrecast.run(database, load.workload.alter)
    assert outcome.status == pgrecast.DONE, str(outcome)
    (job,) = pgrecast.status(database)
    assert job["phase"] == "finished"
    assert job["verify"]["mismatches"] == 0
    assert job["verify"]["rows"] > 0
    assert len(job["verify"]["hash"]) == 32
    assert job["lock_attempts"] >= 1
    assert job["lock_held_ms"] > 0


@pytest.mark.parametrize("phase", ["copy", "index", "catchup", "verify", "ready", "cutover"])
@pytest.mark.main_major
def test_abort(database, phase):
    """Stopped and aborted before the cutover: as if it had never been."""
    load = Load(database, rows=1000).prepare()
    before = describe(database, "items")
    job = pgrecast.start_run(database, load.workload.alter, hold=phase)
    job.wait_phase(phase)
    job.kill()
    outcome = pgrecast.call(database, "abort", "items")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert_untouched(database, before, "items")
    assert not oracle.compare(database, "items", "items_mirror")


def test_plan_changes_nothing(database):
    load = Load(database, rows=1000).prepare()
    before, names = describe(database, "items"), relations(database)
    outcome = pgrecast.call(database, "plan", "--sql", load.workload.alter)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert "items" in outcome.stdout
    assert_untouched(database, before, "items")
    assert relations(database) == names
    assert database.value("SELECT to_regnamespace('pgrecast')") is None


def test_statements_from_a_file(database, tmp_path):
    load = Load(database, rows=1000).prepare()
    script = tmp_path / "change.sql"
    script.write_text("-- two statements\nALTER TABLE items ALTER COLUMN id TYPE bigint;\n"
                      "CREATE INDEX items_n ON items (n);\n")
    outcome = pgrecast.call(database, "run", "-f", str(script), "--spool-dir", str(tmp_path), "--rollback-window=0")
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert database.value("SELECT format_type(atttypid, NULL) FROM pg_attribute"
                          " WHERE attrelid = 'items'::regclass AND attname = 'id'") == "bigint"
    assert database.value("SELECT to_regclass('items_n')") == "items_n"
    assert not oracle.compare(database, "items", "items_mirror")
    assert load.workload.name == "int_key"


DAMAGE = "UPDATE items_pgrecast_new SET note = 'damaged' WHERE id = 77"


def test_parity_fails(database):
    """A row of the new table that differs is found and named; nothing is swapped."""
    load = Load(database, rows=3000).prepare()
    job = pgrecast.start_run(database, load.workload.alter, hold="verify")
    job.wait_phase("verify")
    pgrecast.damage(database, DAMAGE)
    job.release()
    outcome = job.wait()
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    assert "77" in outcome.stderr
    assert "damaged" not in outcome.text
    assert_resumable(database, "items")
    assert not oracle.compare(database, "items", "items_mirror")
    assert database.value("SELECT format_type(atttypid, NULL) FROM pg_attribute"
                          " WHERE attrelid = 'items'::regclass AND attname = 'id'") == "integer"
    assert_aborts(database, "items")
    assert_clean(database)


def test_cutover_on_request(database):
    """--cutover=hold stays in sync under load until it is told to swap."""
    load = Load(database, rows=3000).prepare()
    with load:
        job = pgrecast.start_run(database, load.workload.alter, "--cutover=hold")
        job.wait_phase("ready")
        load.wait_for(200)
        assert job.poll() is None and pgrecast.job_phase(database) == "ready"
        assert pgrecast.call(database, "cutover", "items").status == pgrecast.DONE
        outcome = job.wait()
        load.wait_for(50)
    assert outcome.status == pgrecast.DONE, str(outcome)
    assert load.result.failed == {} and not load.result.broken
    assert not oracle.compare(database, "items", "items_mirror")
    assert_clean(database)


def test_verify_on_demand(database):
    """The verify command finds parity under load, and names the row once there is some damage."""
    load = Load(database, rows=3000).prepare()
    with load:
        job = pgrecast.start_run(database, load.workload.alter, "--cutover=hold")
        job.wait_phase("ready")
        outcome = pgrecast.call(database, "verify", "items")
        assert outcome.status == pgrecast.DONE, str(outcome)
    pgrecast.damage(database, "UPDATE items_pgrecast_new SET note = 'damaged' WHERE id = (SELECT max(id) FROM items)")
    damaged = database.value("SELECT max(id) FROM items")
    outcome = pgrecast.call(database, "verify", "items")
    assert outcome.status == pgrecast.NO_PARITY, str(outcome)
    assert str(damaged) in outcome.text and "damaged" not in outcome.text
    job.kill()
    assert pgrecast.call(database, "abort", "items").status == pgrecast.DONE
    assert pgrecast.leftovers(database) == []
