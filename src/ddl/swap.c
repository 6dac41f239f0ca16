#include "ddl/swap.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "ddl/generate.h"
#include "core/list.h"

/* "a='1', b='2'": SET what the table has, RESET what only the shadow had. */
static void
add_autovacuum(struct buffer *actions, const char *options, const char *name)
{
    char *prefix = mem_printf("%s=", name);
    const char *at = options;

    while (at != NULL && strncmp(at, prefix, strlen(prefix)) != 0) {
        at = strstr(at, ", ");
        if (at != NULL)
            at += 2;
    }
    if (at == NULL)
        buffer_printf(actions, ", RESET (%s)", name);
    else
        buffer_printf(actions, ", SET (%.*s)",
                      (int)(strstr(at, ", ") != NULL ? (size_t)(strstr(at, ", ") - at) : strlen(at)), at);
    free(prefix);
}

/* What the shadow was without, or had too much, in one ALTER TABLE. */
static void
complete_shadow(struct plan *p, const char *temporary_key)
{
    const struct table *t = p->target;
    struct buffer actions = {0};

    add_autovacuum(&actions, t->options, "autovacuum_enabled");
    add_autovacuum(&actions, t->toast_options, "toast.autovacuum_enabled");
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
    list_addf(&p->swap, "ALTER TABLE %s %s", p->shadow_sql, actions.data + 2);
    buffer_free(&actions);
    /* an index on hidden columns went with them */
    if (temporary_key != NULL && !(p->key_count > 0 && p->key[0].hidden)) {
        char *name = name_qualified(t->schema, temporary_key);

        list_addf(&p->swap, "DROP INDEX %s", name);
        free(name);
    }
}

static const struct restart *
restart_of(const struct clone_result *clone, int attnum)
{
    for (int i = 0; i < clone->restart_count; i++)
        if (clone->restarts[i].attnum == attnum)
            return &clone->restarts[i];
    return NULL;
}

/* An identity sequence stands where the user's RESTART put it, not where the source's stood. */
static void
restart_sequences(struct plan *p, const struct clone_result *clone, struct exchange *x)
{
    for (int i = 0; i < x->handed_count; i++)
        if (restart_of(clone, x->handed[i].attnum) != NULL)
            x->handed[i].followed = false;
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *c = &p->target->columns[i];
        const struct restart *restart = restart_of(clone, c->attnum);
        struct buffer literal = {0};
        char *name;

        if (restart == NULL || c->sequence == NULL || !c->sequence->identity)
            continue;
        name = name_qualified(p->target->schema, c->sequence->name);
        buffer_add_literal(&literal, name);
        list_addf(&p->swap, "SELECT pg_catalog.setval(%s, %lld, %s)", literal.data,
                  (long long)restart->last_value, restart->is_called ? "true" : "false");
        buffer_free(&literal);
        free(name);
    }
}

/* Identity sequences that are likes of the source's go on where those stood; others are as they were made. */
static void
follow_sequences(struct plan *p, const struct exchange *x)
{
    struct exchange followed = {.handed = mem_alloc((size_t)x->handed_count * sizeof(*x->handed) + 1)};

    for (int i = 0; i < x->handed_count; i++)
        if (x->handed[i].followed)
            followed.handed[followed.handed_count++] = x->handed[i];
    exchange_hand_sequences(&followed, true, &p->swap);
    free(followed.handed);
}

void
swap_plan(struct plan *p, const struct clone_result *clone, const char *temporary_key, struct exchange *x)
{
    struct generate g = {.table = p->target, .schema = p->target->schema, .name = p->source->name};

    exchange_to_apart(&x->original, false, &p->swap);
    complete_shadow(p, temporary_key);
    exchange_to_serving(&x->made, false, &p->swap);
    exchange_move_sequences(x, true, &p->swap);
    restart_sequences(p, clone, x);
    follow_sequences(p, x);
    generate_not_valid(&g, &p->swap);
}
