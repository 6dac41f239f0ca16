#include "control/print_status.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "control/next.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/count.h"
#include "core/mem.h"

/* "a.b, c.d". The caller frees it. */
static char *
tables_text(char *const *tables, int count)
{
    struct buffer text = {0};

    for (int i = 0; i < count; i++)
        buffer_printf(&text, "%s%s", i > 0 ? ", " : "", tables[i]);
    return buffer_take(&text);
}

void
status_print_list(const struct status_list *list, FILE *out)
{
    fprintf(out, "%8s  %-24s %-11s %-9s %-20s  %s\n", "record", "job", "phase", "state", "started", "tables");
    for (int i = 0; i < list->count; i++) {
        const struct job_status *j = &list->jobs[i];
        char *tables = tables_text(j->tables, j->table_count);

        fprintf(out, "%8" PRId64 "  %-24s %-11s %-9s %-20s  %s\n", j->record, j->job, j->phase,
                j->ended     ? "ended"
                : j->running ? "running"
                             : "stopped",
                j->created_at, tables);
        free(tables);
    }
}

static void
print_rollback(const struct job_status *j, FILE *out)
{
    if (j->ended || j->swaps % 2 == 0)
        return;
    if (j->rollback_possible && j->window_over)
        fprintf(out, "  rollback     possible; the window ended at %s%s\n", j->window_ends_text,
                j->running ? "" : ", while no program ran: the original is kept until somebody drops it");
    else if (j->rollback_possible)
        fprintf(out, "  rollback     possible until %s\n",
                j->window_ends_text != NULL ? j->window_ends_text : "`finish`");
    else
        fprintf(out, "  rollback     not possible: %s\n", j->rollback_reason);
    for (int i = 0; i < j->blocked.count; i++)
        fprintf(out, "               key %s: %s\n", j->blocked.rows[i].key, j->blocked.rows[i].error);
    if (j->rollback_possible && j->rollback_reason != NULL)
        fprintf(out, "               the last try failed: %s\n", j->rollback_reason);
}

static void
print_next(const struct job_status *j, const char *connection, FILE *out)
{
    struct next_list next = {0};

    next_list_make(j, connection, &next);
    for (int i = 0; i < next.count; i++)
        fprintf(out, "  %-12s %s%s: %s\n", i == 0 ? "next" : "", i == 0 ? "" : "or, ", next.items[i].purpose,
                next.items[i].command);
    next_list_free(&next);
}

/* The process, where one runs the job, or the last one that did. */
static void
print_instance(const struct job_status *j, FILE *out)
{
    if (!j->ended)
        fprintf(out, "  program      process %d on host %s%s %s\n", j->pid, j->host,
                j->running ? ", since" : "; it has ended, started", j->instance_since);
}

char *
status_active_text(const struct job_status *j)
{
    bool reversed = j->swaps % 2 == 1;
    const char *other = reversed ? "original" : "new table", *s = j->table_count > 1 ? "s" : "";
    char *inactive = tables_text(j->inactive, j->inactive_count);
    struct buffer text = {0};

    buffer_printf(&text, "the %s%s %s active", reversed ? "new table" : "original", s,
                  *s != '\0' ? "are" : "is");
    if (j->ended && j->inactive_count > 0)
        buffer_printf(&text, "; the %s%s %s kept as %s", other, s, *s != '\0' ? "are" : "is", inactive);
    else if (j->ended)
        buffer_printf(&text, "; the %s%s %s dropped", other, s, *s != '\0' ? "are" : "is");
    free(inactive);
    return buffer_take(&text);
}

static void
print_active(const struct job_status *j, FILE *out)
{
    char *text = status_active_text(j);

    if (j->ended || j->swaps > 0)
        fprintf(out, "  tables       %s\n", text);
    free(text);
}

/* An array; empty: the job waits for nobody. */
static json_t *
waits_json(const struct job_status *j)
{
    json_t *list = j->waits != NULL ? json_loads(j->waits, 0, NULL) : NULL;

    return list != NULL ? list : json_array();
}

static void
print_waits(const struct job_status *j, FILE *out)
{
    json_t *list = waits_json(j), *wait;
    size_t i;

    json_array_foreach(list, i, wait)
    {
        const char *text = json_string_value(json_object_get(wait, "text"));
        const char *since = json_string_value(json_object_get(wait, "since"));

        fprintf(out, "  %-12s for %s, since %s\n", i == 0 ? "waits" : "", text != NULL ? text : "somebody",
                since != NULL ? since : "a moment");
    }
    json_decref(list);
}

void
status_print(const struct job_status *j, const char *connection, FILE *out)
{
    char text[32], lsn[LSN_TEXT_SIZE], *tables = tables_text(j->tables, j->table_count);

    fprintf(out, "job %s: %s (%s), table%s %s\n", j->job, j->phase,
            j->ended     ? "ended"
            : j->running ? "running"
                         : "no instance is running",
            j->table_count > 1 ? "s" : "", tables);
    free(tables);
    if (j->sql != NULL)
        fprintf(out, "  statements   %s\n", j->sql);
    fprintf(out, j->ended ? "  took         %s, from %s to %s\n" : "  age          %s, since %s\n",
            clock_format_duration(j->age_seconds, text), j->created_at, j->ended_at);
    print_instance(j, out);
    print_active(j, out);
    fprintf(out, "  copied       %" PRId64 " %s, %" PRId64 " of %" PRId64 " MB\n", j->rows_copied,
            count_word(j->rows_copied, "row", "rows"), j->bytes_copied / 1000000, j->bytes_total / 1000000);
    fprintf(out, "  changes      %" PRId64 " received, %" PRId64 " applied", j->changes_spooled,
            j->changes_applied);
    if (j->lag_bytes >= 0 && !j->ended)
        fprintf(out, ", lag %" PRId64 " kB", (j->lag_bytes + 999) / 1000);
    fputc('\n', out);
    print_waits(j, out);
    if (j->eta_seconds >= 0 && !j->ended)
        fprintf(out, "  time left    about %s in this phase\n", clock_format_duration(j->eta_seconds, text));
    if (j->verify_lsn != 0)
        fprintf(out, "  verified     %" PRId64 " %s at %s, %" PRId64 " %s, hash %s\n", j->verify_rows,
                count_word(j->verify_rows, "row", "rows"), lsn_format(j->verify_lsn, lsn),
                j->verify_mismatches, count_word(j->verify_mismatches, "differs", "differ"), j->verify_hash);
    if (j->lock_held_ms >= 0)
        fprintf(out, "  %-12s lock held %.1f ms, attempts %d\n",
                j->swaps > 0 && j->swaps % 2 == 0 ? "rollback" : "cutover", j->lock_held_ms,
                j->lock_attempts);
    if (j->wal_retained_bytes >= 0)
        fprintf(out, "  WAL held     %" PRId64 " MB by the replication slot\n",
                j->wal_retained_bytes / 1000000);
    if (j->held != NULL)
        fprintf(out, "  held         %s\n", j->held);
    else if (j->slot_lost != NULL)
        fprintf(out, "  lost         %s: the job cannot continue\n", j->slot_lost);
    if (j->error != NULL)
        fprintf(out, "  error        %s\n", j->error);
    if (j->failed_kind != NULL && !j->ended)
        fprintf(out, "  request      %s failed at %s: %s\n", j->failed_kind, j->failed_at, j->failed_message);
    for (int i = 0; i < j->object_count; i++)
        fprintf(out, "  %s%s %s%s\n", i == 0 ? "objects      " : "             ", j->objects[i].kind,
                j->objects[i].name, j->objects[i].exists ? "" : " (gone)");
    print_rollback(j, out);
    print_next(j, connection, out);
}

static json_t *
json_text(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

/* Negative: unknown. step: what is smaller than that is noise. */
static json_t *
json_number_or_null(double value, double step)
{
    return value < 0 ? json_null() : json_real((double)(int64_t)(value / step + 0.5) * step);
}

static json_t *
json_count_or_null(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
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
failed_request_json(const struct job_status *j)
{
    if (j->failed_kind == NULL)
        return json_null();
    return json_pack("{s:s, s:s?, s:s?}", "kind", j->failed_kind, "message", j->failed_message, "at",
                     j->failed_at);
}

static json_t *
tables_json(char *const *tables, int count)
{
    json_t *list = json_array();

    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_string(tables[i]));
    return list;
}

static json_t *
next_json(const struct job_status *j, const char *connection)
{
    json_t *list = json_array();
    struct next_list next = {0};

    next_list_make(j, connection, &next);
    for (int i = 0; i < next.count; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "command", next.items[i].command, "purpose",
                                              next.items[i].purpose));
    next_list_free(&next);
    return list;
}

static json_t *
instance_json(const struct job_status *j)
{
    return json_pack("{s:I, s:s, s:i, s:s}", "number", (json_int_t)j->instance, "host", j->host, "pid",
                     j->pid, "started_at", j->instance_since);
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

    for (int i = 0; i < j->blocked.count; i++)
        json_array_append_new(keys, json_string(j->blocked.rows[i].key));
    json_object_set_new(object, "possible", json_boolean(j->rollback_possible));
    json_object_set_new(object, "blocked_rows", json_integer(j->blocked_rows));
    json_object_set_new(object, "blocked_keys", keys);
    json_object_set_new(object, "reason", json_text(j->rollback_reason));
    return object;
}

/* null: nothing prevents a swap. */
static json_t *
held_json(const struct job_status *j)
{
    json_t *changes = j->held_changes != NULL ? json_loads(j->held_changes, 0, NULL) : NULL;

    if (j->held == NULL) {
        json_decref(changes);
        return json_null();
    }
    return json_pack("{s:s, s:b, s:o}", "reason", j->held, "for_good", (int)j->held_for_good, "changes",
                     changes != NULL ? changes : json_array());
}

static json_t *
job_json(const struct job_status *j, const char *connection)
{
    json_t *object = json_object();

    json_object_set_new(object, "job", json_text(j->job));
    json_object_set_new(object, "record", json_integer(j->record));
    json_object_set_new(object, "tables", tables_json(j->tables, j->table_count));
    json_object_set_new(object, "phase", json_text(j->phase));
    json_object_set_new(object, "running", json_boolean(j->running));
    json_object_set_new(object, "created_at", json_text(j->created_at));
    json_object_set_new(object, "ended_at", json_text(j->ended_at));
    json_object_set_new(object, "instance", instance_json(j));
    json_object_set_new(object, "active", json_string(j->swaps % 2 == 1 ? "new" : "original"));
    json_object_set_new(object, "inactive_tables", tables_json(j->inactive, j->inactive_count));
    json_object_set_new(object, "sql", json_text(j->sql));
    json_object_set_new(object, "age_seconds", json_number_or_null(j->age_seconds, 0.1));
    json_object_set_new(object, "rows_copied", json_integer(j->rows_copied));
    json_object_set_new(object, "rows_estimated", json_count_or_null(j->rows_estimated));
    json_object_set_new(object, "bytes_copied", json_integer(j->bytes_copied));
    json_object_set_new(object, "bytes_total", json_integer(j->bytes_total));
    json_object_set_new(object, "changes_spooled", json_integer(j->changes_spooled));
    json_object_set_new(object, "changes_applied", json_integer(j->changes_applied));
    json_object_set_new(object, "spool_bytes", json_integer(j->spool_bytes));
    json_object_set_new(object, "lag_bytes", json_count_or_null(j->ended ? -1 : j->lag_bytes));
    json_object_set_new(object, "lag_seconds", json_number_or_null(j->ended ? -1 : j->lag_seconds, 0.001));
    json_object_set_new(object, "throttled_by", json_text(j->throttled_by));
    json_object_set_new(object, "waits", waits_json(j));
    json_object_set_new(object, "eta_seconds", json_number_or_null(j->eta_seconds, 1));
    json_object_set_new(object, "lock_held_ms", json_number_or_null(j->lock_held_ms, 0.1));
    json_object_set_new(object, "lock_wait_ms", json_number_or_null(j->lock_wait_ms, 0.1));
    json_object_set_new(object, "lock_attempts", json_integer(j->lock_attempts));
    json_object_set_new(object, "wal_retained_bytes", json_count_or_null(j->wal_retained_bytes));
    json_object_set_new(object, "swaps", json_integer(j->swaps));
    json_object_set_new(object, "rollback", rollback_json(j));
    json_object_set_new(object, "window_ends_at", json_text(j->window_ends));
    json_object_set_new(object, "window_over", json_boolean(j->window_over));
    json_object_set_new(object, "verify", verify_json(j));
    json_object_set_new(object, "held", held_json(j));
    json_object_set_new(object, "slot_lost", json_text(j->slot_lost));
    json_object_set_new(object, "error", json_text(j->error));
    json_object_set_new(object, "failed_request", failed_request_json(j));
    json_object_set_new(object, "objects", objects_json(j));
    json_object_set_new(object, "next", next_json(j, connection));
    return object;
}

void
status_print_json(const struct status_list *list, const char *connection, FILE *out)
{
    json_t *array = json_array();

    for (int i = 0; i < list->count; i++)
        json_array_append_new(array, job_json(&list->jobs[i], connection));
    json_dumpf(array, out, JSON_INDENT(2) | JSON_REAL_PRECISION(12)); /* 7.2, not 7.2000000000000002 */
    fputc('\n', out);
    json_decref(array);
}
