/* The commands except decode: each is the list of its steps. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "control/print_status.h"
#include "core/clock.h"
#include "core/command.h"
#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/sqlstate.h"
#include "plan/partition_by.h"
#include "plan/placement.h"
#include "plan/plan.h"
#include "plan/target_file.h"
#include "state/earlier.h"

#define NO_JOBS "there are no jobs in this database"

static struct state_access
access_of(const struct cli_options *o)
{
    return (struct state_access){.connection = &o->connection, .owner = o->job.state_owner};
}

/* What the options of the plan point to. */
struct change {
    char *sql;
    char *ddl; /* of --partition-by */
    struct target_change target;
    struct string_list notes;
};

static void
change_clear(struct change *c)
{
    free(c->sql);
    free(c->ddl);
    list_free(&c->notes);
    target_change_clear(&c->target);
}

/* A job that has begun has its change already. */
static bool
refuse_resume(const char *option, const char *other, struct error *err)
{
    error_set(err, ERROR_USAGE, "%s does not go with %s", option, other);
    return error_hint(err, "A job that has begun is continued by its name, with `resume`.");
}

/* The options say what the table is to be, not what is to be changed. */
static bool
defines(const struct cli_options *o)
{
    return o->target != NULL || o->partition_by != NULL;
}

static const char *
defined_by(const struct cli_options *o)
{
    return o->target != NULL ? "--target" : "--partition-by";
}

/* A new file: one that exists may be a target that somebody has edited. */
static bool
write_target(const char *path, const char *ddl, struct error *err)
{
    FILE *file = fopen(path, "wx");
    bool ok = file != NULL && fputs(ddl, file) >= 0;

    ok = (file == NULL || fclose(file) == 0) && ok;
    return ok ? true : error_set(err, ERROR_USAGE, "cannot write \"%s\": %m", path);
}

/* The target of the short form. */
static bool
make_target(const struct cli_options *o, struct session *s, struct plan_options *plan, struct change *c,
            struct error *err)
{
    const struct partition_by by = {.table = o->table,
                                    .by = o->partition_by,
                                    .every = o->every,
                                    .from = o->from,
                                    .ahead = o->ahead,
                                    .rest = o->default_partition,
                                    .extend_key = o->extend_key,
                                    .options = plan};

    c->ddl = partition_by_target(s, &by, &c->notes, err);
    plan->notes = &c->notes;
    return c->ddl != NULL && (o->write_target == NULL || write_target(o->write_target, c->ddl, err));
}

/* c->sql is the text of the target file. Sets the options that make the target of the table. */
static bool
read_target(const struct cli_options *o, struct plan_options *plan, struct change *c, struct error *err)
{
    struct target_file file = {
        .table = o->table, .options = plan, .map_count = o->map_count, .maps = o->maps};
    struct session *s;
    bool ok;

    if (o->or_resume)
        return refuse_resume("--or-resume", defined_by(o), err);
    s = session_open(&o->connection, SESSION_SQL, "target", err);
    ok = s != NULL && (o->partition_by == NULL || make_target(o, s, plan, c, err));
    file.ddl = c->ddl != NULL ? c->ddl : c->sql;
    ok = ok && target_file_read(s, &file, &c->target, err);
    session_close(s);
    plan->sql = c->target.sql;
    plan->rebuild_table = c->target.sql == NULL ? o->table : NULL;
    plan->layout = c->target.layout;
    plan->layout_code = &c->target.layout_code;
    return ok;
}

/* The statements, or the rebuild, become statements that move the tables too. */
static bool
read_placement(const struct cli_options *o, struct plan_options *plan, char **sql, struct error *err)
{
    struct placement placement = {.tablespace = o->tablespace, .indexes = o->index_tablespace};
    struct session *s;
    char *statements;

    if (placement.tablespace == NULL && placement.indexes == NULL)
        return true;
    s = session_open(&o->connection, SESSION_SQL, "placement", err);
    statements = s != NULL ? placement_statements(s, &placement, plan, err) : NULL;
    session_close(s);
    if (statements == NULL)
        return false;
    free(*sql);
    plan->sql = *sql = statements;
    plan->rebuild_table = NULL;
    return true;
}

/* Options that belong to --partition-by, and what it needs. */
static bool
check_partition_by(const struct cli_options *o, struct error *err)
{
    const char *alone = o->every != NULL          ? "--every"
                        : o->from != NULL         ? "--from"
                        : o->default_partition    ? "--default"
                        : o->extend_key           ? "--extend-key"
                        : o->write_target != NULL ? "--write-target"
                                                  : NULL;

    if (o->partition_by == NULL)
        return alone == NULL ? true : error_set(err, ERROR_USAGE, "%s goes with --partition-by", alone);
    if (o->every != NULL)
        return true;
    error_set(err, ERROR_USAGE, "--partition-by needs --every");
    return error_hint(err, "For example: --partition-by 'range (created_at)' --every '1 month'");
}

/*
 * Completes the options with the change to make, in the form that plan and run take. The caller clears *c.
 */
static bool
read_change(const struct cli_options *o, struct plan_options *plan, struct change *c, struct error *err)
{
    int ways =
        (o->sql != NULL) + (o->file != NULL) + o->rebuild + (o->target != NULL) + (o->partition_by != NULL);

    *c = (struct change){0};
    plan->rollback = o->job.window_s != 0;
    if (plan->reverse_map_count > 0 && !plan->rollback)
        return error_set(err, ERROR_USAGE, "--reverse-map is of no use with --rollback-window=0");
    if (ways != 1) {
        error_set(err, ERROR_USAGE,
                  "say what to change: one of --sql, -f, --rebuild, --target or --partition-by");
        return error_hint(
            err, "For example: " COMMAND_PLAIN("plan") " --sql 'ALTER TABLE t ALTER COLUMN id TYPE bigint'");
    }
    if ((o->rebuild || defines(o)) != (o->table != NULL))
        return o->table != NULL
                   ? error_set(err, ERROR_USAGE, "-t goes with --rebuild, --target or --partition-by")
                   : error_set(err, ERROR_USAGE, "%s needs -t TABLE",
                               o->rebuild ? "--rebuild" : defined_by(o));
    if (!check_partition_by(o, err))
        return false;
    if (plan->where != NULL && o->or_resume)
        return refuse_resume("--where", "--or-resume", err);
    if (plan->pack_columns && o->or_resume)
        return refuse_resume("--pack-columns", "--or-resume", err);
    if (plan->pack_columns && defines(o)) {
        error_set(err, ERROR_USAGE, "--pack-columns does not go with %s", defined_by(o));
        return error_hint(err, "Pack the columns in a job of its own, with --rebuild.");
    }
    if (o->map_count > 0 && o->target == NULL)
        return error_set(err, ERROR_USAGE, "--map goes with --target");
    if (defines(o) && (o->tablespace != NULL || o->index_tablespace != NULL)) {
        error_set(err, ERROR_USAGE, "--tablespace and --index-tablespace do not go with %s", defined_by(o));
        return error_hint(err, "Move the table in a job of its own, with --rebuild.");
    }
    if (o->rebuild) {
        plan->rebuild_table = o->table;
        return read_placement(o, plan, &c->sql, err);
    }
    if (o->partition_by != NULL)
        return read_target(o, plan, c, err);
    c->sql = cli_sql(o);
    if (o->target != NULL)
        return read_target(o, plan, c, err);
    plan->sql = c->sql;
    return read_placement(o, plan, &c->sql, err);
}

bool
command_plan(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);
    enum state_presence presence;
    struct session *s = NULL;
    struct plan_options change = o->job.plan;
    struct plan_set *plans = NULL;
    int jobs = 1;
    char *spool = NULL;
    struct change read;
    struct error no_spool = {0}; /* reported after the plan */
    bool enough;

    if (!read_change(o, &change, &read, err))
        goto out;
    change.sample = true;
    s = state_open(&access, "plan", &presence, err); /* a role that may not enter a job gets the error here */
    if (s == NULL)
        goto out;
    change.kept_by = presence == STATE_CURRENT ? earlier_kept_by : NULL;
    plans = plan_set_make(s, &change, err);
    if (plans == NULL)
        goto out;
    job_spool_space(s, plans, &o->job, &spool, &enough, &no_spool);
    if (read.ddl != NULL)
        printf("The target\n%s\n", read.ddl);
    plan_set_print(plans, &change, spool, stdout);
    fflush(stdout);
    if (job_check_server(s, &o->connection, &jobs, err) && job_check_locks(s, plans, err) &&
        no_spool.message != NULL)
        error_move(err, &no_spool);
out:
    error_clear(&no_spool);
    session_close(s);
    free(spool);
    change_clear(&read);
    plan_set_free(plans);
    return err->message == NULL;
}

static void
print_verified(const struct job_report *r, const char *why_not)
{
    char lsn[LSN_TEXT_SIZE];

    if (r->verified)
        printf("  verified  %" PRId64 " %s equal at %s, hash %s\n", r->rows_verified,
               count_word(r->rows_verified, "row", "rows"), lsn_format(r->verify_lsn, lsn), r->hash);
    else if (why_not != NULL)
        printf("  verified  no (%s)\n", why_not);
}

static void
command_print_swap(const struct job_report *r, const char *what)
{
    if (r->swapped)
        printf("  %-9s lock held %.1f ms, waited for %.1f ms, attempts %d\n", what, r->lock_held_ms,
               r->lock_wait_ms, r->cutover_attempts);
}

/* Print a line that has a command: format with the name of the job, then the options of the connection. */
static void
print_command(const struct cli_options *o, const char *format, const char *name)
{
    char *marked = mem_printf(format, name), *text = command_expand(marked, o->connection_text);

    puts(text);
    free(text);
    free(marked);
}

static void
print_report(const struct cli_options *o, const struct job_report *r, bool verify)
{
    static const char *const ends[] = {"done: the new table is active",
                                       "rolled back and done: the original is active", "left as it stands"};
    char text[32];

    if (r->before) {
        printf("job %s has finished before (%s): nothing was done\n", r->name,
               r->outcome == JOB_UNDONE ? "it was rolled back: the original is active"
                                        : "the new table is active");
        return;
    }
    printf("job %s is %s, after %s\n", r->name, ends[r->outcome], clock_format_duration(r->seconds, text));
    if (r->rows > 0)
        printf("  copied    %" PRId64 " %s, %.0f rows/s over the whole job\n", r->rows,
               count_word(r->rows, "row", "rows"), r->seconds > 0 ? (double)r->rows / r->seconds : 0);
    printf("  applied   %" PRIu64 " %s that came meanwhile\n", r->changes_applied,
           count_word((int64_t)r->changes_applied, "change", "changes"));
    print_verified(r, verify ? NULL : "--no-verify");
    command_print_swap(r, "swapped");
    if (r->outcome == JOB_LEFT && r->reversed)
        printf("  rollback  possible until %s\n", r->window_ends != NULL ? r->window_ends : "`finish`");
    if (r->outcome == JOB_LEFT)
        print_command(o, "  next      " COMMAND("resume"), r->name);
}

/* Of --if-needed: what the user can do instead, with the same connection. */
static void
print_not_needed(const struct cli_options *o, const char *sql, const char *verdicts)
{
    bool file = o->file != NULL && strcmp(o->file, "-") != 0;
    struct buffer text = {0};

    connection_add_options(&o->connection, &text);
    command_add_option(&text, file ? "-f" : "-c", file ? o->file : sql);
    printf("nothing was done: PostgreSQL makes this change without a rewrite and without a long lock\n%s"
           "  next      PGOPTIONS='-c lock_timeout=2s' psql%s\n",
           verdicts, text.data);
    buffer_free(&text);
}

bool
command_run(const struct cli_options *o, struct error *err)
{
    struct job_options job = o->job;
    struct job_report report = {0};
    struct change change;
    bool ok = read_change(o, &job.plan, &change, err) &&
              (o->or_resume ? job_run_or_resume(&job, &report, err) : job_run(&job, &report, err));

    if (ok && report.not_needed != NULL)
        print_not_needed(o, job.plan.sql, report.not_needed);
    else if (ok)
        print_report(o, &report, job.verify);
    job_report_clear(&report);
    change_clear(&change);
    return ok;
}

/* Before a table is dropped, a person is asked. A program has to allow it with an option. */
static bool
confirm_drop(const struct cli_options *o, const struct error *why)
{
    char answer[16] = "", *hint;

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return false;
    hint = command_expand(why->hint, o->connection_text);
    fprintf(stderr,
            "%s.\n%s %s\nDrop now? Type \"drop\", or anything else to leave all as it is: ", why->message,
            why->detail, hint);
    free(hint);
    return fgets(answer, sizeof(answer), stdin) != NULL && strcmp(answer, "drop\n") == 0;
}

bool
command_resume(const struct cli_options *o, struct error *err)
{
    struct job_options job = o->job;
    struct job_report report = {0};
    bool ok = job_resume(&job, &report, err);

    if (!ok && strcmp(err->sqlstate, JOB_WINDOW_OVER) == 0 && confirm_drop(o, err)) {
        error_clear(err);
        job_report_clear(&report);
        job.finish_now = true;
        ok = job_resume(&job, &report, err);
    }
    if (ok)
        print_report(o, &report, true);
    job_report_clear(&report);
    return ok;
}

bool
command_rollback(const struct cli_options *o, struct error *err)
{
    struct job_report report = {0};
    bool running, ok = job_rollback(&o->job, &running, &report, err);

    if (ok) {
        printf("rolled back: the original is active; lock held %.1f ms, attempts %d\n", report.lock_held_ms,
               report.cutover_attempts);
        print_command(
            o,
            running ? "  next      to cut over again: " COMMAND("cutover --wait")
                    : "  next      to keep the new table in sync, and cut over again: " COMMAND("resume"),
            o->job.name);
        print_command(o, "            or, to keep the original and drop the new table: " COMMAND("finish"),
                      o->job.name);
    }
    job_report_clear(&report);
    return ok;
}

static bool
show_status(const struct cli_options *o, struct session *s, enum state_presence presence, bool *ended,
            struct error *err)
{
    struct status_list list;
    struct status_query query = {.name = o->job.name, .record = o->record};

    if (!status_read(s, presence, &query, &list, err))
        return false;
    *ended = true;
    for (int i = 0; i < list.count; i++)
        *ended = *ended && list.jobs[i].ended;
    if (o->json)
        status_print_json(&list, o->connection_text, stdout);
    for (int i = 0; i < list.count && !o->json; i++)
        status_print(&list.jobs[i], o->connection_text, stdout);
    if (list.count == 0 && !o->json)
        puts(NO_JOBS);
    fflush(stdout);
    status_list_free(&list);
    return true;
}

/* Objects that no job's ledger has are listed too. */
static bool
warn_of_orphans(struct session *s, enum state_presence presence, struct error *err)
{
    struct orphan_list list;

    if (!orphans_read(s, presence, NULL, &list, err))
        return false;
    for (int i = 0; i < list.count; i++)
        log_warning("no job knows %s %s; remove it with: %s", list.items[i].kind, list.items[i].name,
                    list.items[i].remove);
    orphan_list_free(&list);
    return true;
}

/* A number alone might be the one of another job than the user means. */
static bool
record_has_job(const struct cli_options *o, struct error *err)
{
    return o->record == 0 || o->job.name != NULL ||
           error_set(err, ERROR_USAGE, "--record needs the name of the job");
}

bool
command_status(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);
    enum state_presence presence;
    struct session *s = record_has_job(o, err) ? state_open(&access, "status", &presence, err) : NULL;
    bool ended = false, ok = s != NULL && (o->job.name != NULL || warn_of_orphans(s, presence, err));

    while (ok) {
        if (o->watch && !o->json && isatty(STDOUT_FILENO))
            fputs("\033[H\033[J", stdout);
        ok = show_status(o, s, presence, &ended, err);
        if (!o->watch || ended || ferror(stdout) || !clock_sleep(1000))
            break;
    }
    session_close(s);
    return ok;
}

/* Without --all the jobs that have not ended. */
static void
jobs_leave_open(struct status_list *list)
{
    int count = list->count;

    list->count = 0;
    for (int i = 0; i < count; i++) {
        if (list->jobs[i].ended)
            job_status_clear(&list->jobs[i]);
        else
            list->jobs[list->count++] = list->jobs[i];
    }
}

static void
print_no_jobs(const struct cli_options *o, bool records)
{
    char *text = command_expand(
        records ? "no job is under way in this database; to list those that have ended: " COMMAND_PLAIN(
                      "jobs --all")
                : NO_JOBS,
        o->connection_text);

    puts(text);
    free(text);
}

bool
command_jobs(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);
    struct status_query query = {.all = true};
    enum state_presence presence;
    struct session *s = state_open(&access, "status", &presence, err);
    struct status_list list = {0};
    bool ok = s != NULL && warn_of_orphans(s, presence, err) && status_read(s, presence, &query, &list, err);
    bool records = list.count > 0;

    if (!o->all)
        jobs_leave_open(&list);
    if (ok && o->json)
        status_print_json(&list, o->connection_text, stdout);
    else if (ok && list.count > 0)
        status_print_list(&list, stdout);
    else if (ok)
        print_no_jobs(o, records);
    status_list_free(&list);
    session_close(s);
    return ok;
}

bool
command_forget(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);
    enum state_presence presence;
    struct session *s = state_open(&access, "control", &presence, err);
    int64_t count = 0;
    bool ok = s != NULL && (presence == STATE_CURRENT || status_refuse_absent(presence, o->job.name, err)) &&
              job_state_forget(s, o->job.name, o->record, &count, err);

    if (ok)
        printf("%" PRId64 " %s of job %s removed\n", count, count_word(count, "record", "records"),
               o->job.name);
    session_close(s);
    return ok;
}

bool
command_cutover(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);
    struct job_report report = {0};
    bool ok = job_request_cutover(&access, o->job.name, o->wait, &report, err);

    if (ok && o->wait)
        printf("cut over: the new table is active; lock held %.1f ms, attempts %d\n", report.lock_held_ms,
               report.cutover_attempts);
    if (ok && o->wait && report.reversed)
        printf("  rollback  possible until %s\n",
               report.window_ends != NULL ? report.window_ends : "`finish`");
    if (ok && o->wait && report.reversed)
        print_command(o, "  next      to go back to the original: " COMMAND("rollback"), o->job.name);
    job_report_clear(&report);
    return ok;
}

bool
command_verify(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);
    struct state_verification v = {0};
    char lsn[LSN_TEXT_SIZE];

    bool ok = job_request_verify(&access, o->job.name, &v, err);

    if (v.lsn == 0) /* without figures */
        return ok;
    lsn_format(v.lsn, lsn);
    if (o->json)
        printf("{\"lsn\": \"%s\", \"rows\": %" PRId64 ", \"mismatches\": %" PRId64 ", \"hash\": \"%s\"}\n",
               lsn, v.rows, v.mismatches, v.hash);
    else
        printf("%" PRId64 " %s compared at %s, %" PRId64 " %s, hash %s\n", v.rows,
               count_word(v.rows, "row", "rows"), lsn, v.mismatches,
               count_word(v.mismatches, "differs", "differ"), v.hash);
    return ok;
}

bool
command_finish(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);

    return job_finish(&access, o->job.name, o->job.keep_original, err);
}

bool
command_abort(const struct cli_options *o, struct error *err)
{
    struct state_access access = access_of(o);

    return job_abort(&access, o->job.name, err);
}

bool
command_completion(const struct cli_options *o, struct error *err)
{
    (void)err;
    cli_print_completion(o->shell, stdout);
    return true;
}
