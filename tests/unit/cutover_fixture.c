#include "cutover_fixture.h"

#include <string.h>

#include "catalog/table.h"

static bool
hook(struct cutover_fixture *f, const char *name, struct error *err)
{
    buffer_printf(&f->called, "%s ", name);
    if (f->failing == NULL || strcmp(f->failing, name) != 0)
        return true;
    if (f->failures_left > 0 && --f->failures_left == 0)
        f->failing = NULL;
    error_set(err, f->failure, "the hook %s fails", name);
    if (f->sqlstate != NULL)
        memcpy(err->sqlstate, f->sqlstate, 6);
    return false;
}

static bool
on_prepare(void *arg, struct error *err)
{
    return hook(arg, "prepare", err);
}

static bool
on_enter(void *arg, struct error *err)
{
    return hook(arg, "enter", err);
}

static void
on_look(void *arg, struct pipeline *look)
{
    (void)arg;
    pipeline_add(look, "SELECT more");
}

static bool
on_looked(void *arg, const struct pipeline *look, int first, struct error *err)
{
    struct cutover_fixture *f = arg;

    assert_int_equal(first, look->count - 1);
    if (f->failing == NULL || strcmp(f->failing, "looked") != 0 || f->looks_before-- > 0)
        return true;
    return hook(f, "looked", err);
}

static bool
on_drain(void *arg, struct error *err)
{
    return hook(arg, "drain", err);
}

static bool
on_check(void *arg, struct error *err)
{
    return hook(arg, "check", err);
}

static bool
on_record(void *arg, struct pipeline *statements, struct error *err)
{
    struct cutover_fixture *f = arg;

    pipeline_add(statements, "UPDATE job");
    return hook(f, "record", err) && pipeline_run(f->session, statements, err);
}

static bool
on_is_recorded(void *arg, struct session *s, uint64_t xid, bool *recorded, struct error *err)
{
    const struct cutover_fixture *f = arg;

    (void)s;
    (void)err;
    assert_int_equal(xid, 815);
    *recorded = !f->not_recorded;
    return true;
}

static bool
on_leave(void *arg, bool committed, struct error *err)
{
    return hook(arg, committed ? "leave(1)" : "leave(0)", err);
}

/* Every attempt that another one follows, or that is the last in vain, is told with what was in the way. */
static void
on_given_up(void *arg, int attempt, const struct error *why)
{
    struct cutover_fixture *f = arg;

    assert_int_equal(attempt, ++f->given_up);
    assert_non_null(why->message);
}

bool
cutover_fixture_run(struct cutover_fixture *f, const struct fake_step *steps, size_t count)
{
    struct table tables[2] = {{.oid = 16400}, {.oid = 16402}};
    struct plan plans[2] = {{.source = &tables[0],
                             .names.source_sql = (char *)"\"public\".\"t\"",
                             .names.shadow_sql = (char *)"\"public\".\"t_new\""},
                            {.source = &tables[1],
                             .names.source_sql = (char *)"\"public\".\"u\"",
                             .names.shadow_sql = (char *)"\"public\".\"u_new\""}};
    const struct plan *const list[2] = {&plans[0], &plans[1]};
    const oid_t shadows[2] = {16401, 16403};
    struct planned statements[1] = {{.sql = (char *)"ALTER TABLE t RENAME TO t_old"}};
    struct plan_swap swap = {.statements = {1, statements}};
    struct cutover_hooks hooks = {f,        on_prepare, on_enter,       on_look,  on_looked,  on_drain,
                                  on_check, on_record,  on_is_recorded, on_leave, on_given_up};
    struct cutover_request request = {.name = "cutover",
                                      .table_count = f->table_count > 0 ? f->table_count : 1,
                                      .plans = list,
                                      .shadows = shadows,
                                      .swap = &swap,
                                      .oldest_snapshot = 700,
                                      .lock_timeout_ms = 250,
                                      .attempts = f->attempts > 0 ? f->attempts : 1,
                                      .hooks = &hooks};
    bool ok;

    fake_sql_start(&f->fake, steps, count);
    request.connection = &f->fake.connection;
    request.session = f->session = fake_sql_session(&f->fake, "apply");
    ok = cutover_run(&request, &f->report, &f->err);
    if (ok)
        assert_int_equal(f->given_up, f->report.attempts - 1);
    else if (f->err.kind == ERROR_LOCK)
        assert_int_equal(f->given_up, f->report.attempts);
    session_close(request.session);
    fake_sql_finish(&f->fake);
    return ok;
}

void
cutover_fixture_free(struct cutover_fixture *f)
{
    error_clear(&f->err);
    buffer_free(&f->called);
}
