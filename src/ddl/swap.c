#include "ddl/swap.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "ddl/generate.h"
#include "ddl/grants.h"
#include "ddl/list.h"

static void
add_rename(struct plan *p, const char *kind, const char *schema, const char *from, const char *to)
{
    char *qualified = name_qualified(schema, from);
    char *quoted = name_quoted(to);

    list_addf(&p->swap, "ALTER %s %s RENAME TO %s", kind, qualified, quoted);
    free(quoted);
    free(qualified);
}

/* Does the target keep the very sequence (OWNED BY, not of an identity)? */
static bool
moves_along(const struct table *target, const struct owned_sequence *q)
{
    for (int i = 0; i < target->column_count; i++)
        for (const struct owned_sequence *t = target->columns[i].sequence; t != NULL; t = t->next)
            if (!t->identity && t->oid == q->oid)
                return true;
    return false;
}

/* The source and all that is named after it, out of the way. Sequence names are kept for reading their
 * values. */
static void
retire_source(struct plan *p, struct string_list *relations, struct string_list *statistics,
              struct name_map *retired)
{
    const struct table *s = p->source;

    add_rename(p, "TABLE", s->schema, s->name, p->old_name);
    for (int i = 0; i < s->index_count; i++) {
        char *name = name_unlike(s->indexes[i].name, "_pgrecast_old", relations);

        add_rename(p, "INDEX", s->schema, s->indexes[i].name, name);
        free(name);
    }
    for (int i = 0; i < s->statistics_count; i++) {
        char *name = name_unlike(s->statistics[i].name, "_pgrecast_old", statistics);

        add_rename(p, "STATISTICS", s->statistics[i].schema, s->statistics[i].name, name);
        free(name);
    }
    for (int i = 0; i < s->column_count; i++)
        for (const struct owned_sequence *q = s->columns[i].sequence; q != NULL; q = q->next) {
            char *name;

            if (!q->identity && moves_along(p->target, q))
                continue;
            name = name_unlike(q->name, "_pgrecast_old", relations);
            add_rename(p, "SEQUENCE", q->schema, q->name, name);
            name_map_add(retired, q->name, name);
        }
}

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
complete_shadow(struct plan *p, const struct shadow_names *n)
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
    if (n->temporary_key != NULL && !(p->key_count > 0 && p->key[0].hidden)) {
        char *name = name_qualified(t->schema, n->temporary_key);

        list_addf(&p->swap, "DROP INDEX %s", name);
        free(name);
    }
}

static void
rename_parts(struct plan *p, const struct shadow_names *n)
{
    const struct table *t = p->target;

    for (int i = 0; i < t->index_count; i++)
        add_rename(p, "INDEX", t->schema, name_map_find(&n->relations, t->indexes[i].name),
                   t->indexes[i].name);
    for (int i = 0; i < t->statistics_count; i++)
        add_rename(p, "STATISTICS", t->schema, name_map_find(&n->statistics, t->statistics[i].name),
                   t->statistics[i].name);
}

static const struct restart *
restart_of(const struct clone_result *clone, int attnum)
{
    for (int i = 0; i < clone->restart_count; i++)
        if (clone->restarts[i].attnum == attnum)
            return &clone->restarts[i];
    return NULL;
}

/* The identity sequence goes on where the source's stood, or where the user's RESTART put it. */
static void
set_identity(struct plan *p, const struct clone_result *clone, const struct column *c, const char *from,
             const struct name_map *retired)
{
    const struct restart *restart = restart_of(clone, c->attnum);
    char *name = name_qualified(p->target->schema, from);
    char *old = name_qualified(p->target->schema, name_map_find(retired, c->sequence->name));
    struct buffer literal = {0};

    buffer_add_literal(&literal, name);
    if (restart != NULL)
        list_addf(&p->swap, "SELECT pg_catalog.setval(%s, %lld, %s)", literal.data,
                  (long long)restart->last_value, restart->is_called ? "true" : "false");
    else if (c->sequence->oid != 0)
        list_addf(&p->swap, "SELECT pg_catalog.setval(%s, last_value, is_called) FROM %s", literal.data, old);
    buffer_free(&literal);
    free(old);
    free(name);
}

static void
move_sequences(struct plan *p, const struct clone_result *clone, const struct shadow_names *n,
               const struct name_map *retired)
{
    const struct table *t = p->target;

    for (int i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];
        char *column = name_quoted(c->name);

        for (const struct owned_sequence *q = c->sequence; q != NULL; q = q->next) {
            const char *from = name_map_find(&n->relations, q->name);
            char *qualified = name_qualified(t->schema, q->name);

            if (!q->identity && q->oid != 0) {
                list_addf(&p->swap, "ALTER SEQUENCE %s OWNED BY %s.%s", qualified, p->source_sql, column);
            } else {
                if (q->identity)
                    set_identity(p, clone, c, from, retired);
                add_rename(p, "SEQUENCE", t->schema, from, q->name);
            }
            free(qualified);
        }
        free(column);
    }
}

void
swap_plan(struct plan *p, const struct clone_result *clone, const struct shadow_names *n,
          struct string_list *relations, struct string_list *statistics)
{
    struct generate g = {.table = p->target, .schema = p->target->schema, .name = p->source->name};
    struct name_map retired = {0};

    retire_source(p, relations, statistics, &retired);
    complete_shadow(p, n);
    add_rename(p, "TABLE", p->target->schema, p->shadow_name, p->source->name);
    rename_parts(p, n);
    move_sequences(p, clone, n, &retired);
    generate_not_valid(&g, &p->swap);
    grants_take(&g, &p->swap);
    name_map_free(&retired);
}
