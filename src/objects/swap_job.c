#include "objects/swap_job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "objects/foreign_key.h"
#include "objects/generate.h"
#include "objects/grants.h"
#include "objects/swap_names.h"
#include "planned.h"

enum direction { TO_NEW, TO_ORIGINAL, TO_NEW_AGAIN };

static const struct plan *
plan_towards(const struct plan_table *t, enum direction direction)
{
    return direction == TO_NEW ? t->forward : direction == TO_ORIGINAL ? t->back : t->again;
}

static bool
is_of_the_job(const struct plan_set *set, oid_t oid)
{
    for (int i = 0; i < set->table_count; i++)
        if (set->tables[i].forward->source->oid == oid)
            return true;
    return false;
}

static void
add_key_locks(struct plan_swap *swap, const struct plan_set *set, const struct table *t)
{
    char oid[16];

    for (int k = 0; k < t->foreign_key_count; k++) {
        const struct foreign_key *f = &t->foreign_keys[k];

        if (f->lock == NULL || is_of_the_job(set, f->other_oid))
            continue;
        snprintf(oid, sizeof(oid), "%u", f->other_oid);
        planned_add_once(&swap->locks, PLANNED_LOCK, LOCK_ACCESS_EXCLUSIVE, f->lock);
        list_add_once(&swap->locked, oid);
    }
}

/* Locks of other tables, each once; what depends on the tables comes before them, in the order of a query. */
static void
add_locks(struct plan_swap *swap, const struct plan_set *set, const struct dependents_plan *d)
{
    for (int i = 0; i < d->locks.count; i++)
        planned_add(&swap->locks, PLANNED_LOCK, LOCK_ACCESS_EXCLUSIVE, mem_strdup(d->locks.items[i]));
    list_add_all(&swap->locked, &d->locked);
    for (int i = 0; i < set->table_count; i++) {
        add_key_locks(swap, set, set->tables[i].forward->source);
        add_key_locks(swap, set, set->tables[i].forward->target);
    }
}

/* A key between two tables of the job is handled with the referencing table. */
static bool
is_its_own(const struct plan_set *set, int table, const struct foreign_key *f)
{
    return f->on_oid == set->tables[table].forward->source->oid || !is_of_the_job(set, f->on_oid);
}

static void
detach_keys(const struct plan_set *set, enum direction direction, struct planned_list *out)
{
    struct string_list statements = {0};

    for (int i = 0; i < set->table_count; i++) {
        const struct table *t = plan_towards(&set->tables[i], direction)->source;

        for (int k = 0; k < t->foreign_key_count; k++)
            if (is_its_own(set, i, &t->foreign_keys[k]))
                foreign_key_detach(&t->foreign_keys[k], &statements);
    }
    planned_add_all(out, PLANNED_DETACH, &statements);
    list_free(&statements);
}

/*
 * The referenced columns as the other table of the job will have them; NULL if that table does not belong to
 * the job.
 */
static const char *
columns_there(const struct plan_set *set, enum direction direction, const struct foreign_key *f)
{
    for (int i = 0; i < set->table_count && !f->ref_renamed; i++) {
        const struct table *t = plan_towards(&set->tables[i], direction)->target;

        if (set->tables[i].forward->source->oid != f->ref_oid || f->ref_oid == f->on_oid)
            continue;
        for (int k = 0; k < t->foreign_key_count; k++)
            if (t->foreign_keys[k].on_oid == f->on_oid && strcmp(t->foreign_keys[k].name, f->name) == 0)
                return t->foreign_keys[k].ref_columns;
    }
    return NULL;
}

static void
attach_keys(const struct plan_set *set, enum direction direction, struct plan_swap *swap)
{
    for (int i = 0; i < set->table_count; i++) {
        const struct table *t = plan_towards(&set->tables[i], direction)->target;

        for (int k = 0; k < t->foreign_key_count; k++) {
            int before = swap->validate.count;

            if (is_its_own(set, i, &t->foreign_keys[k]))
                foreign_key_attach(&t->foreign_keys[k], columns_there(set, direction, &t->foreign_keys[k]),
                                   &swap->statements, &swap->validate);
            swap->validated_keys += swap->validate.count > before;
        }
    }
}

/* The owner's own privileges, as far as he has revoked them from himself. */
static void
add_grants(const struct plan_set *set, enum direction direction,
           void (*add)(const struct generate *g, struct string_list *out), struct planned_list *out)
{
    struct string_list statements = {0};

    for (int i = 0; i < set->table_count; i++) {
        const struct table *source = set->tables[i].forward->source;
        const struct generate g = {.table = plan_towards(&set->tables[i], direction)->target,
                                   .schema = source->schema,
                                   .name = source->name};

        add(&g, &statements);
    }
    planned_add_all(out, PLANNED_GRANT, &statements);
    list_free(&statements);
}

/* What other roles may do with the tables, directly behind the exchange of their names. */
static void
add_privileges(const struct plan_set *set, enum direction direction, struct planned_list *out)
{
    struct string_list statements = {0};

    for (int i = 0; i < set->table_count; i++)
        grants_move_table(plan_towards(&set->tables[i], direction), &statements);
    planned_insert_all(out, planned_end(out, PLANNED_EXCHANGE), PLANNED_PRIVILEGES, &statements);
    list_free(&statements);
}

static void
exchange_early(const struct plan_set *set, enum direction direction, struct planned_list *out)
{
    for (int i = 0; i < set->early_count; i++)
        planned_add_all(out, PLANNED_EXCHANGE,
                        direction == TO_ORIGINAL ? &set->early[i].to_original : &set->early[i].to_new);
}

/*
 * The materialized views that become the active ones. Nobody uses them, but an autovacuum may be at work on them, and must
 * have given way before the tables are locked.
 */
static void
lock_early(const struct plan_set *set, enum direction direction, struct string_list *out)
{
    for (int i = 0; i < set->early_count; i++) {
        const struct plan_early *view = &set->early[i];

        if (view->stores)
            list_addf(out, "ALTER MATERIALIZED VIEW %s OWNER TO %s",
                      direction == TO_ORIGINAL ? view->old_name : view->new_name, view->owner);
    }
}

/*
 * Statements for dependents use the originals' column names only.
 *
 * The keys are dropped when the table has no other dependents any more, and added when it has none yet. For
 * each key the server reads the description of the table about ten times, and that contains all its triggers,
 * rules and policies.
 */
static struct plan_swap *
swap_of(const struct plan_set *set, const struct dependents_plan *d, enum direction direction)
{
    bool renamed = direction != TO_ORIGINAL && d->attach.count > 0;
    const char *proof = direction == TO_ORIGINAL ? d->proof_back : d->proof;
    struct plan_swap *swap;

    if (plan_towards(&set->tables[0], direction) == NULL)
        return NULL;
    swap = mem_alloc(sizeof(*swap));
    add_locks(swap, set, d);
    lock_early(set, direction, &swap->first_locks);
    planned_add_all(&swap->statements, PLANNED_DETACH, &d->detach);
    detach_keys(set, direction, &swap->statements);
    for (int i = 0; i < set->table_count; i++)
        planned_add_all(&swap->statements, PLANNED_EXCHANGE,
                        &plan_towards(&set->tables[i], direction)->statements.swap);
    exchange_early(set, direction, &swap->statements);
    add_privileges(set, direction, &swap->statements);
    add_grants(set, direction, grants_lend, &swap->statements);
    attach_keys(set, direction, swap);
    if (renamed)
        planned_add_all(&swap->statements, PLANNED_ATTACH, &d->names_before);
    planned_add_all(&swap->statements, PLANNED_ATTACH, &d->attach);
    if (renamed)
        planned_add_all(&swap->statements, PLANNED_ATTACH, &d->names_after);
    if (proof != NULL)
        planned_add(&swap->statements, PLANNED_PROVE, LOCK_NONE, mem_strdup(proof));
    add_grants(set, direction, grants_take, &swap->statements);
    return swap;
}

void
swap_job_plan(struct plan_set *set, struct dependents_plan *d)
{
    set->early_count = d->early_count;
    set->early = d->early;
    set->early_create = d->early_create;
    d->early_count = 0;
    d->early = NULL;
    d->early_create = (struct string_list){0};
    set->cutover = swap_of(set, d, TO_NEW);
    set->rollback = swap_of(set, d, TO_ORIGINAL);
    set->cutover_again = swap_of(set, d, TO_NEW_AGAIN);
}

static void
add_writes(struct plan_swap *swap, const char *table, const struct string_list *statements,
           enum planned_kind kind)
{
    char *lock = mem_printf("LOCK TABLE %s IN ROW EXCLUSIVE MODE", table);

    if (swap != NULL) {
        planned_add_once(&swap->locks, PLANNED_LOCK, LOCK_ROW_EXCLUSIVE, lock);
        planned_add_all(&swap->statements, kind, statements);
    }
    free(lock);
}

void
swap_job_write(struct plan_set *set, const char *table, const struct string_list *statements, bool back)
{
    if (back) {
        add_writes(set->rollback, table, statements, PLANNED_HISTORY_BACK);
        return;
    }
    add_writes(set->cutover, table, statements, PLANNED_HISTORY);
    add_writes(set->cutover_again, table, statements, PLANNED_HISTORY);
}

/* The privileges of other roles, from those of the plans' tables. */
static void
renew_privileges(const struct plan_set *set, enum direction direction, struct plan_swap *swap)
{
    if (swap == NULL)
        return;
    planned_remove(&swap->statements, PLANNED_PRIVILEGES);
    add_privileges(set, direction, &swap->statements);
}

static void
take_privileges(struct plan *p, const struct table *now)
{
    struct table *tables[] = {p->source, p->target};

    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        grant_list_copy(&tables[i]->grants, &now->grants);
        for (int k = 0; k < now->column_count; k++) {
            const struct column *c = table_column_named(tables[i], now->columns[k].name);

            if (c != NULL)
                grant_list_copy(&tables[i]->columns[c - tables[i]->columns].grants, &now->columns[k].grants);
        }
    }
}

void
swap_job_set_privileges(struct plan_set *set, int table, const struct table *now)
{
    struct plan_table *t = &set->tables[table];
    struct plan *plans[] = {t->forward, t->back, t->again};

    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
        if (plans[i] != NULL)
            take_privileges(plans[i], now);
    renew_privileges(set, TO_NEW, set->cutover);
    renew_privileges(set, TO_ORIGINAL, set->rollback);
    renew_privileges(set, TO_NEW_AGAIN, set->cutover_again);
}

/* What exchanges the names of two indexes in a swap: as for those that were planned (swap_names.c, swap_first.c). */
static void
list_renames(const struct plan_table *t, enum direction direction, const struct plan_index_names *names,
             struct string_list *out)
{
    struct swap_part index = {.kind = "INDEX",
                              .schema = t->forward->source->schema,
                              .active = (char *)names->active,
                              .inactive = (char *)names->original};
    struct swap_part like = {.kind = "INDEX",
                             .schema = t->forward->target->schema,
                             .active = (char *)names->active,
                             .inactive = (char *)names->made};
    const struct swap_parts original = {1, &index}, made = {1, &like};

    if (direction == TO_ORIGINAL) {
        swap_to_inactive(&made, true, out);
        swap_to_active(&original, false, out);
    } else {
        swap_to_inactive(&original, false, out);
        swap_to_active(&made, direction == TO_NEW_AGAIN, out);
    }
}

static void
add_renames(const struct plan_table *t, enum direction direction, const struct plan_index_names *names,
            struct plan_swap *swap)
{
    struct string_list renames = {0};

    if (swap == NULL)
        return;
    list_renames(t, direction, names, &renames);
    planned_insert_all(&swap->statements, planned_end(&swap->statements, PLANNED_EXCHANGE), PLANNED_EXCHANGE,
                       &renames);
    list_free(&renames);
}

static bool
remove_renames(const struct plan_table *t, enum direction direction, const struct plan_index_names *names,
               struct plan_swap *swap)
{
    struct string_list renames = {0};
    bool found = true;

    if (swap == NULL)
        return true;
    list_renames(t, direction, names, &renames);
    for (int i = 0; found && i < renames.count; i++)
        found = planned_remove_run(&swap->statements, PLANNED_EXCHANGE,
                                   &(struct string_list){1, &renames.items[i]});
    list_free(&renames);
    return found;
}

void
swap_job_add_index(struct plan_set *set, int table, const struct plan_index_names *names)
{
    const struct plan_table *t = &set->tables[table];

    add_renames(t, TO_NEW, names, set->cutover);
    add_renames(t, TO_ORIGINAL, names, set->rollback);
    add_renames(t, TO_NEW_AGAIN, names, set->cutover_again);
}

bool
swap_job_remove_index(struct plan_set *set, int table, const struct plan_index_names *names)
{
    const struct plan_table *t = &set->tables[table];

    return remove_renames(t, TO_NEW, names, set->cutover) &&
           remove_renames(t, TO_ORIGINAL, names, set->rollback) &&
           remove_renames(t, TO_NEW_AGAIN, names, set->cutover_again);
}

/* Behind what was planned to be made again. */
static int
attach_end(const struct planned_list *list)
{
    static const enum planned_kind kinds[] = {PLANNED_ATTACH, PLANNED_PRIVILEGES, PLANNED_EXCHANGE};
    int at = 0;

    for (size_t i = 0; at == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
        at = planned_end(list, kinds[i]);
    return at;
}

/* An outer object is locked before the tables under it. */
static void
add_locks_of(struct plan_swap *swap, const struct dependent *d)
{
    char oid[16];

    planned_insert_all(&swap->locks, 0, PLANNED_LOCK, &d->lock);
    for (int i = 0; i < d->lock.count; i++)
        swap->locks.items[i].lock = LOCK_ACCESS_EXCLUSIVE;
    snprintf(oid, sizeof(oid), "%u", d->oid);
    list_add_once(&swap->locked, oid);
}

/* Where the owner is given privileges for the time of the swap, nothing is added. */
static bool
add_to_swap(struct plan_swap *swap, const struct dependent *d)
{
    struct planned_list *list;

    if (swap == NULL)
        return true;
    list = &swap->statements;
    if (planned_end(list, PLANNED_GRANT) > 0)
        return false;
    if (!d->replaceable)
        planned_insert_all(list, 0, PLANNED_DETACH, &d->detach);
    planned_insert_all(list, attach_end(list), PLANNED_ATTACH, d->replaceable ? &d->replace : &d->attach);
    if (d->replaceable)
        add_locks_of(swap, d);
    return true;
}

static void
forget_locked(struct string_list *locked, oid_t oid)
{
    char text[16];
    int kept = 0;

    snprintf(text, sizeof(text), "%u", oid);
    for (int i = 0; i < locked->count; i++) {
        if (strcmp(locked->items[i], text) == 0)
            free(locked->items[i]);
        else
            locked->items[kept++] = locked->items[i];
    }
    locked->count = kept;
}

/* It was redirected in place, or dropped and created again. What the check of meanings looks for has to be there. */
static bool
remove_from_swap(struct plan_swap *swap, const struct dependent *d)
{
    if (swap == NULL)
        return true;
    if (planned_end(&swap->statements, PLANNED_PROVE) > 0 || d->holder.count > 0 ||
        (d->lock.count > 0 && !planned_remove_run(&swap->locks, PLANNED_LOCK, &d->lock)))
        return false;
    forget_locked(&swap->locked, d->oid);
    return planned_remove_run(&swap->statements, PLANNED_ATTACH, &d->replace) ||
           (planned_remove_run(&swap->statements, PLANNED_DETACH, &d->detach) &&
            planned_remove_run(&swap->statements, PLANNED_ATTACH, &d->attach));
}

static struct dependent *
copy_dependent(struct table *t, const struct dependent *d)
{
    struct dependent *added;

    t->dependents = mem_array(t->dependents, (size_t)t->dependent_count + 1, sizeof(*t->dependents));
    added = &t->dependents[t->dependent_count++];
    *added = (struct dependent){.class_oid = d->class_oid,
                                .oid = d->oid,
                                .kind = mem_strdup(d->kind),
                                .description = mem_strdup(d->description),
                                .replaceable = d->replaceable,
                                .direct = d->direct};
    list_add_all(&added->lock, &d->lock);
    list_add_all(&added->detach, &d->detach);
    list_add_all(&added->attach, &d->attach);
    list_add_all(&added->replace, &d->replace);
    return added;
}

bool
swap_job_add_dependent(struct plan_set *set, int table, const struct dependent *d)
{
    const struct dependent *added = copy_dependent(set->tables[table].forward->source, d);

    return (d->replaceable ? d->replace.count > 0 && d->lock.count > 0
                           : d->attach.count > 0 && d->detach.count > 0 && d->lock.count == 0) &&
           add_to_swap(set->cutover, added) && add_to_swap(set->rollback, added) &&
           add_to_swap(set->cutover_again, added);
}

/* Its place in the list stays, because others refer to it by their positions. */
static void
forget_dependent(struct dependent *d)
{
    free(d->description);
    d->description = mem_strdup("");
    list_free(&d->lock);
    list_free(&d->detach);
    list_free(&d->attach);
    list_free(&d->replace);
}

bool
swap_job_remove_dependent(struct plan_set *set, int table, const char *description)
{
    struct table *t = set->tables[table].forward->source;

    for (int i = 0; i < t->dependent_count; i++) {
        struct dependent *d = &t->dependents[i];

        if (strcmp(d->description, description) != 0)
            continue;
        if (!remove_from_swap(set->cutover, d) || !remove_from_swap(set->rollback, d) ||
            !remove_from_swap(set->cutover_again, d))
            return false;
        forget_dependent(d);
        return true;
    }
    return false;
}
