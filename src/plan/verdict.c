#include "verdict.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

/* Not that of a TOAST table: it is new, and empty. */
static bool
builds_index(const char *notices)
{
    static const char words[] = "building index \"";

    for (const char *at = notices; (at = strstr(at, words)) != NULL; at += strlen(words))
        if (strncmp(at + strlen(words), "pg_toast_", strlen("pg_toast_")) != 0)
            return true;
    return false;
}

struct plan_verdict
verdict_of(const char *notices, const char *text, const struct clause *clause)
{
    struct plan_verdict verdict = {.clause = mem_strdup(text),
                                   .lock = LOCK_ACCESS_EXCLUSIVE,
                                   .on_index = clause->on_index,
                                   .concurrent = clause->concurrent};

    if (clause->updates) {
        verdict.kind = VERDICT_UPDATES;
        verdict.lock = LOCK_NONE;
    } else if (clause->sets_tablespace) {
        verdict.kind = VERDICT_MOVES;
    } else if (strstr(notices, "rewriting table") != NULL) {
        verdict.kind = VERDICT_REWRITES;
    } else if (clause->scans) {
        verdict.kind = VERDICT_SCANS;
        verdict.lock = clause->lock;
    } else if (strstr(notices, "verifying table") != NULL) {
        verdict.kind = VERDICT_SCANS;
    } else if (builds_index(notices)) {
        verdict.kind = VERDICT_BUILDS_INDEX;
        verdict.lock = clause->lock;
    } else {
        verdict.lock = clause->lock;
    }
    return verdict;
}

void
verdicts_add(struct plan_verdict_list *list, struct plan_verdict verdict)
{
    list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
    list->items[list->count++] = verdict;
}

void
verdict_clear(struct plan_verdict *verdict)
{
    free(verdict->clause);
    free(verdict->users);
    *verdict = (struct plan_verdict){0};
}

void
verdicts_free(struct plan_verdict_list *list)
{
    for (int i = 0; i < list->count; i++)
        verdict_clear(&list->items[i]);
    free(list->items);
    *list = (struct plan_verdict_list){0};
}
