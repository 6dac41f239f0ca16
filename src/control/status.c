#include "control/status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/mem.h"
#include "sql/sql.h"

bool
status_schema_exists(struct session *s, bool *exists, struct error *err)
{
    struct result res = {0};
    bool ok =
        session_row(s, &res, err,
                    "SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n "
                    "ON n.oid = c.relnamespace WHERE n.nspname = 'pgrecast' AND c.relname = 'job')",
                    0);

    *exists = ok && result_bool(&res, 0, 0);
    result_free(&res);
    return ok;
}

static double
number(const struct result *res, int row, int col)
{
    const char *text = result_text(res, row, col);

    return text == NULL ? 0 : strtod(text, NULL);
}

/* Whether the original can come back, as far as the catalogs tell. */
static void
judge_rollback(struct job_status *j, const char *answer, bool slot, bool publication)
{
    if (j->ended || j->leg % 2 == 0)
        j->rollback_reason = mem_strdup("the original serves");
    else if (!publication)
        j->rollback_reason = mem_strdup("the job runs without a way back");
    else if (!slot)
        j->rollback_reason = mem_strdup("the replication slot is gone");
    else if (j->blocked_rows > 0)
        j->rollback_reason = mem_printf("%" PRId64 " row%s of the new table cannot be held by the original",
                                        j->blocked_rows, j->blocked_rows == 1 ? "" : "s");
    j->rollback_possible = j->rollback_reason == NULL;
    if (j->rollback_possible && answer != NULL) /* to the last try */
        j->rollback_reason = mem_strdup(answer);
}

static void
take_tables(struct job_status *j, const char *text)
{
    json_t *list = json_loads(text, 0, NULL);

    j->tables = mem_array(NULL, json_array_size(list) + 1, sizeof(*j->tables));
    for (size_t i = 0; i < json_array_size(list); i++)
        j->tables[j->table_count++] = mem_strdup(json_string_value(json_array_get(list, i)));
    json_decref(list);
}

/* "a.b, c.d": the caller frees it. */
static char *
tables_text(const struct job_status *j)
{
    struct buffer text = {0};

    for (int i = 0; i < j->table_count; i++)
        buffer_printf(&text, "%s%s", i > 0 ? ", " : "", j->tables[i]);
    return buffer_take(&text);
}

static void
take_row(struct job_status *j, const struct result *r, int i)
{
    int col = 0;

    j->job = mem_strdup(result_text(r, i, col++));
    take_tables(j, result_text(r, i, col++));
    j->phase = mem_strdup(result_text(r, i, col++));
    j->sql = mem_strdup(result_text(r, i, col++));
    j->ended = result_bool(r, i, col++);
    j->running = result_bool(r, i, col++);
    j->age_seconds = number(r, i, col++);
    j->rows_copied = result_int(r, i, col++);
    j->rows_estimated = result_int(r, i, col++);
    j->bytes_copied = result_int(r, i, col++);
    j->bytes_total = result_int(r, i, col++);
    j->changes_spooled = result_int(r, i, col++);
    j->changes_applied = result_int(r, i, col++);
    j->spool_bytes = result_int(r, i, col++);
    j->lag_bytes = result_int(r, i, col++);
    j->lag_seconds = number(r, i, col++);
    j->throttled_by = mem_strdup(result_text(r, i, col++));
    j->eta_seconds = number(r, i, col++);
    j->lock_attempts = (int)result_int(r, i, col++);
    j->lock_held_ms = number(r, i, col++);
    j->lock_wait_ms = number(r, i, col++);
    j->wal_retained_bytes = result_int(r, i, col++);
    j->verify_lsn = result_lsn(r, i, col++);
    j->verify_rows = result_int(r, i, col++);
    j->verify_mismatches = result_int(r, i, col++);
    j->verify_hash = mem_strdup(result_text(r, i, col++));
    j->error = mem_strdup(result_text(r, i, col++));
    col++; /* the id */
    j->leg = (int)result_int(r, i, col++);
    j->window_ends = mem_strdup(result_text(r, i, col++));
    j->blocked_rows = result_int(r, i, col++);
    judge_rollback(j, result_text(r, i, col), result_bool(r, i, col + 1), result_bool(r, i, col + 2));
}

static bool
read_objects(struct session *s, struct job_status *j, const char *id, struct error *err)
{
    struct result res = {0};

    if (!session_query(s, &res, err, sql_status_objects, 1, id))
        return false;
    j->objects = mem_array(NULL, (size_t)result_rows(&res), sizeof(*j->objects));
    for (int i = 0; i < result_rows(&res); i++) {
        struct job_object *o = &j->objects[j->object_count++];

        o->kind = mem_strdup(result_text(&res, i, 0));
        o->name = mem_strdup(result_text(&res, i, 1));
        o->exists = result_bool(&res, i, 2);
    }
    result_free(&res);
    return true;
}

static bool
read_blocked(struct session *s, struct job_status *j, const char *id, struct error *err)
{
    struct result res = {0};

    if (j->blocked_rows == 0)
        return true;
    if (!session_query(s, &res, err, sql_status_blocked, 1, id))
        return false;
    j->blocked = mem_array(NULL, (size_t)result_rows(&res), sizeof(*j->blocked));
    for (int i = 0; i < result_rows(&res); i++)
        j->blocked[j->blocked_count++] = (struct job_blocked){.key = mem_strdup(result_text(&res, i, 0)),
                                                              .error = mem_strdup(result_text(&res, i, 1))};
    result_free(&res);
    return true;
}

/* A table or column that is not there: it is no state of this version. */
static bool
blame_version(struct error *err)
{
    if (strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "42703") == 0) {
        error_set(err, ERROR_FAILED, "the state in schema pgrecast was made by another version of pgrecast");
        error_hint(err, "Use that version. The first run of a newer one brings it up to date.");
    }
    return false;
}

bool
status_read(struct session *s, const char *name, struct status_list *list, struct error *err)
{
    struct result res = {0};
    bool exists, ok;

    memset(list, 0, sizeof(*list));
    if (!status_schema_exists(s, &exists, err))
        return false;
    ok = !exists || session_query(s, &res, err, sql_status_jobs, 1, name) || blame_version(err);
    list->jobs = mem_alloc((size_t)result_rows(&res) * sizeof(*list->jobs));
    for (int i = 0; ok && i < result_rows(&res); i++) {
        take_row(&list->jobs[i], &res, i);
        list->count++;
        ok = read_objects(s, &list->jobs[i], result_text(&res, i, 27), err) &&
             read_blocked(s, &list->jobs[i], result_text(&res, i, 27), err);
    }
    result_free(&res);
    if (ok && name != NULL && list->count == 0) {
        ok = error_set(err, ERROR_USAGE, "there is no job \"%s\" in this database", name);
        error_hint(err, "List the jobs with: pgrecast jobs");
    }
    if (!ok)
        status_list_free(list);
    return ok;
}

void
status_list_free(struct status_list *list)
{
    for (int i = 0; i < list->count; i++) {
        struct job_status *j = &list->jobs[i];

        free(j->job);
        for (int t = 0; t < j->table_count; t++)
            free(j->tables[t]);
        free(j->tables);
        free(j->phase);
        free(j->sql);
        free(j->throttled_by);
        free(j->verify_hash);
        free(j->error);
        for (int o = 0; o < j->object_count; o++) {
            free(j->objects[o].kind);
            free(j->objects[o].name);
        }
        free(j->objects);
        for (int b = 0; b < j->blocked_count; b++) {
            free(j->blocked[b].key);
            free(j->blocked[b].error);
        }
        free(j->blocked);
        free(j->window_ends);
        free(j->rollback_reason);
    }
    free(list->jobs);
    memset(list, 0, sizeof(*list));
}

void
status_print_line(const struct job_status *j, FILE *out)
{
    char *tables = tables_text(j);

    fprintf(out, "%-24s %-11s %-9s %s\n", j->job, j->phase,
            j->ended     ? "ended"
            : j->running ? "running"
                         : "stopped",
            tables);
    free(tables);
}

static void
print_rollback(const struct job_status *j, FILE *out)
{
    if (j->ended || j->leg % 2 == 0)
        return;
    fprintf(out, "  rollback     %s%s%s\n", j->rollback_possible ? "possible" : "not possible: ",
            !j->rollback_possible    ? j->rollback_reason
            : j->window_ends != NULL ? ", until "
                                     : "",
            j->rollback_possible && j->window_ends != NULL ? j->window_ends : "");
    for (int i = 0; i < j->blocked_count; i++)
        fprintf(out, "               key %s: %s\n", j->blocked[i].key, j->blocked[i].error);
    if (j->rollback_possible && j->rollback_reason != NULL)
        fprintf(out, "               the last try failed: %s\n", j->rollback_reason);
}

static void
print_next(const struct job_status *j, FILE *out)
{
    const char *turned = j->leg % 2 == 1 ? "rollback" : NULL;

    if (!j->running)
        fprintf(out, "  next         pgrecast resume %s, or pgrecast %s %s\n", j->job,
                j->leg == 0 ? "abort" : "finish", j->job);
    else if (turned != NULL)
        fprintf(out, "  next         pgrecast rollback %s, or pgrecast finish %s\n", j->job, j->job);
    else if (j->leg > 0)
        fprintf(out, "  next         pgrecast cutover %s, or pgrecast finish %s\n", j->job, j->job);
}

void
status_print(const struct job_status *j, FILE *out)
{
    char text[32], lsn[LSN_TEXT_SIZE], *tables = tables_text(j);

    fprintf(out, "job %s: %s (%s), table%s %s\n", j->job, j->phase,
            j->ended     ? "ended"
            : j->running ? "running"
                         : "no instance is running",
            j->table_count > 1 ? "s" : "", tables);
    free(tables);
    if (j->sql != NULL)
        fprintf(out, "  statements   %s\n", j->sql);
    fprintf(out, "  age          %s\n", clock_format_duration(j->age_seconds, text));
    fprintf(out, "  copied       %" PRId64 " rows, %" PRId64 " of %" PRId64 " MB\n", j->rows_copied,
            j->bytes_copied / 1000000, j->bytes_total / 1000000);
    fprintf(out, "  changes      %" PRId64 " received, %" PRId64 " applied, lag %" PRId64 " kB\n",
            j->changes_spooled, j->changes_applied, j->lag_bytes / 1000);
    if (j->eta_seconds >= 0 && !j->ended)
        fprintf(out, "  time left    about %s in this phase\n", clock_format_duration(j->eta_seconds, text));
    if (j->verify_lsn != 0)
        fprintf(out, "  verified     %" PRId64 " rows at %s, %" PRId64 " differ, hash %s\n", j->verify_rows,
                lsn_format(j->verify_lsn, lsn), j->verify_mismatches, j->verify_hash);
    if (j->lock_held_ms >= 0)
        fprintf(out, "  cutover      lock held %.1f ms, attempts %d\n", j->lock_held_ms, j->lock_attempts);
    if (j->wal_retained_bytes >= 0)
        fprintf(out, "  WAL held     %" PRId64 " MB by the replication slot\n",
                j->wal_retained_bytes / 1000000);
    if (j->error != NULL)
        fprintf(out, "  error        %s\n", j->error);
    for (int i = 0; i < j->object_count; i++)
        fprintf(out, "  %s%s %s%s\n", i == 0 ? "objects      " : "             ", j->objects[i].kind,
                j->objects[i].name, j->objects[i].exists ? "" : " (gone)");
    print_rollback(j, out);
    if (!j->ended)
        print_next(j, out);
}

static json_t *
json_text(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *
json_number_or_null(double value)
{
    return value < 0 ? json_null() : json_real(value);
}

static json_t *
verify_json(const struct job_status *j)
{
    char lsn[LSN_TEXT_SIZE];

    if (j->verify_lsn == 0)
        return json_null();
    return json_pack("{s:s, s:I, s:I, s:s}", "lsn", lsn_format(j->verify_lsn, lsn), "rows",
                     (json_int_t)j->verify_rows, "mismatches", (json_int_t)j->verify_mismatches, "hash",
                     j->verify_hash);
}

static json_t *
tables_json(const struct job_status *j)
{
    json_t *list = json_array();

    for (int i = 0; i < j->table_count; i++)
        json_array_append_new(list, json_string(j->tables[i]));
    return list;
}

static json_t *
objects_json(const struct job_status *j)
{
    json_t *list = json_array();

    for (int i = 0; i < j->object_count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "kind", j->objects[i].kind, "name",
                                              j->objects[i].name, "exists", (int)j->objects[i].exists));
    return list;
}

static json_t *
rollback_json(const struct job_status *j)
{
    json_t *keys = json_array(), *object = json_object();

    for (int i = 0; i < j->blocked_count; i++)
        json_array_append_new(keys, json_string(j->blocked[i].key));
    json_object_set_new(object, "possible", json_boolean(j->rollback_possible));
    json_object_set_new(object, "blocked_rows", json_integer(j->blocked_rows));
    json_object_set_new(object, "blocked_keys", keys);
    json_object_set_new(object, "reason", json_text(j->rollback_reason));
    return object;
}

static json_t *
job_json(const struct job_status *j)
{
    json_t *object = json_object();

    json_object_set_new(object, "job", json_text(j->job));
    json_object_set_new(object, "tables", tables_json(j));
    json_object_set_new(object, "phase", json_text(j->phase));
    json_object_set_new(object, "running", json_boolean(j->running));
    json_object_set_new(object, "sql", json_text(j->sql));
    json_object_set_new(object, "age_seconds", json_real(j->age_seconds));
    json_object_set_new(object, "rows_copied", json_integer(j->rows_copied));
    json_object_set_new(object, "rows_estimated", json_integer(j->rows_estimated));
    json_object_set_new(object, "bytes_copied", json_integer(j->bytes_copied));
    json_object_set_new(object, "bytes_total", json_integer(j->bytes_total));
    json_object_set_new(object, "changes_spooled", json_integer(j->changes_spooled));
    json_object_set_new(object, "changes_applied", json_integer(j->changes_applied));
    json_object_set_new(object, "spool_bytes", json_integer(j->spool_bytes));
    json_object_set_new(object, "lag_bytes", json_integer(j->lag_bytes));
    json_object_set_new(object, "lag_seconds", json_real(j->lag_seconds));
    json_object_set_new(object, "throttled_by", json_text(j->throttled_by));
    json_object_set_new(object, "eta_seconds", json_number_or_null(j->eta_seconds));
    json_object_set_new(object, "lock_held_ms", json_number_or_null(j->lock_held_ms));
    json_object_set_new(object, "lock_wait_ms", json_number_or_null(j->lock_wait_ms));
    json_object_set_new(object, "lock_attempts", json_integer(j->lock_attempts));
    json_object_set_new(object, "wal_retained_bytes",
                        j->wal_retained_bytes < 0 ? json_null() : json_integer(j->wal_retained_bytes));
    json_object_set_new(object, "leg", json_integer(j->leg));
    json_object_set_new(object, "rollback", rollback_json(j));
    json_object_set_new(object, "window_ends_at", json_text(j->window_ends));
    json_object_set_new(object, "verify", verify_json(j));
    json_object_set_new(object, "error", json_text(j->error));
    json_object_set_new(object, "objects", objects_json(j));
    return object;
}

void
status_print_json(const struct status_list *list, FILE *out)
{
    json_t *array = json_array();

    for (int i = 0; i < list->count; i++)
        json_array_append_new(array, job_json(&list->jobs[i]));
    json_dumpf(array, out, JSON_INDENT(2));
    fputc('\n', out);
    json_decref(array);
}
