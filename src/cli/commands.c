/* The commands but decode: each reads as its steps. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/status.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "ddl/plan.h"

/* What to change, as plan and run take it. *sql is the caller's to free. */
static bool
read_change(const struct cli_options *o, struct plan_options *plan, char **sql, struct error *err)
{
    int ways = (o->sql != NULL) + (o->file != NULL) + o->rebuild;

    *sql = NULL;
    memset(plan, 0, sizeof(*plan));
    plan->way_back = o->window_s != 0;
    plan->reverse_map_count = o->reverse_map_count;
    plan->reverse_maps = (const char *const *)o->reverse_maps;
    plan->rebuild_invalid = o->rebuild_invalid;
    plan->accept_published = o->accept_published;
    if (o->reverse_map_count > 0 && !plan->way_back)
        return error_set(err, ERROR_USAGE, "--reverse-map is of no use with --rollback-window=0");
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
    struct plan_set *plans = NULL;
    char *sql;

    if (!read_change(o, &change, &sql, err))
        goto out;
    s = session_open(&o->connection, SESSION_SQL, "plan", err);
    if (s == NULL)
        goto out;
    plans = plan_set_make(s, &change, err);
    if (plans == NULL)
        goto out;
    plan_set_print(plans, stdout);
    fflush(stdout);
    job_check_server(s, &o->connection, err);
out:
    session_close(s);
    free(sql);
    plan_set_free(plans);
    return err->message == NULL;
}

static void
print_verified(const struct job_report *r, const char *why_not)
{
    char lsn[LSN_TEXT_SIZE];

    if (r->verified)
        printf("  verified  %" PRId64 " rows equal at %s, hash %s\n", r->rows_verified,
               lsn_format(r->verify_lsn, lsn), r->hash);
    else if (why_not != NULL)
        printf("  verified  no (%s)\n", why_not);
}

static void
print_swap(const struct job_report *r, const char *what)
{
    if (r->swapped)
        printf("  %-9s lock held %.1f ms, waited for %.1f ms, attempts %d\n", what, r->lock_held_ms,
               r->lock_wait_ms, r->cutover_attempts);
}

static void
print_report(const struct job_report *r, bool verify)
{
    static const char *const ends[] = {"done", "rolled back and done: the original serves",
                                       "left as it stands"};
    char text[32];

    printf("job %s is %s, after %s\n", r->name, ends[r->outcome], clock_format_duration(r->seconds, text));
    if (r->rows > 0)
        printf("  copied    %" PRId64 " rows, %.0f rows/s over the whole job\n", r->rows,
               r->seconds > 0 ? (double)r->rows / r->seconds : 0);
    printf("  applied   %" PRIu64 " changes that came meanwhile\n", r->changes_applied);
    print_verified(r, verify ? NULL : "--no-verify");
    print_swap(r, "swapped");
    if (r->outcome == JOB_LEFT)
        printf("  next      pgrecast resume %s\n", r->name);
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

static enum job_exit
parse_exit(const char *text)
{
    if (text == NULL)
        return EXIT_AT_END;
    return strcmp(text, "sync") == 0 ? EXIT_IN_SYNC : EXIT_CUT_OVER;
}

static struct job_options
job_options_of(const struct cli_options *o)
{
    return (struct job_options){
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
        .window_s = o->window_s,
        .exit = parse_exit(o->exit_after),
        .reconnect_s = o->reconnect_s,
        .spool_directory = o->spool_directory,
        .progress = parse_progress(o->progress),
    };
}

bool
command_run(const struct cli_options *o, struct error *err)
{
    struct job_options job = job_options_of(o);
    struct job_report report = {0};
    char *sql;
    bool ok = read_change(o, &job.plan, &sql, err) && job_run(&job, &report, err);

    if (ok)
        print_report(&report, job.verify);
    job_report_clear(&report);
    free(sql);
    return ok;
}

bool
command_resume(const struct cli_options *o, struct error *err)
{
    struct job_options job = job_options_of(o);
    struct job_report report = {0};
    bool ok = job_resume(&job, &report, err);

    if (ok)
        print_report(&report, true);
    job_report_clear(&report);
    return ok;
}

bool
command_rollback(const struct cli_options *o, struct error *err)
{
    struct job_options job = job_options_of(o);
    struct job_report report = {0};
    bool done = false, ok;

    job.plan.reverse_map_count = o->reverse_map_count;
    job.plan.reverse_maps = (const char *const *)o->reverse_maps;
    ok = job_request_rollback(&job, &done, &report, err);
    if (ok && !done)
        ok = job_rollback(&job, &report, err);
    if (ok)
        printf("rolled back: the original serves; lock held %.1f ms, attempts %d\n"
               "  next      pgrecast finish %s, or cut over again with: pgrecast %s %s\n",
               report.lock_held_ms, report.cutover_attempts, o->job, done ? "cutover" : "resume", o->job);
    job_report_clear(&report);
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

/* What no job knows of any more is named all the same. */
static bool
warn_of_orphans(struct session *s, struct error *err)
{
    struct orphan_list list;

    if (!orphans_read(s, NULL, &list, err))
        return false;
    for (int i = 0; i < list.count; i++)
        log_warning("no job knows %s %s; remove it with: %s", list.items[i].kind, list.items[i].name,
                    list.items[i].undo);
    orphan_list_free(&list);
    return true;
}

bool
command_status(const struct cli_options *o, struct error *err)
{
    struct session *s = session_open(&o->connection, SESSION_SQL, "status", err);
    bool ended = false, ok = s != NULL && (o->job != NULL || warn_of_orphans(s, err));

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
    bool ok = s != NULL && warn_of_orphans(s, err) && status_read(s, NULL, &list, err);

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
