#include "state/ledger.h"

#include <string.h>

#include "core/log.h"
#include "fence.h"
#include "statements.h"
#include "undo.h"

static const char *const kind_names[] = {[LEDGER_PUBLICATION] = "publication",
                                         [LEDGER_SLOT] = "slot",
                                         [LEDGER_SPOOL] = "spool",
                                         [LEDGER_TABLE] = "table",
                                         [LEDGER_VIEW] = "view",
                                         [LEDGER_GUARD] = "guard"};

bool
ledger_enter(struct session *s, const struct job_state *job, enum ledger_kind kind, const char *name,
             struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, kind_names[kind]);
    params_text(&p, name);
    return fence_run(s, NULL, err, state_sql_ledger_enter, &p);
}

bool
ledger_made(struct session *s, const struct job_state *job, enum ledger_kind kind, const char *name,
            uint32_t oid, struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, kind_names[kind]);
    params_text(&p, name);
    params_uint(&p, oid);
    return fence_run(s, NULL, err, state_sql_ledger_made, &p);
}

bool
ledger_forget_kind(struct session *s, const struct job_state *job, enum ledger_kind kind, struct error *err)
{
    struct params p = fence_params(job);

    params_null(&p);
    params_text(&p, kind_names[kind]);
    return fence_run(s, NULL, err, state_sql_ledger_forget, &p);
}

static bool
forget_entry(struct session *s, const struct job_state *job, int64_t entry, struct error *err)
{
    struct params p = fence_params(job);

    params_int(&p, entry);
    params_null(&p);
    return fence_run(s, NULL, err, state_sql_ledger_forget, &p);
}

/*
 * The tables of a job are never confused with each other, nor with another table that has got the oid or the
 * name of one.
 */
static bool
check_other(const struct job_state *job, const struct undo_object *object, struct error *err)
{
    if (object->kind != LEDGER_TABLE || object->oid == 0)
        return true;
    for (int i = 0; i < job->table_count; i++) {
        if (job_other_oid(job, i) == object->oid)
            return true;
    }
    return error_set(err, ERROR_FAILED, "the table of the ledger is none that job \"%s\" may drop",
                     job->name);
}

static bool
take_object(const struct result *res, int row, struct undo_object *object, struct error *err)
{
    const char *kind = row_text(res, row, "kind");

    object->name = row_text(res, row, "name");
    object->oid = (uint32_t)row_int(res, row, "oid");
    for (size_t i = 0; i < sizeof(kind_names) / sizeof(kind_names[0]); i++) {
        if (strcmp(kind_names[i], kind) == 0) {
            object->kind = (enum ledger_kind)i;
            return true;
        }
    }
    return error_set(err, ERROR_FAILED, "the ledger has an entry of an unknown kind: \"%s\"", kind);
}

static bool
undo_row(struct session *s, const struct job_state *job, const struct result *res, int row, bool older,
         struct error *err)
{
    struct undo_object object;
    bool ok = take_object(res, row, &object, err) && (older || check_other(job, &object, err)) &&
              undo_object(s, older ? NULL : job, &object, err) &&
              (older || forget_entry(s, job, row_int(res, row, "id"), err));

    return ok ? true
              : error_context(err, "removing %s %s", row_text(res, row, "kind"), row_text(res, row, "name"));
}

static bool
undo_rows(struct session *s, const struct job_state *job, const struct result *res, bool older,
          struct error *err)
{
    bool all = true;

    for (int i = 0; i < result_rows(res); i++) {
        struct error one = {0};

        if (!undo_row(s, job, res, i, older, &one)) {
            if (all)
                error_move(err, &one);
            else
                log_warning("%s", one.message);
            all = false;
        }
        error_clear(&one);
    }
    return all;
}

static bool
read_entries(struct session *s, const struct job_state *job, const char *kind, const char *name,
             struct result *res, struct error *err)
{
    struct params p = {0};

    params_int(&p, job->id);
    params_text(&p, kind);
    params_text(&p, name);
    return session_query_with(s, res, err, state_sql_ledger_read, &p);
}

bool
ledger_undo_one(struct session *s, const struct job_state *job, enum ledger_kind kind, const char *name,
                struct error *err)
{
    struct result res = {0};
    bool ok = read_entries(s, job, kind_names[kind], name, &res, err);

    for (int i = 0; ok && i < result_rows(&res); i++)
        ok = undo_row(s, job, &res, i, false, err);
    result_free(&res);
    return ok;
}

bool
ledger_undo_kind(struct session *s, const struct job_state *job, enum ledger_kind kind, struct error *err)
{
    struct result res = {0};
    bool ok = read_entries(s, job, kind_names[kind], NULL, &res, err) && undo_rows(s, job, &res, false, err);

    result_free(&res);
    return ok;
}

bool
ledger_undo(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool ok = read_entries(s, job, NULL, NULL, &res, err) && undo_rows(s, job, &res, false, err);

    result_free(&res);
    return ok;
}

bool
ledger_undo_older(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, job->id);
    ok = session_query_with(s, &res, err, state_sql_old_objects, &p) && undo_rows(s, job, &res, true, err);
    result_free(&res);
    return ok;
}

char *
ledger_own(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    char *own;

    params_int(&p, job->id);
    own = session_row_with(s, &res, err, state_sql_ledger_own, &p) ? row_copy(&res, 0, "own") : NULL;
    result_free(&res);
    return own;
}
