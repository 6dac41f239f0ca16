/* Requests from the side of the instance: read at each tick, carried out where the phase can. */
#include <stdlib.h>
#include <string.h>

#include "core/command.h"
#include "core/mem.h"
#include "engine.h"
#include "requests.h"

static const struct request *
first_of(const struct request_list *list, enum request_kind kind)
{
    for (int i = 0; i < list->count; i++)
        if (list->items[i].kind == kind)
            return &list->items[i];
    return NULL;
}

bool
requests_any(const struct engine *e, enum request_kind kind)
{
    return first_of(&e->requests.open, kind) != NULL;
}

const char *
requests_arguments(const struct engine *e, enum request_kind kind)
{
    const struct request *first = first_of(&e->requests.open, kind);

    return first != NULL ? first->arguments : NULL;
}

bool
requests_remap(const struct engine *e)
{
    const struct request *first = first_of(&e->requests.open, REQUEST_ROLLBACK);

    return first != NULL && first->arguments != NULL && first->id != e->requests.remapped;
}

char *
requests_ids(const struct engine *e, enum request_kind kind)
{
    return request_ids(&e->requests.open, kind);
}

bool
requests_answer_ids(struct engine *e, const char *ids, const struct error *reason, const char *result,
                    struct error *err)
{
    return request_end(e->control, &e->job, ids, reason, result, err) &&
           request_take(e->control, &e->job, &e->requests.open, err);
}

bool
requests_answer(struct engine *e, enum request_kind kind, const struct error *reason, const char *result,
                struct error *err)
{
    char *ids = requests_ids(e, kind);
    bool ok = !requests_any(e, kind) || requests_answer_ids(e, ids, reason, result, err);

    free(ids);
    return ok;
}

/*
 * Whether a request of that kind can never be carried out in the present state of the job; err has the
 * reason. False: it may be carried out.
 */
static bool
is_void(const struct engine *e, enum request_kind kind, struct error *reason)
{
    const char *name = e->job.name;
    bool reversed = job_is_reversed(&e->job);

    if (kind == REQUEST_CUTOVER && reversed) {
        error_set(reason, ERROR_FAILED, "job \"%s\" has cut over already", name);
        error_hint(reason, "Go back with: " COMMAND("rollback") "; end it with: " COMMAND("finish"), name,
                   name);
    } else if (kind == REQUEST_ABORT && reversed) {
        error_set(reason, ERROR_FAILED, "job \"%s\" has cut over: the new table is active", name);
        error_hint(reason,
                   "Go back with: " COMMAND("rollback") "; or keep the new table with: " COMMAND("finish"),
                   name, name);
    } else if (kind == REQUEST_ROLLBACK && !reversed) {
        error_set(reason, ERROR_ROLLBACK, "there is nothing to roll back: job \"%s\" is in phase %s", name,
                  job_phase_name(e->job.phase));
        error_hint(reason, "Look at it with: " COMMAND("status"), name);
    } else if (kind == REQUEST_FINISH && e->job.swaps == 0) {
        error_set(reason, ERROR_FAILED, "job \"%s\" has not cut over: there is nothing to finish", name);
        error_hint(reason, "Remove it with: " COMMAND("abort"), name);
    }
    return reason->message != NULL;
}

static bool
answer_void(struct engine *e, struct error *err)
{
    bool ok = true;

    for (int kind = 0; ok && kind < REQUEST_KINDS; kind++) {
        struct error reason = {0};

        while (ok && requests_any(e, (enum request_kind)kind) && is_void(e, (enum request_kind)kind, &reason))
            ok = requests_answer(e, (enum request_kind)kind, &reason, NULL, err);
        error_clear(&reason);
    }
    return ok;
}

bool
requests_read(struct engine *e, struct error *err)
{
    if (!request_take(e->control, &e->job, &e->requests.open, err))
        return error_context(err, "reading what is asked of the job");
    if (requests_any(e, REQUEST_RELEASE)) {
        e->requests.released = true;
        if (!requests_answer(e, REQUEST_RELEASE, NULL, NULL, err))
            return false;
    }
    return answer_void(e, err);
}

bool
requests_ask(struct engine *e, enum request_kind kind, const char *arguments, struct error *err)
{
    int64_t id;

    return request_add(e->control, &e->job, kind, arguments, &id, err) && requests_read(e, err);
}

void
requests_give_up(struct engine *e, const struct error *reason)
{
    struct error ignored = {0}, why = {0};

    error_set(&why, reason->kind, "the program that ran the job has ended without it: %s", reason->message);
    if (reason->detail != NULL)
        error_detail(&why, "%s", reason->detail);
    error_hint(&why, "Look at the job with: " COMMAND("status"), e->job.name);
    for (int kind = 0; kind < REQUEST_KINDS; kind++)
        while (ignored.message == NULL && requests_any(e, (enum request_kind)kind))
            requests_answer(e, (enum request_kind)kind, &why, NULL, &ignored);
    error_clear(&why);
    error_clear(&ignored);
}
