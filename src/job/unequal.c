/* A verification that found differences: the job stays in sync, and no swap is made until one finds none. */
#include <inttypes.h>
#include <stdlib.h>

#include "core/command.h"
#include "core/count.h"
#include "core/log.h"
#include "engine.h"
#include "parity.h"
#include "unequal.h"

void
unequal_note(struct engine *e, const struct error *found)
{
    error_copy(&e->unequal, found);
}

void
unequal_take_job(struct engine *e)
{
    if (e->job.mismatches == 0 || e->options.verify) /* --verify compares everything again */
        return;
    error_set(&e->unequal, ERROR_PARITY,
              "parity failed: the last verification found %" PRId64 " %s, nothing was swapped",
              e->job.mismatches, count_word(e->job.mismatches, "key that differs", "keys that differ"));
}

bool
unequal_hint(const struct engine *e, struct error *err)
{
    char *before = err->hint;
    const char *plural = e->table_count > 1 ? "s are" : " is";
    const char *table = job_is_reversed(&e->job) ? "new table" : e->job.swaps > 0 ? "original" : "table";

    err->hint = NULL;
    error_hint(err,
               "%s%sThe %s%s %s, and the job stays in sync. A %s is refused until a verification passes. "
               "Verify again with: " COMMAND("verify"),
               before != NULL ? before : "", error_hint_separator(before), table, plural,
               e->job.swaps > 0 ? "active" : "untouched", job_is_reversed(&e->job) ? "rollback" : "cutover",
               e->job.name);
    free(before);
    return false;
}

bool
unequal_refuse_swap(const struct engine *e, struct error *err)
{
    if (e->unequal.message == NULL)
        return true;
    error_copy(err, &e->unequal);
    return false;
}

bool
unequal_verify(struct engine *e, struct error *err)
{
    if (e->unequal.message != NULL)
        return true;
    if (parity_verify(e, err))
        return true;
    if (err->kind != ERROR_PARITY || err->connection_lost || err->stopped)
        return false;
    log_warning("%s%s%s", err->message, err->detail != NULL ? ": " : "",
                err->detail != NULL ? err->detail : "");
    error_clear(err);
    return true;
}
