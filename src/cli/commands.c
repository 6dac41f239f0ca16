/* The commands but decode: each reads as its steps. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/status.h"
#include "core/clock.h"
#include "core/mem.h"
#include "ddl/plan.h"

/* What to change, as plan and run take it. *sql is the caller's to free. */
static bool
read_change(const struct cli_options *o, struct plan_options *plan, char **sql, struct error *err)
{
    int ways = (o->sql != NULL) + (o->file != NULL) + o->rebuild;

    *sql = NULL;
    memset(plan, 0, sizeof(*plan));
    if (ways != 1) {
        error_set(err, ERROR_USAGE, "say what to change: one of --sql, -f or --rebuild");
        return error_hint(err,
                          "For example: pgrecast plan --sql 'ALTER TABLE t ALTER COLUMN id TYPE bigint'");
    }
    if (o->rebuild != (o->table != NULL))
        return error_set(err, ERROR_USAGE,
                         o->rebuild ? "--rebuild needs -t TABLE" : "-t goes with --rebuild");
    if (o->rebuild) {
        plan->rebuild_table = o->table;
        return true;
    }
    *sql = cli_read_sql(o, err);
    plan->sql = *sql;
    return *sql != NULL;
}

bool
command_plan(const struct cli_options *o, struct error *err)
{
    struct session *s = NULL;
    struct plan_options change;
    struct plan *plan = NULL;
    char *sql;

    if (!read_change(o, &change, &sql, err))
        goto out;
    s = session_open(&o->connection, SESSION_SQL, "plan", err);
    if (s == NULL)
        goto out;
    plan = plan_make(s, &change, err);
    if (plan == NULL)
        goto out;
    plan_print(plan, stdout);
    fflush(stdout);
    if (!job_check_server(s, &o->connection, err)) {
        plan_free(plan);
        plan = NULL;
    }
out:
    session_close(s);
    free(sql);
    plan_free(plan);
    return err->message == NULL;
}

static void
print_report(const struct job_report *r)
{
    char text[32], lsn[LSN_TEXT_SIZE];

    printf("job %s is done in %s\n", r->name, clock_format_duration(r->seconds, text));
    printf("  copied    %" PRId64 " rows, %.0f rows/s over the whole job\n", r->rows,
           r->seconds > 0 ? (double)r->rows / r->seconds : 0);
    printf("  applied   %" PRIu64 " changes that came meanwhile\n", r->changes_applied);
    if (r->verified)
        printf("  verified  %" PRId64 " rows equal at %s, hash %s\n", r->rows_verified,
               lsn_format(r->verify_lsn, lsn), r->hash);
    else
        printf("  verified  no (--no-verify)\n");
    printf("  cut over  lock held %.1f ms, waited for %.1f ms, attempts %d\n", r->lock_held_ms,
           r->lock_wait_ms, r->cutover_attempts);
}

static enum progress_style
parse_progress(const char *text)
{
    static const char *const names[] = {"auto", "bar", "line", "none"};

    for (int i = 0; text != NULL && i < 4; i++) {
        if (strcmp(names[i], text) == 0)
            return (enum progress_style)i;
    }
    return PROGRESS_AUTO;
}

bool
command_run(const struct cli_options *o, struct error *err)
{
    struct job_options job = {
        .connection = &o->connection,
        .name = o->job,
        .workers = o->workers,
        .chunk_bytes = o->chunk_bytes,
        .lock_timeout_ms = o->lock_timeout_ms,
        .cutover_attempts = o->cutover_attempts,
        .hold = o->hold,
        .verify = !o->no_verify,
        .keep_original = o->keep_original,
        .start_timeout_s = o->start_timeout_s,
        .spool_directory = o->spool_directory,
        .progress = parse_progress(o->progress),
    };
    struct job_report report = {0};
    char *sql;
    bool ok = read_change(o, &job.plan, &sql, err) && job_run(&job, &report, err);

    if (ok)
        print_report(&report);
    job_report_clear(&report);
    free(sql);
    return ok;
}

static bool
show_status(const struct cli_options *o, struct session *s, bool *ended, struct error *err)
{
    struct status_list list;

    if (!status_read(s, o->job, &list, err))
        return false;
    *ended = true;
    for (int i = 0; i < list.count; i++)
        *ended = *ended && list.jobs[i].ended;
    if (o->json)
        status_print_json(&list, stdout);
    for (int i = 0; i < list.count && !o->json; i++)
        status_print(&list.jobs[i], stdout);
    if (list.count == 0 && !o->json)
        puts("there are no jobs in this database");
    fflush(stdout);
    status_list_free(&list);
    return true;
}

bool
command_status(const struct cli_options *o, struct error *err)
{
    struct session *s = session_open(&o->connection, SESSION_SQL, "status", err);
    bool ended = false, ok = s != NULL;

    while (ok) {
        if (o->watch && !o->json && isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout);
        ok = show_status(o, s, &ended, err);
        if (!o->watch || ended || !clock_sleep(1000))
            break;
    }
    session_close(s);
    return ok;
}

bool
command_jobs(const struct cli_options *o, struct error *err)
{
    struct session *s = session_open(&o->connection, SESSION_SQL, "status", err);
    struct status_list list = {0};
    bool ok = s != NULL && status_read(s, NULL, &list, err);

    if (ok && o->json)
        status_print_json(&list, stdout);
    for (int i = 0; ok && !o->json && i < list.count; i++)
        status_print_line(&list.jobs[i], stdout);
    if (ok && list.count == 0 && !o->json)
        puts("there are no jobs in this database");
    status_list_free(&list);
    session_close(s);
    return ok;
}

bool
command_cutover(const struct cli_options *o, struct error *err)
{
    return job_request_cutover(&o->connection, o->job, err);
}

bool
command_verify(const struct cli_options *o, struct error *err)
{
    struct job_verification v = {0};
    char lsn[LSN_TEXT_SIZE];

    if (!job_request_verify(&o->connection, o->job, &v, err))
        return false;
    lsn_format(v.lsn, lsn);
    if (o->json)
        printf("{\"lsn\": \"%s\", \"rows\": %" PRId64 ", \"mismatches\": %" PRId64 ", \"hash\": \"%s\"}\n",
               lsn, v.rows, v.mismatches, v.hash);
    else
        printf("%" PRId64 " rows compared at %s, %" PRId64 " differ, hash %s\n", v.rows, lsn, v.mismatches,
               v.hash);
    return true;
}

bool
command_finish(const struct cli_options *o, struct error *err)
{
    return job_finish(&o->connection, o->job, o->keep_original, err);
}

bool
command_abort(const struct cli_options *o, struct error *err)
{
    return job_abort(&o->connection, o->job, err);
}
