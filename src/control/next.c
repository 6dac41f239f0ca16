#include "control/next.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/mem.h"
#include "state/job.h"

#define TO_WATCH "to watch it"
#define TO_CONTINUE "to continue"
#define TO_COMPARE "to compare the tables again"
#define TO_REMOVE "to remove the job and keep the original"
#define AFTER_REPAIR "once that is restored, to see whether the job continues"

struct maker {
    const struct job_status *job;
    const char *connection;
    struct next_list *out;
};

static void
next_add(struct maker *m, const char *purpose, const char *format)
{
    char *marked = mem_printf(format, m->job->job);

    m->out->items[m->out->count++] =
        (struct next_command){.purpose = purpose, .command = command_expand(marked, m->connection)};
    free(marked);
}

static bool
is_in(const struct job_status *j, enum job_phase phase)
{
    return strcmp(j->phase, job_phase_name(phase)) == 0;
}

/* The stream has a gap or an end: no swap is possible any more. */
static bool
is_hopeless(const struct job_status *j)
{
    return j->held_for_good || j->slot_lost != NULL;
}

static void
add_before_cutover(struct maker *m)
{
    const struct job_status *j = m->job;

    if (is_hopeless(j)) {
        next_add(m, TO_REMOVE, COMMAND("abort"));
        return;
    }
    if (!j->running)
        next_add(m, TO_CONTINUE, COMMAND("resume"));
    else if (j->held != NULL)
        next_add(m, AFTER_REPAIR, COMMAND("status"));
    else if (is_in(j, PHASE_READY) && j->verify_mismatches > 0)
        next_add(m, TO_COMPARE, COMMAND("verify"));
    else if (is_in(j, PHASE_READY) && j->hold)
        next_add(m, "to cut over", COMMAND("cutover --wait"));
    else
        next_add(m, TO_WATCH, COMMAND("status --watch"));
    next_add(m, TO_REMOVE, COMMAND("abort"));
}

static void
add_reversed(struct maker *m)
{
    const struct job_status *j = m->job;

    if (j->rollback_possible)
        next_add(m, "to go back to the original", COMMAND("rollback"));
    else if (j->running && j->blocked_rows > 0 && !is_hopeless(j) && j->held == NULL)
        next_add(m, "once those rows are changed or deleted, to go back to the original",
                 COMMAND("rollback"));
    else if (j->running && j->verify_mismatches > 0 && !is_hopeless(j) && j->held == NULL)
        next_add(m, TO_COMPARE, COMMAND("verify"));
    else if (j->running && j->held != NULL && !is_hopeless(j))
        next_add(m, AFTER_REPAIR, COMMAND("status"));
    if (!j->running && !is_hopeless(j) && !j->window_over)
        next_add(m, j->rollback_possible ? "to keep the original in sync" : TO_CONTINUE, COMMAND("resume"));
    next_add(m, "to keep the new table and drop the original", COMMAND("finish"));
}

static void
add_rolled_back(struct maker *m)
{
    const struct job_status *j = m->job;

    if (is_hopeless(j))
        ;
    else if (!j->running && !j->window_over)
        next_add(m, "to keep the new table in sync", COMMAND("resume"));
    else if (j->running && j->held != NULL)
        next_add(m, AFTER_REPAIR, COMMAND("status"));
    else if (j->running && j->verify_mismatches > 0)
        next_add(m, TO_COMPARE, COMMAND("verify"));
    else if (j->running)
        next_add(m, "to cut over again", COMMAND("cutover --wait"));
    next_add(m, "to keep the original and drop the new table", COMMAND("finish"));
}

void
next_list_make(const struct job_status *job, const char *connection, struct next_list *out)
{
    struct maker m = {job, connection, out};

    memset(out, 0, sizeof(*out));
    if (job->ended) {
        char *format = mem_printf("%s --record=%" PRId64 "%s", "pgrecast forget", job->record,
                                  COMMAND_OPEN "%s" COMMAND_CLOSE);

        next_add(&m, "to remove this record", format);
        free(format);
    } else if (is_in(job, PHASE_FINISHED)) {
        next_add(&m, "to complete the clean-up", COMMAND("finish"));
    } else if (job->swaps == 0) {
        add_before_cutover(&m);
    } else if (job->swaps % 2 == 1) {
        add_reversed(&m);
    } else {
        add_rolled_back(&m);
    }
}

void
next_list_free(struct next_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i].command);
    memset(list, 0, sizeof(*list));
}
