#include "swap_first.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/generate.h"
#include "objects/grants.h"

/* SET what the table has, RESET what only the shadow has. */
static void
add_autovacuum(struct buffer *actions, const char *option, const char *name)
{
    if (option != NULL)
        buffer_printf(actions, ", SET (%s)", option);
    else
        buffer_printf(actions, ", RESET (%s)", name);
}

static void
add_storage_actions(struct buffer *actions, const struct table *t)
{
    add_autovacuum(actions, t->autovacuum, "autovacuum_enabled");
    add_autovacuum(actions, t->toast_autovacuum, "toast.autovacuum_enabled");
}

/* The partitions have the storage of a partitioned table. */
static void
complete_partitions(struct plan *p)
{
    const struct table *t = p->target;
    struct buffer actions = {0};

    add_storage_actions(&actions, t);
    for (int i = 0; i < t->partition_count; i++) {
        char *name = name_qualified(t->schema, t->partitions[i].name);

        if (partition_holds_rows(&t->partitions[i]))
            list_addf(&p->statements.swap, "ALTER TABLE %s %s", name, actions.data + 2);
        free(name);
    }
    buffer_free(&actions);
}

/* What the shadow lacks, or has only until the swap, in one ALTER TABLE. */
static void
complete_shadow(struct plan *p, const char *temporary_key)
{
    const struct table *t = p->target;
    struct buffer actions = {0};

    if (t->partition_key == NULL)
        add_storage_actions(&actions, t);
    for (int i = 0; i < t->column_count; i++) {
        if (t->columns[i].identity != 'a')
            continue;
        buffer_add_text(&actions, ", ALTER COLUMN ");
        buffer_add_identifier(&actions, t->columns[i].name);
        buffer_add_text(&actions, " SET GENERATED ALWAYS");
    }
    for (int i = 0; i < p->key_count; i++) {
        if (!p->key[i].hidden)
            continue;
        buffer_add_text(&actions, ", DROP COLUMN ");
        buffer_add_identifier(&actions, p->key[i].shadow_name);
    }
    if (actions.len > 0)
        list_addf(&p->statements.swap, "ALTER TABLE %s %s", p->names.shadow_sql, actions.data + 2);
    buffer_free(&actions);
    complete_partitions(p);
    /* an index on hidden columns was dropped with them */
    if (temporary_key != NULL && !(p->key_count > 0 && p->key[0].hidden)) {
        char *name = name_qualified(t->schema, temporary_key);

        list_addf(&p->statements.swap, "DROP INDEX %s", name);
        free(name);
    }
}

static const struct restart *
restart_of(const struct restart_list *restarts, int attnum)
{
    for (int i = 0; i < restarts->count; i++)
        if (restarts->items[i].attnum == attnum)
            return &restarts->items[i];
    return NULL;
}

/* An identity sequence is set to the value of the user's RESTART, not to the position of the source's. */
static void
restart_sequences(struct plan *p, const struct restart_list *restarts, struct swap_names *x)
{
    for (int i = 0; i < x->handed_count; i++)
        if (restart_of(restarts, x->handed[i].attnum) != NULL)
            x->handed[i].followed = false;
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *c = &p->target->columns[i];
        const struct restart *restart = restart_of(restarts, c->attnum);
        struct buffer literal = {0};
        char *name;

        if (restart == NULL || c->sequence == NULL || !c->sequence->identity)
            continue;
        name = name_qualified(p->target->schema, c->sequence->name);
        buffer_add_literal(&literal, name);
        list_addf(&p->statements.swap, "SELECT pg_catalog.setval(%s, %lld, %s)", literal.data,
                  (long long)restart->last_value, restart->is_called ? "true" : "false");
        buffer_free(&literal);
        free(name);
    }
}

/*
 * Identity sequences that are like the source's continue from the position of those; others stay as they were
 * created.
 */
static void
follow_sequences(struct plan *p, const struct swap_names *x)
{
    struct swap_names followed = {.handed = mem_alloc((size_t)x->handed_count * sizeof(*x->handed) + 1)};

    for (int i = 0; i < x->handed_count; i++)
        if (x->handed[i].followed)
            followed.handed[followed.handed_count++] = x->handed[i];
    swap_hand_sequences(&followed, true, &p->statements.swap);
    free(followed.handed);
}

void
swap_first_plan(struct plan *p, const struct restart_list *restarts, const char *temporary_key,
                struct swap_names *x)
{
    struct generate g = {.table = p->target, .schema = p->target->schema, .name = p->source->name};

    swap_to_inactive(&x->original, false, &p->statements.swap);
    complete_shadow(p, temporary_key);
    swap_to_active(&x->made, false, &p->statements.swap);
    swap_move_sequences(x, true, &p->statements.swap);
    restart_sequences(p, restarts, x);
    follow_sequences(p, x);
    grants_move(p, x, true, &p->statements.swap);
    generate_not_valid(&g, &p->statements.swap);
}
