#include <stdlib.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "plan/plan.h"
#include "layout.h"
#include "print.h"

const char *
print_lock_name(enum lock_mode lock)
{
    switch (lock) {
    case LOCK_ROW_EXCLUSIVE:
        return "ROW EXCLUSIVE";
    case LOCK_SHARE_UPDATE_EXCLUSIVE:
        return "SHARE UPDATE EXCLUSIVE";
    case LOCK_SHARE:
        return "SHARE";
    case LOCK_SHARE_ROW_EXCLUSIVE:
        return "SHARE ROW EXCLUSIVE";
    case LOCK_ACCESS_EXCLUSIVE:
        return "ACCESS EXCLUSIVE";
    case LOCK_NONE:
        break;
    }
    return "no lock";
}

static bool
is_long(const struct plan_verdict *v)
{
    return v->kind != VERDICT_CATALOG_ONLY && v->kind != VERDICT_REFUSED;
}

/* A change that PostgreSQL makes by writing all rows again, or not at all. */
static bool
is_of_rows(enum verdict_kind kind)
{
    return kind == VERDICT_REWRITES || kind == VERDICT_UPDATES || kind == VERDICT_MOVES ||
           kind == VERDICT_BY_HAND || kind == VERDICT_REFUSED;
}

/* Whether others wait for as long as it takes. */
static bool
blocks(const struct plan_verdict *v)
{
    return is_long(v) && v->lock > LOCK_SHARE_UPDATE_EXCLUSIVE;
}

static const char *
verdict_does(const struct plan_verdict *v)
{
    switch (v->kind) {
    case VERDICT_MOVES:
        return v->on_index ? "copies the index to the other tablespace"
                           : "copies the table to the other tablespace";
    case VERDICT_UPDATES:
        return "writes every row anew";
    case VERDICT_REWRITES:
        return "rewrites the table and its indexes";
    case VERDICT_SCANS:
        return "scans the table";
    case VERDICT_BUILDS_INDEX:
        return "builds an index";
    case VERDICT_BY_HAND:
        return "has no command for it: all rows are inserted into another table by hand";
    case VERDICT_REFUSED:
        return "is refused by PostgreSQL";
    case VERDICT_CATALOG_ONLY:
        break;
    }
    /* ALTER SEQUENCE AS: this lock is taken on the sequence */
    return v->lock == LOCK_SHARE_ROW_EXCLUSIVE ? "changes the sequence only" : "changes the catalog only";
}

/* The lock, on what, and what it means for others. */
static void
add_lock(struct buffer *text, const struct plan_verdict *v)
{
    buffer_printf(text, " (%s%s", print_lock_name(v->lock),
                  v->on_index                           ? " on the index"
                  : v->lock == LOCK_SHARE_ROW_EXCLUSIVE ? " on it"
                                                        : "");
    if (v->concurrent && !is_long(v))
        buffer_add_text(text, ", after the transactions that use it have ended)");
    else if (!is_long(v))
        buffer_add_text(text, ", instant)");
    else if (v->lock == LOCK_SHARE_UPDATE_EXCLUSIVE)
        buffer_add_text(text, ": reads and writes continue)");
    else if (v->lock == LOCK_SHARE)
        buffer_add_text(text, ": writes wait); plain CREATE INDEX CONCURRENTLY would do");
    else
        buffer_add_text(text, " throughout)");
}

static char *
verdict_text(const struct plan_verdict *v)
{
    struct buffer text = {0};

    buffer_printf(&text, "%s: %s", v->clause, verdict_does(v));
    if (v->kind == VERDICT_UPDATES)
        buffer_add_text(&text, " (each row is locked until the transaction ends)");
    else if (v->kind == VERDICT_REFUSED)
        buffer_printf(&text, ": %s %s", v->users, "would have to be dropped first; pgrecast carries it over");
    else
        add_lock(&text, v);
    return buffer_take(&text);
}

static const char *
verdict_advice(const struct plan_verdict_list *list)
{
    bool any_long = false, any_blocks = false;

    for (int i = 0; i < list->count; i++) {
        const struct plan_verdict *v = &list->items[i];

        if (is_of_rows(v->kind))
            return NULL;
        any_long = any_long || is_long(v);
        any_blocks = any_blocks || blocks(v);
    }
    if (any_blocks)
        return "Nothing here needs a rewrite, but part of it holds the lock named for as long as it takes.";
    if (any_long)
        return "Nothing here needs a rewrite, and reads and writes continue: run it plainly, unless you want "
               "the rewrite for its own sake.";
    return "Nothing here needs a rewrite: run it plainly, with a short lock_timeout, unless you want the "
           "rewrite for its own sake.";
}

void
print_verdicts(const struct plan *p, FILE *out)
{
    const struct plan_verdict_list *list = &p->advice.verdicts;
    const char *advice;

    if (list->count == 0)
        return;
    fprintf(out, "\nWhat PostgreSQL itself would do\n");
    for (int i = 0; i < list->count; i++) {
        char *text = verdict_text(&list->items[i]);

        print_wrapped(out, 2, text);
        free(text);
    }
    advice = verdict_advice(list);
    if (advice != NULL)
        print_wrapped(out, 2, advice);
}

bool
plan_set_is_needed(const struct plan_set *set)
{
    for (int i = 0; i < set->table_count; i++) {
        const struct plan_verdict_list *list = &set->tables[i].forward->advice.verdicts;

        if (list->count == 0 || set->tables[i].forward->filter != NULL ||
            layout_is_changed(set->tables[i].forward->target))
            return true;
        for (int k = 0; k < list->count; k++)
            if (is_of_rows(list->items[k].kind) || blocks(&list->items[k]))
                return true;
    }
    return false;
}

char *
plan_set_verdicts(const struct plan_set *set)
{
    struct buffer lines = {0};

    for (int i = 0; i < set->table_count; i++) {
        const struct plan *p = set->tables[i].forward;

        for (int k = 0; k < p->advice.verdicts.count; k++) {
            char *text = verdict_text(&p->advice.verdicts.items[k]);

            buffer_printf(&lines, "  %s%s%s\n", set->table_count > 1 ? p->names.source_sql : "",
                          set->table_count > 1 ? ": " : "", text);
            free(text);
        }
    }
    return buffer_take(&lines);
}
