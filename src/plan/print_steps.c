#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/count.h"
#include "core/list.h"
#include "core/mem.h"
#include "plan/plan.h"
#include "print.h"

/* A guess, used for the estimate only: what one session copies and indexes on common disks. */
#define BYTES_PER_SECOND (40.0 * 1024 * 1024)

static enum lock_mode
strongest(const struct planned_list *list)
{
    enum lock_mode lock = LOCK_NONE;

    for (int i = 0; i < list->count; i++)
        if (list->items[i].lock > lock)
            lock = list->items[i].lock;
    return lock;
}

/* Other tables, views and functions that the swap locks: they are only readable in its statements otherwise. */
static void
print_other_locks(const struct plan_set *set, FILE *out)
{
    const struct planned_list *locks = &set->cutover->locks;
    struct buffer text = {0};

    for (int i = 0; i < set->table_count; i++) {
        const struct table *t = set->tables[i].forward->source;

        for (int k = 0; k < t->foreign_key_count; k++) {
            const struct foreign_key *f = &t->foreign_keys[k];

            for (int n = 0; f->lock != NULL && n < locks->count; n++)
                if (strcmp(locks->items[n].sql, f->lock) == 0) {
                    buffer_printf(&text, "table %s (%s): foreign key %s\n",
                                  f->on_oid == t->oid ? f->ref_name : f->on_name,
                                  print_lock_name(locks->items[n].lock), f->name);
                    break;
                }
        }
        for (int k = 0; k < t->dependent_count; k++)
            if (t->dependents[k].lock.count > 0)
                buffer_printf(&text, "%s (%s)\n", t->dependents[k].description,
                              print_lock_name(LOCK_ACCESS_EXCLUSIVE));
    }
    if (text.len > 0) {
        fprintf(out, "  The swap also locks, for the same time:\n");
        print_wrapped(out, 4, text.data);
    }
    buffer_free(&text);
}

/*
 * How long the lock will be held. About a millisecond for each key: 2 keys took 16 ms, 46 keys 43 ms, and 109 keys 140 ms,
 * on two processors with little else to do.
 */
static void
print_lock_time(const struct plan_set *set, FILE *out)
{
    bool parted = false;
    int keys = 0;

    for (int i = 0; i < set->table_count; i++) {
        const struct table *t = set->tables[i].forward->source;

        keys += t->foreign_key_count;
        for (int k = 0; k < t->foreign_key_count; k++)
            parted = parted || t->foreign_keys[k].on_kind == 'p';
    }
    if (keys == 0)
        return;
    fprintf(out,
            "  It holds the lock for some milliseconds, and longer by about a millisecond for each\n"
            "  foreign key (%d here); several times as long on a busy server.\n",
            keys);
    if (parted)
        fprintf(out, "  A foreign key of a partitioned table counts once for each partition.\n");
}

void
print_steps(const struct plan_set *set, FILE *out)
{
    static const struct {
        const char *step, *lock;
        bool validates; /* only if there is anything to validate */
        bool fills;     /* only if there are views over the new table to be created before the swap */
    } steps[] = {
        {"publication and replication slot", "SHARE UPDATE EXCLUSIVE on the table, instant"},
        {"create the new table beside it", "none on the table"},
        {"copy rows in short chunks, follow the changes", "ACCESS SHARE, a chunk at a time"},
        {"build the indexes and constraints", "on the new table only"},
        {"create and fill materialized views over it", "none on those in use", .fills = true},
        {"apply changes, verify every row", "ACCESS SHARE, given up between parts"},
        {"swap, in one transaction", "ACCESS EXCLUSIVE, milliseconds"},
        {"validate foreign keys", "SHARE UPDATE EXCLUSIVE: reads and writes continue", true},
        {"drop the original", "ACCESS EXCLUSIVE on the original only"},
    };
    enum lock_mode validating = strongest(&set->cutover->validate);
    int number = 0;

    fprintf(out, "\nSteps, and the locks they take\n");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const char *lock = steps[i].lock;

        if ((steps[i].validates && set->cutover->validate.count == 0) ||
            (steps[i].fills && set->early_count == 0))
            continue;
        if (steps[i].validates && validating > LOCK_SHARE_UPDATE_EXCLUSIVE)
            lock = "SHARE UPDATE EXCLUSIVE; for an instant the locks that the statements name";
        fprintf(out, "  %d. %-46s %s\n", ++number, steps[i].step, lock);
    }
    if (set->table_count > 1)
        fprintf(out,
                "  All %d tables go through them together: one slot, one position of the log at which they "
                "are\n  compared, one transaction in which they are swapped.\n",
                set->table_count);
    print_other_locks(set, out);
    fprintf(out, "  The swap is %d %s; it reads no table.\n", set->cutover->statements.count,
            count_word(set->cutover->statements.count, "statement", "statements"));
    print_lock_time(set, out);
}

/* An estimate by a guessed speed: it is no better than its order of magnitude. */
static char *
duration_text(double seconds)
{
    if (seconds < 60)
        return mem_strdup("less than a minute");
    if (seconds < 5400)
        return mem_printf("minutes (about %.0f)",
                          seconds < 600 ? seconds / 60 : 10 * (int)(seconds / 600 + 0.5) * 1.0);
    if (seconds < 2 * 86400)
        return mem_printf("hours (about %.0f)", seconds / 3600);
    return mem_printf("days (about %.0f)", seconds / 86400);
}

int64_t
plan_set_bytes(const struct plan_set *set)
{
    int64_t bytes = 0;

    for (int i = 0; i < set->table_count; i++)
        bytes += set->tables[i].forward->source->bytes + print_index_bytes(set->tables[i].forward->source);
    return bytes;
}

double
plan_set_seconds(const struct plan_set *set)
{
    return (double)plan_set_bytes(set) / BYTES_PER_SECOND;
}

bool
plan_refuse_disk(const struct plan_set *set, int64_t disk_free, struct error *err)
{
    int64_t bytes = plan_set_bytes(set);
    char *needed, *log, *free_text;

    if (disk_free == 0 || disk_free >= 2 * bytes)
        return true;
    needed = print_size_text(bytes);
    log = print_size_text(2 * bytes);
    free_text = print_size_text(disk_free);
    error_set(err, ERROR_REFUSED, "%s free on the server's disk are not enough", free_text);
    error_detail(
        err,
        "The new table%s with indexes need%s about %s until the original%s dropped, and the log that is "
        "written as much again: %s in all.",
        set->table_count > 1 ? "s" : "", set->table_count > 1 ? "" : "s", needed,
        set->table_count > 1 ? "s are" : " is", log);
    free(free_text);
    free(log);
    free(needed);
    return false;
}

void
print_needs(const struct plan_set *set, int64_t disk_free, const char *spool, FILE *out)
{
    int64_t bytes = plan_set_bytes(set);
    char *size = print_size_text(bytes), *duration = duration_text(plan_set_seconds(set));
    char *given = print_size_text(disk_free);
    char *text = mem_printf("About %s more on the server's disk until the original%s dropped, and as much "
                            "again for the log, if it is "
                            "kept meanwhile (by an archive, a standby, this job's slot). It takes %s, by a "
                            "guess of 40 MB/s with one "
                            "worker and no other load.",
                            size, set->table_count > 1 ? "s are" : " is", duration);

    fprintf(out, "\nNeeds\n");
    print_wrapped(out, 2, text);
    free(text);
    text = disk_free > 0
               ? mem_printf("Of that disk %s are free, as --disk-free says.", given)
               : mem_strdup("Not checked: how much of that disk is free, which a client cannot read. With "
                            "--disk-free SIZE it is compared.");
    print_wrapped(out, 2, text);
    if (spool != NULL)
        print_wrapped(out, 2, spool);
    free(text);
    free(given);
    free(duration);
    free(size);
}
