#include "ddl/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/list.h"

static struct exchange_part
part(const char *kind, const char *schema, const char *serving, const char *apart)
{
    return (struct exchange_part){.kind = kind,
                                  .schema = mem_strdup(schema),
                                  .serving = mem_strdup(serving),
                                  .apart = mem_strdup(apart)};
}

static void
part_free(struct exchange_part *p)
{
    free(p->schema);
    free(p->serving);
    free(p->apart);
}

static void
add_part(struct exchange_parts *parts, const char *kind, const char *schema, const char *serving,
         const char *apart)
{
    parts->items = mem_array(parts->items, (size_t)parts->count + 1, sizeof(*parts->items));
    parts->items[parts->count++] = part(kind, schema, serving, apart);
}

/* With a name of its own for the original's part. */
static void
add_original(struct exchange *x, const char *kind, const char *schema, const char *serving,
             struct string_list *taken)
{
    char *apart = name_unlike(serving, "_pgrecast_old", taken);

    add_part(&x->original, kind, schema, serving, apart);
    free(apart);
}

/* The column of a table that owns the very sequence (OWNED BY, not of an identity), or NULL. */
static const struct column *
owner_of(const struct table *t, oid_t sequence)
{
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (!q->identity && q->oid == sequence)
                return &t->columns[i];
    return NULL;
}

static bool
moves_along(const struct plan *p, const struct owned_sequence *q)
{
    return !q->identity && q->oid != 0 && owner_of(p->target, q->oid) != NULL &&
           owner_of(p->source, q->oid) != NULL;
}

static void
plan_original(struct exchange *x, const struct plan *p, struct string_list *relations,
              struct string_list *statistics)
{
    const struct table *s = p->source;

    add_part(&x->original, "TABLE", s->schema, s->name, p->old_name);
    for (int i = 0; i < s->index_count; i++)
        add_original(x, "INDEX", s->schema, s->indexes[i].name, relations);
    for (int i = 0; i < s->statistics_count; i++)
        add_original(x, "STATISTICS", s->statistics[i].schema, s->statistics[i].name, statistics);
    for (int i = 0; i < s->column_count; i++)
        for (const struct owned_sequence *q = s->columns[i].sequence; q != NULL; q = q->next)
            if (!moves_along(p, q))
                add_original(x, "SEQUENCE", q->schema, q->name, relations);
}

static void
plan_made(struct exchange *x, const struct plan *p, const struct name_map *relations,
          const struct name_map *statistics)
{
    const struct table *t = p->target;

    add_part(&x->made, "TABLE", t->schema, p->source->name, p->shadow_name);
    for (int i = 0; i < t->index_count; i++)
        add_part(&x->made, "INDEX", t->schema, t->indexes[i].name,
                 name_map_find(relations, t->indexes[i].name));
    for (int i = 0; i < t->statistics_count; i++)
        add_part(&x->made, "STATISTICS", t->statistics[i].schema, t->statistics[i].name,
                 name_map_find(statistics, t->statistics[i].name));
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (!moves_along(p, q))
                add_part(&x->made, "SEQUENCE", t->schema, q->name, name_map_find(relations, q->name));
}

static void
add_moved(struct exchange *x, const struct plan *p, const struct owned_sequence *q, const char *made_column)
{
    x->moved = mem_array(x->moved, (size_t)x->moved_count + 1, sizeof(*x->moved));
    x->moved[x->moved_count++] = (struct exchange_moved){
        .sequence = name_qualified(p->target->schema, q->name),
        .original_column = mem_strdup(owner_of(p->source, q->oid)->name),
        .made_column = mem_strdup(made_column),
    };
}

/* A sequence that only the target has, and one that only the original has, of the same column. */
static void
add_handed(struct exchange *x, const struct plan *p, const struct name_map *relations, const struct column *c,
           const struct owned_sequence *q)
{
    const struct owned_sequence *old =
        c->attnum <= p->source->column_count ? p->source->columns[c->attnum - 1].sequence : NULL;

    while (old != NULL && moves_along(p, old))
        old = old->next;
    if (old == NULL)
        return;
    x->handed = mem_array(x->handed, (size_t)x->handed_count + 1, sizeof(*x->handed));
    x->handed[x->handed_count++] = (struct exchange_handed){
        .original = part(NULL, old->schema, old->name, exchange_apart(&x->original, "SEQUENCE", old->name)),
        .made = part(NULL, p->target->schema, q->name, name_map_find(relations, q->name)),
        .attnum = c->attnum,
        .followed = q->identity && q->oid != 0,
    };
}

static void
plan_sequences(struct exchange *x, const struct plan *p, const struct name_map *relations)
{
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *c = &p->target->columns[i];
        bool handed = false;

        for (const struct owned_sequence *q = c->sequence; q != NULL; q = q->next) {
            if (moves_along(p, q)) {
                add_moved(x, p, q, c->name);
            } else if (!handed) {
                add_handed(x, p, relations, c, q);
                handed = true;
            }
        }
    }
}

void
exchange_plan(struct exchange *x, const struct plan *p, const struct name_map *shadow_relations,
              const struct name_map *shadow_statistics, struct string_list *relations,
              struct string_list *statistics)
{
    *x = (struct exchange){.table_sql = mem_strdup(p->source_sql)};
    plan_original(x, p, relations, statistics);
    plan_made(x, p, shadow_relations, shadow_statistics);
    plan_sequences(x, p, shadow_relations);
}

static void
parts_free(struct exchange_parts *parts)
{
    for (int i = 0; i < parts->count; i++)
        part_free(&parts->items[i]);
    free(parts->items);
}

void
exchange_free(struct exchange *x)
{
    parts_free(&x->original);
    parts_free(&x->made);
    for (int i = 0; i < x->moved_count; i++) {
        free(x->moved[i].sequence);
        free(x->moved[i].original_column);
        free(x->moved[i].made_column);
    }
    for (int i = 0; i < x->handed_count; i++) {
        part_free(&x->handed[i].original);
        part_free(&x->handed[i].made);
    }
    free(x->moved);
    free(x->handed);
    free(x->table_sql);
    *x = (struct exchange){0};
}

const char *
exchange_apart(const struct exchange_parts *parts, const char *kind, const char *serving)
{
    for (int i = 0; i < parts->count; i++)
        if (strcmp(parts->items[i].kind, kind) == 0 && strcmp(parts->items[i].serving, serving) == 0)
            return parts->items[i].apart;
    return serving;
}

/* The grammar has no IF EXISTS for renaming a statistics object. */
static void
add_rename(const struct exchange_part *p, const char *from, const char *to, bool lenient,
           struct string_list *out)
{
    char *qualified = name_qualified(p->schema, from);
    char *quoted = name_quoted(to);
    bool may_lack = lenient && (strcmp(p->kind, "INDEX") == 0 || strcmp(p->kind, "SEQUENCE") == 0);

    list_addf(out, "ALTER %s %s%s RENAME TO %s", p->kind, may_lack ? "IF EXISTS " : "", qualified, quoted);
    free(quoted);
    free(qualified);
}

void
exchange_to_apart(const struct exchange_parts *parts, bool lenient, struct string_list *out)
{
    for (int i = 0; i < parts->count; i++)
        add_rename(&parts->items[i], parts->items[i].serving, parts->items[i].apart, lenient, out);
}

void
exchange_to_serving(const struct exchange_parts *parts, bool lenient, struct string_list *out)
{
    for (int i = 0; i < parts->count; i++)
        add_rename(&parts->items[i], parts->items[i].apart, parts->items[i].serving, lenient, out);
}

void
exchange_move_sequences(const struct exchange *x, bool to_made, struct string_list *out)
{
    for (int i = 0; i < x->moved_count; i++) {
        char *column = name_quoted(to_made ? x->moved[i].made_column : x->moved[i].original_column);

        list_addf(out, "ALTER SEQUENCE %s OWNED BY %s.%s", x->moved[i].sequence, x->table_sql, column);
        free(column);
    }
}

/*
 * Where one is a like of the other, it takes its state. Where the user gave the column another sequence, or
 * set it anew, the two may be far apart: it only ever goes forward then.
 */
void
exchange_hand_sequences(const struct exchange *x, bool to_made, struct string_list *out)
{
    for (int i = 0; i < x->handed_count; i++) {
        const struct exchange_part *to = to_made ? &x->handed[i].made : &x->handed[i].original;
        const struct exchange_part *from = to_made ? &x->handed[i].original : &x->handed[i].made;
        char *serving = name_qualified(to->schema, to->serving);
        char *apart = name_qualified(from->schema, from->apart);
        struct buffer literal = {0};

        buffer_add_literal(&literal, serving);
        if (x->handed[i].followed)
            list_addf(out, "SELECT pg_catalog.setval(%s, last_value, is_called) FROM %s", literal.data,
                      apart);
        else
            list_addf(out,
                      "SELECT pg_catalog.setval(%s, a.last_value, a.is_called) FROM %s AS a, %s AS b WHERE "
                      "a.last_value > b.last_value",
                      literal.data, apart, serving);
        buffer_free(&literal);
        free(apart);
        free(serving);
    }
}

void
exchange_back(const struct exchange *x, struct string_list *out)
{
    exchange_to_apart(&x->made, true, out);
    exchange_to_serving(&x->original, false, out);
    exchange_move_sequences(x, false, out);
    exchange_hand_sequences(x, false, out);
}

void
exchange_again(const struct exchange *x, struct string_list *out)
{
    exchange_to_apart(&x->original, false, out);
    exchange_to_serving(&x->made, true, out);
    exchange_move_sequences(x, true, out);
    exchange_hand_sequences(x, true, out);
}
