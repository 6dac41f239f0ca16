#include "objects/swap_names.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"

static struct swap_part
part(const char *kind, const char *schema, const char *active, const char *inactive)
{
    return (struct swap_part){.kind = kind,
                              .schema = mem_strdup(schema),
                              .active = mem_strdup(active),
                              .inactive = mem_strdup(inactive)};
}

static void
part_free(struct swap_part *p)
{
    free(p->schema);
    free(p->active);
    free(p->inactive);
}

static void
add_part(struct swap_parts *parts, const char *kind, const char *schema, const char *active,
         const char *inactive)
{
    parts->items = mem_array(parts->items, (size_t)parts->count + 1, sizeof(*parts->items));
    parts->items[parts->count++] = part(kind, schema, active, inactive);
}

/* A part that gets a name of its own on the original. */
static void
add_original(struct swap_names *x, const char *kind, const char *schema, const char *active,
             struct string_list *taken)
{
    char *inactive = name_unlike(active, "_pgrecast_old", taken);

    add_part(&x->original, kind, schema, active, inactive);
    free(inactive);
}

/* The column of a table that owns exactly this sequence (OWNED BY, not of an identity), or NULL. */
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
plan_original(struct swap_names *x, const struct plan *p, struct string_list *relations,
              struct string_list *statistics)
{
    const struct table *s = p->source;

    add_part(&x->original, "TABLE", s->schema, s->name, p->names.old_name);
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
plan_made(struct swap_names *x, const struct plan *p, const struct name_map *relations,
          const struct name_map *statistics)
{
    const struct table *t = p->target;

    add_part(&x->made, "TABLE", t->schema, p->source->name, p->names.shadow_name);
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

/* "AS integer MINVALUE 1 MAXVALUE 2147483647", from a sequence's options. The caller frees it. */
static char *
limits_text(const struct owned_sequence *q, long long *least, long long *most)
{
    const char *min = strstr(q->options, "MINVALUE "), *max = strstr(q->options, "MAXVALUE ");

    *least = min != NULL ? strtoll(min + strlen("MINVALUE "), NULL, 10) : 0;
    *most = max != NULL ? strtoll(max + strlen("MAXVALUE "), NULL, 10) : 0;
    return mem_printf("AS %s MINVALUE %lld MAXVALUE %lld", q->type, *least, *most);
}

/* The sequence's type changes with the column's: record both, so that a rollback can change it back. */
static void
note_type(struct swap_moved *moved, const struct owned_sequence *was, const struct owned_sequence *is)
{
    long long least, most;

    if (strcmp(was->type, is->type) == 0)
        return;
    moved->widen = limits_text(is, &least, &most);
    moved->narrow = limits_text(was, &moved->least, &moved->most);
}

static const struct owned_sequence *
sequence_of(const struct column *c, oid_t oid)
{
    const struct owned_sequence *q = c->sequence;

    while (q->oid != oid)
        q = q->next;
    return q;
}

static void
add_moved(struct swap_names *x, const struct plan *p, const struct owned_sequence *q, const char *made_column)
{
    x->moved = mem_array(x->moved, (size_t)x->moved_count + 1, sizeof(*x->moved));
    x->moved[x->moved_count++] = (struct swap_moved){
        .sequence = name_qualified(p->target->schema, q->name),
        .original_column = mem_strdup(owner_of(p->source, q->oid)->name),
        .made_column = mem_strdup(made_column),
    };
    note_type(&x->moved[x->moved_count - 1], sequence_of(owner_of(p->source, q->oid), q->oid), q);
}

/* Two sequences of the same column: one that only the target has, and one that only the original has. */
static void
add_handed(struct swap_names *x, const struct plan *p, const struct name_map *relations,
           const struct column *c, const struct owned_sequence *q)
{
    const struct owned_sequence *old =
        c->attnum <= p->source->column_count ? p->source->columns[c->attnum - 1].sequence : NULL;

    while (old != NULL && moves_along(p, old))
        old = old->next;
    if (old == NULL)
        return;
    x->handed = mem_array(x->handed, (size_t)x->handed_count + 1, sizeof(*x->handed));
    x->handed[x->handed_count++] = (struct swap_handed){
        .original =
            part(NULL, old->schema, old->name, swap_name_inactive(&x->original, "SEQUENCE", old->name)),
        .made = part(NULL, p->target->schema, q->name, name_map_find(relations, q->name)),
        .attnum = c->attnum,
        .followed = q->identity && q->oid != 0,
    };
}

static void
plan_sequences(struct swap_names *x, const struct plan *p, const struct name_map *relations)
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
swap_names_plan(struct swap_names *x, const struct plan *p, const struct name_map *shadow_relations,
                const struct name_map *shadow_statistics, struct string_list *relations,
                struct string_list *statistics)
{
    *x = (struct swap_names){.table_sql = mem_strdup(p->names.source_sql)};
    plan_original(x, p, relations, statistics);
    plan_made(x, p, shadow_relations, shadow_statistics);
    plan_sequences(x, p, shadow_relations);
}

static void
parts_free(struct swap_parts *parts)
{
    for (int i = 0; i < parts->count; i++)
        part_free(&parts->items[i]);
    free(parts->items);
}

void
swap_names_free(struct swap_names *x)
{
    parts_free(&x->original);
    parts_free(&x->made);
    for (int i = 0; i < x->moved_count; i++) {
        free(x->moved[i].sequence);
        free(x->moved[i].original_column);
        free(x->moved[i].made_column);
        free(x->moved[i].widen);
        free(x->moved[i].narrow);
    }
    for (int i = 0; i < x->handed_count; i++) {
        part_free(&x->handed[i].original);
        part_free(&x->handed[i].made);
    }
    free(x->moved);
    free(x->handed);
    free(x->table_sql);
    *x = (struct swap_names){0};
}

const char *
swap_name_inactive(const struct swap_parts *parts, const char *kind, const char *active)
{
    for (int i = 0; i < parts->count; i++)
        if (strcmp(parts->items[i].kind, kind) == 0 && strcmp(parts->items[i].active, active) == 0)
            return parts->items[i].inactive;
    return active;
}

/* The grammar has no IF EXISTS for renaming a statistics object. */
static void
swap_names_add_rename(const struct swap_part *p, const char *from, const char *to, bool lenient,
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
swap_to_inactive(const struct swap_parts *parts, bool lenient, struct string_list *out)
{
    for (int i = 0; i < parts->count; i++)
        swap_names_add_rename(&parts->items[i], parts->items[i].active, parts->items[i].inactive, lenient,
                              out);
}

void
swap_to_active(const struct swap_parts *parts, bool lenient, struct string_list *out)
{
    for (int i = 0; i < parts->count; i++)
        swap_names_add_rename(&parts->items[i], parts->items[i].inactive, parts->items[i].active, lenient,
                              out);
}

void
swap_move_sequences(const struct swap_names *x, bool to_made, struct string_list *out)
{
    for (int i = 0; i < x->moved_count; i++) {
        char *column = name_quoted(to_made ? x->moved[i].made_column : x->moved[i].original_column);

        list_addf(out, "ALTER SEQUENCE %s OWNED BY %s.%s", x->moved[i].sequence, x->table_sql, column);
        if (to_made && x->moved[i].widen != NULL)
            list_addf(out, "ALTER SEQUENCE %s %s", x->moved[i].sequence, x->moved[i].widen);
        else if (!to_made &&
                 /* beyond the limit it stays wide, so that no value is given out twice */
                 x->moved[i].narrow != NULL)
            list_addf(out,
                      "DO $pgrecast$ BEGIN IF (SELECT last_value BETWEEN %lld AND %lld FROM %s) THEN "
                      "ALTER SEQUENCE %s %s; END IF; END $pgrecast$",
                      x->moved[i].least, x->moved[i].most, x->moved[i].sequence, x->moved[i].sequence,
                      x->moved[i].narrow);
        free(column);
    }
}

/*
 * If one sequence is like the other, it takes the other's state. If the user gave the column another
 * sequence, or set it anew, the two positions may be far apart: then the sequence is only ever moved forward.
 */
void
swap_hand_sequences(const struct swap_names *x, bool to_made, struct string_list *out)
{
    for (int i = 0; i < x->handed_count; i++) {
        const struct swap_part *to = to_made ? &x->handed[i].made : &x->handed[i].original;
        const struct swap_part *from = to_made ? &x->handed[i].original : &x->handed[i].made;
        char *active = name_qualified(to->schema, to->active);
        char *inactive = name_qualified(from->schema, from->inactive);
        struct buffer literal = {0};

        buffer_add_literal(&literal, active);
        if (x->handed[i].followed)
            list_addf(out, "SELECT pg_catalog.setval(%s, last_value, is_called) FROM %s", literal.data,
                      inactive);
        else
            list_addf(out,
                      "SELECT pg_catalog.setval(%s, a.last_value, a.is_called) FROM %s AS a, %s AS b WHERE "
                      "a.last_value > b.last_value",
                      literal.data, inactive, active);
        buffer_free(&literal);
        free(inactive);
        free(active);
    }
}

void
swap_back(const struct swap_names *x, struct string_list *out)
{
    swap_to_inactive(&x->made, true, out);
    swap_to_active(&x->original, false, out);
    swap_move_sequences(x, false, out);
    swap_hand_sequences(x, false, out);
}

void
swap_again(const struct swap_names *x, struct string_list *out)
{
    swap_to_inactive(&x->original, false, out);
    swap_to_active(&x->made, true, out);
    swap_move_sequences(x, true, out);
    swap_hand_sequences(x, true, out);
}
