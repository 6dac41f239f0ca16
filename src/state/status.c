#include "state/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/count.h"
#include "core/mem.h"
#include "state/job.h"
#include "statements.h"

/* Whether a rollback is possible, as far as the catalogs show. */
static void
judge_rollback(struct job_status *j, const char *answer, bool publication)
{
    if (j->swaps % 2 == 0)
        j->rollback_reason = mem_strdup("the original is active");
    else if (j->ended)
        j->rollback_reason = mem_strdup("the job has ended");
    else if (strcmp(j->phase, job_phase_name(PHASE_FINISHED)) == 0)
        j->rollback_reason = mem_strdup("the job is being finished");
    else if (j->held != NULL)
        j->rollback_reason = mem_strdup(j->held);
    else if (!publication)
        j->rollback_reason = mem_strdup("the job runs without a rollback window");
    else if (j->slot_lost != NULL)
        j->rollback_reason = mem_strdup(j->slot_lost);
    else if (j->blocked_rows > 0)
        j->rollback_reason = mem_printf("%" PRId64 " %s of the new table cannot be held by the original",
                                        j->blocked_rows, count_word(j->blocked_rows, "row", "rows"));
    else if (j->verify_mismatches > 0)
        j->rollback_reason =
            mem_printf("the last verification found %" PRId64 " %s", j->verify_mismatches,
                       count_word(j->verify_mismatches, "key that differs", "keys that differ"));
    j->rollback_possible = j->rollback_reason == NULL;
    if (j->rollback_possible && answer != NULL) /* the answer to the last attempt */
        j->rollback_reason = mem_strdup(answer);
}

/* The texts of a JSON array. */
static char **
take_tables(const char *text, int *count)
{
    json_t *list = json_loads(text, 0, NULL);
    char **tables = mem_array(NULL, json_array_size(list) + 1, sizeof(*tables));

    for (size_t i = 0; i < json_array_size(list); i++)
        tables[(*count)++] = mem_strdup(json_string_value(json_array_get(list, i)));
    json_decref(list);
    return tables;
}

static void
free_tables(char **tables, int count)
{
    for (int i = 0; i < count; i++)
        free(tables[i]);
    free(tables);
}

static void
take_instance(struct job_status *j, const struct result *r, int i)
{
    j->instance = row_int(r, i, "instance");
    j->host = row_copy(r, i, "host");
    j->pid = (int)row_int(r, i, "pid");
    j->instance_since = row_copy(r, i, "instance_since");
    j->hold = row_bool(r, i, "hold");
}

static void
status_take_row(struct job_status *j, const struct result *r, int i)
{
    j->job = row_copy(r, i, "name");
    j->record = row_int(r, i, "id");
    j->tables = take_tables(row_text(r, i, "tables"), &j->table_count);
    j->inactive = take_tables(row_text(r, i, "inactive_tables"), &j->inactive_count);
    take_instance(j, r, i);
    j->created_at = row_copy(r, i, "created_at");
    j->ended_at = row_copy(r, i, "ended_at");
    j->phase = row_copy(r, i, "phase");
    j->sql = row_copy(r, i, "sql");
    j->ended = row_bool(r, i, "ended");
    j->running = row_bool(r, i, "running");
    j->age_seconds = row_real(r, i, "age_seconds");
    j->rows_copied = row_int(r, i, "rows_copied");
    j->rows_estimated = row_int(r, i, "rows_estimated");
    j->bytes_copied = row_int(r, i, "bytes_copied");
    j->bytes_total = row_int(r, i, "bytes_total");
    j->changes_spooled = row_int(r, i, "changes_spooled");
    j->changes_applied = row_int(r, i, "changes_applied");
    j->spool_bytes = row_int(r, i, "spool_bytes");
    j->lag_bytes = row_int(r, i, "lag_bytes");
    j->lag_seconds = row_real(r, i, "lag_seconds");
    j->throttled_by = row_copy(r, i, "throttled_by");
    j->waits = j->running ? row_copy(r, i, "waits") : NULL;
    j->eta_seconds = row_real(r, i, "eta_seconds");
    j->lock_attempts = (int)row_int(r, i, "lock_attempts");
    j->lock_held_ms = row_real(r, i, "lock_held_ms");
    j->lock_wait_ms = row_real(r, i, "lock_wait_ms");
    j->wal_retained_bytes = row_int(r, i, "wal_retained_bytes");
    j->verify_lsn = row_lsn(r, i, "verify_lsn");
    j->verify_rows = row_int(r, i, "verify_rows");
    j->verify_mismatches = row_int(r, i, "verify_mismatches");
    j->verify_hash = row_copy(r, i, "verify_hash");
    j->error = row_copy(r, i, "error");
    j->held = row_copy(r, i, "held");
    j->held_changes = row_copy(r, i, "held_changes");
    j->held_for_good = row_bool(r, i, "held_for_good");
    j->failed_kind = row_copy(r, i, "failed_kind");
    j->failed_message = row_copy(r, i, "failed_message");
    j->failed_at = row_copy(r, i, "failed_at");
    j->swaps = (int)row_int(r, i, "swaps");
    j->window_ends = row_copy(r, i, "window_ends");
    j->window_over = row_bool(r, i, "window_over");
    j->window_ends_text = row_copy(r, i, "window_ends_text");
    j->blocked_rows = row_int(r, i, "blocked_rows");
    j->slot_lost = row_copy(r, i, "slot_lost");
    judge_rollback(j, row_text(r, i, "rollback_failure"), row_bool(r, i, "back_published"));
}

static bool
read_objects(struct session *s, struct job_status *j, int64_t id, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, id);
    ok = session_query_with(s, &res, err, state_sql_status_objects, &p);
    j->objects = mem_array(NULL, (size_t)result_rows(&res) + 1, sizeof(*j->objects));
    for (int i = 0; ok && i < result_rows(&res); i++)
        j->objects[j->object_count++] = (struct job_object){.kind = row_copy(&res, i, "kind"),
                                                            .name = row_copy(&res, i, "name"),
                                                            .exists = row_bool(&res, i, "there")};
    result_free(&res);
    return ok;
}

static bool
read_jobs(struct session *s, const struct status_query *query, struct status_list *list, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_text(&p, query->name);
    params_int(&p, JOB_LOCK_CLASS);
    if (query->record > 0)
        params_int(&p, query->record);
    else
        params_text(&p, NULL);
    params_bool(&p, query->all);
    ok = session_query_with(s, &res, err, state_sql_status_jobs, &p);
    list->jobs = mem_alloc((size_t)result_rows(&res) * sizeof(*list->jobs));
    for (int i = 0; ok && i < result_rows(&res); i++) {
        struct job_status *j = &list->jobs[list->count++];

        status_take_row(j, &res, i);
        ok = read_objects(s, j, row_int(&res, i, "id"), err) &&
             (j->blocked_rows == 0 || state_blocked_some(s, row_int(&res, i, "id"), &j->blocked, err));
    }
    result_free(&res);
    return ok;
}

static bool
status_refuse_older(struct error *err)
{
    error_set(err, ERROR_FAILED, "the state in schema pgrecast was made by another version of pgrecast");
    return error_hint(err, "Use that version. The first run of a newer one brings it up to date.");
}

bool
status_refuse_absent(enum state_presence presence, const char *name, struct error *err)
{
    return presence == STATE_OLDER ? status_refuse_older(err) : job_state_missing(name, 0, err);
}

bool
status_read(struct session *s, enum state_presence presence, const struct status_query *query,
            struct status_list *list, struct error *err)
{
    bool ok = true;

    memset(list, 0, sizeof(*list));
    if (presence == STATE_OLDER)
        return status_refuse_older(err);
    if (presence == STATE_CURRENT)
        ok = read_jobs(s, query, list, err);
    if (ok && query->name != NULL && list->count == 0)
        ok = job_state_missing(query->name, query->record, err);
    if (!ok)
        status_list_free(list);
    return ok;
}

void
job_status_clear(struct job_status *j)
{
    free(j->job);
    free_tables(j->tables, j->table_count);
    free_tables(j->inactive, j->inactive_count);
    free(j->created_at);
    free(j->ended_at);
    free(j->host);
    free(j->instance_since);
    free(j->phase);
    free(j->sql);
    free(j->throttled_by);
    free(j->waits);
    free(j->verify_hash);
    free(j->error);
    free(j->held);
    free(j->held_changes);
    free(j->slot_lost);
    free(j->failed_kind);
    free(j->failed_message);
    free(j->failed_at);
    for (int o = 0; o < j->object_count; o++) {
        free(j->objects[o].kind);
        free(j->objects[o].name);
    }
    free(j->objects);
    state_blocked_free(&j->blocked);
    free(j->window_ends);
    free(j->window_ends_text);
    free(j->rollback_reason);
    memset(j, 0, sizeof(*j));
}

void
status_list_free(struct status_list *list)
{
    for (int i = 0; i < list->count; i++)
        job_status_clear(&list->jobs[i]);
    free(list->jobs);
    memset(list, 0, sizeof(*list));
}
