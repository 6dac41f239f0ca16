/* The options of a job: the table of them, and the JSON of those that are stored with it. */
#include <jansson.h>
#include <unistd.h>

#include "core/mem.h"
#include "options.h"

#define DAY_S INT64_C(86400)

static const char *const cutover_words[] = {"auto", "hold", NULL};
static const char *const invalid_index_words[] = {"refuse", "rebuild", NULL};
static const char *const published_words[] = {"refuse", "accept", NULL};
static const char *const exit_words[] = {"sync", "cutover", NULL};
static const char *const progress_words[] = {"auto", "bar", "line", "none", NULL};

/* One for each processor, within limits. */
static int64_t
find_workers(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 2 ? 2 : cores > 8 ? 8 : cores;
}

#define TO(member) FIELD(struct job_options, member)

/* clang-format off */
/* In the order in which the help shows them. */
static const struct option_spec job_option_specs[] = {
    {.name = "job", .kind = OPTION_NAME, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(name), .most = 63,
     .standard_words = "the first table's name, with its schema unless the search_path has that", .help = "name of the job"},
    {.name = "jobs", .kind = OPTION_COUNT, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(workers), .stored = true,
     .least = 1, .most = 64, .find_standard = find_workers,
     .standard_words = "the number of processors, 2 to 8", .help = "parallel sessions"},
    {.name = "chunk-size", .kind = OPTION_SIZE, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(chunk_bytes), .stored = true,
     .least = 8192, .most = INT64_C(1) << 30, .standard = 8 << 20,
     .help = "bytes that a transaction of the copy reads at first; it adapts"},
    {.name = "no-verify", .kind = OPTION_FLAG, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(verify), .stored = true,
     .standard = true, .help = "do not compare the two tables before the cutover"},
    {.name = "cutover", .kind = OPTION_CHOICE, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(hold), .stored = true,
     .choices = cutover_words, .help = "hold: stay in sync until `pgrecast cutover JOB`"},
    {.name = "lock-timeout", .kind = OPTION_MS, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(lock_timeout_ms),
     .stored = true, .least = 1, .most = 60000, .standard = 100,
     .help = "longest wait for the lock of the cutover"},
    {.name = "cutover-attempts", .kind = OPTION_COUNT, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(cutover_attempts),
     .stored = true, .least = 1, .most = 1000000, .standard = 60, .help = "number of attempts to get that lock"},
    {.name = "rollback-window", .kind = OPTION_SECONDS, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(window_s),
     .stored = true, .least = 0, .most = 366 * DAY_S, .standard = WINDOW_UNTIL_FINISH,
     .standard_words = "until `finish`",
     .help = "how long a rollback is possible after the cutover; 0: not at all, the job ends with the cutover"},
    {.name = "reverse-map", .kind = OPTION_TEXTS, .in_file = true, .commands = FOR_PLAN | FOR_RUN,
     .to = FIELD_LIST(struct job_options, plan.reverse_maps, plan.reverse_map_count, NULL),
     .metavar = "'COLUMN=EXPRESSION'",
     .help = "what a column of the original gets from the new table's row, where the change has no inverse; "
             "may be repeated"},
    {.name = "reverse-map", .kind = OPTION_TEXTS, .commands = FOR_ROLLBACK,
     .to = FIELD_LIST(struct job_options, plan.reverse_maps, plan.reverse_map_count, NULL),
     .metavar = "'COLUMN=EXPRESSION'",
     .help = "what a column of the original gets from the new table's row, for rows that the original cannot "
             "hold otherwise, and for all later ones; may be repeated"},
    {.name = "invalid-indexes", .kind = OPTION_CHOICE, .commands = FOR_PLAN | FOR_RUN,
     .to = TO(plan.rebuild_invalid), .choices = invalid_index_words,
     .help = "what to do with an index that is invalid"},
    {.name = "published", .kind = OPTION_CHOICE, .commands = FOR_PLAN | FOR_RUN,
     .to = TO(plan.accept_published), .choices = published_words,
     .help = "accept that subscribers of a publication of all tables, or of the schema, get the working tables "
             "too"},
    {.name = "trust-owner", .kind = OPTION_TEXTS, .commands = FOR_PLAN | FOR_RUN | FOR_RESUME | FOR_ROLLBACK,
     .to = FIELD_LIST(struct job_options, plan.trusted, plan.trusted_count, NULL), .metavar = "ROLE",
     .help = "a role whose functions on the tables may run with all rights of the session's; may be repeated"},
    {.name = "history-table", .kind = OPTION_TEXTS, .in_file = true, .commands = FOR_PLAN | FOR_RUN,
     .to = FIELD_LIST(struct job_options, plan.history_tables, plan.history_table_count, NULL), .metavar = "TABLE",
     .help = "a table in which a migration tool notes its migrations: its rows that the SQL changes are changed in the "
             "cutover's transaction; those of common tools are known; may be repeated"},
    {.name = "widen-sequences", .kind = OPTION_FLAG, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(plan.widen_sequences),
     .help = "a sequence that a column owns gets the column's new type too, where that is wider"},
    {.name = "where", .kind = OPTION_TEXT, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(plan.where),
     .metavar = "EXPRESSION",
     .help = "keep only the rows of the table for which this is true; needs --rollback-window=0"},
    {.name = "pack-columns", .kind = OPTION_FLAG, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(plan.pack_columns),
     .help = "order the columns of the new table by their alignment, so that rows waste no room between them"},
    {.name = "disk-free", .kind = OPTION_SIZE, .commands = FOR_PLAN | FOR_RUN, .to = TO(plan.disk_free),
     .least = 1, .most = INT64_C(1) << 60, .standard_words = "not compared",
     .help = "how much is free on the server's disk, which a client cannot read: refuse what needs more"},
    {.name = "recompute-generated", .kind = OPTION_FLAG, .in_file = true, .commands = FOR_PLAN | FOR_RUN,
     .to = TO(plan.recompute_generated),
     .help = "stored generated columns may get other values than they hold, where the expression gives others now"},
    {.name = "exit-after", .kind = OPTION_CHOICE, .commands = FOR_PLAN | FOR_RUN | FOR_RESUME, .to = TO(exit), .stored = true,
     .choices = exit_words, .least = EXIT_IN_SYNC, .standard = EXIT_AT_END,
     .help = "end the program in sync, or after the cutover; continue with `pgrecast resume JOB`"},
    {.name = "if-needed", .kind = OPTION_FLAG, .commands = FOR_PLAN | FOR_RUN, .to = TO(if_needed),
     .help = "exit 0, with nothing done, if PostgreSQL makes the change without a rewrite and without a long "
             "lock; says how to run it"},
    {.name = "keep-original", .kind = OPTION_FLAG, .in_file = true, .commands = FOR_PLAN | FOR_RUN | FOR_FINISH, .to = TO(keep_original),
     .stored = true, .help = "keep the original as TABLE_pgrecast_old"},
    {.name = "finish-now", .kind = OPTION_FLAG, .commands = FOR_RESUME, .to = TO(finish_now),
     .help = "drop the inactive table if the rollback window ended while no program ran the job"},
    {.name = "reconnect-timeout", .kind = OPTION_SECONDS, .commands = FOR_PLAN | FOR_RUN | FOR_RESUME,
     .to = TO(reconnect_s), .least = 0, .most = 7 * DAY_S, .standard = 600,
     .help = "how long to try again when the server is away"},
    {.name = "start-timeout", .kind = OPTION_SECONDS, .in_file = true, .commands = FOR_PLAN | FOR_RUN, .to = TO(start_timeout_s),
     .stored = true, .least = 1, .most = 7 * DAY_S, .standard = 600,
     .help = "longest wait for transactions that are open at the start"},
    {.name = "spool-dir", .kind = OPTION_DIRECTORY, .commands = FOR_PLAN | FOR_RUN, .to = TO(spool_directory),
     .standard_words = "~/.local/state/pgrecast", .help = "where to keep received changes"},
    {.name = "spool-dir", .kind = OPTION_DIRECTORY, .commands = FOR_RESUME | FOR_ROLLBACK,
     .to = TO(spool_directory), .help = "where this host keeps received changes"},
    {.name = "state-owner", .kind = OPTION_NAME, .commands = FOR_ALL_ON_SERVERS & ~FOR_DECODE,
     .section = SECTION_CONNECTION, .to = TO(state_owner), .metavar = "ROLE",
     .standard_words = "the session's role",
     .help = "the role that schema pgrecast may belong to; it is trusted with all rights of the session's"},
    {.name = "progress", .kind = OPTION_CHOICE, .commands = FOR_PLAN | FOR_RUN | FOR_RESUME | FOR_ROLLBACK,
     .to = TO(progress), .choices = progress_words, .help = "how progress is shown"},
};
/* clang-format on */

const struct option_table job_option_table = OPTION_TABLE(struct job_options, job_option_specs);

char *
job_options_write(const struct job_options *o)
{
    return options_write(&job_option_table, o);
}

bool
job_options_read(struct job_options *o, const char *text, struct error *err)
{
    struct error why = {0};

    if (text != NULL && options_read(&job_option_table, o, text, &why))
        return true;
    error_set(err, ERROR_FAILED, "the options stored with the job cannot be read");
    if (why.message != NULL)
        error_detail(err, "%s", why.message);
    error_clear(&why);
    return false;
}
