#include "ddl/inverse.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/list.h"
#include "ddl/names.h"
#include "ddl/types.h"

struct making {
    struct transform *inverse;
    const struct plan *forward;
    const struct transform *transform; /* of the forward plan */
    const struct reverse_maps *maps;
    const struct view_place *place;
    struct obstacles *obstacles;
    struct error *err;
};

const struct column *
inverse_target(const struct plan *forward, int column)
{
    return table_column(forward->target, column + 1);
}

bool
inverse_is_direct(const struct transform *transform, int column)
{
    const struct column_value *v = transform_value(transform, column + 1);

    return v != NULL && transform_is_direct(v);
}

static void __attribute__((format(printf, 3, 4)))
want_map(struct making *m, const struct column *c, const char *fmt, ...)
{
    va_list args;
    char *reason;

    va_start(args, fmt);
    reason = mem_vprintf(fmt, args);
    va_end(args);
    list_addf(&m->obstacles->reasons, "no way back: column \"%s\" %s", c->name, reason);
    free(reason);
    if (m->obstacles->needs_map == NULL)
        m->obstacles->needs_map = mem_strdup(c->name);
}

static struct column_value *
value_add(struct making *m, const struct column *c, enum column_origin origin)
{
    struct transform *t = m->inverse;

    t->values = mem_array(t->values, (size_t)t->count + 1, sizeof(*t->values));
    t->values[t->count] = (struct column_value){
        .attnum = c->attnum,
        .origin = origin,
        .depends_on = mem_alloc((size_t)m->forward->target->column_count + 1),
    };
    return &t->values[t->count++];
}

/* Is there a cast back? Asked of the clone's own column: nothing is evaluated. */
static bool
has_cast(struct making *m, const struct column *from, const struct column *to, bool *has)
{
    char *clone = name_qualified(m->place->schema, m->place->table);
    char *column = name_quoted(from->name);
    struct error refused = {0};
    bool ok = session_execute(m->place->s, m->err, "SAVEPOINT pgrecast_probe");

    if (ok) {
        *has = session_executef(m->place->s, &refused, "EXPLAIN SELECT CAST(t.%s AS %s) FROM %s AS t", column,
                                to->type, clone);
        if (!*has && (refused.connection_lost || refused.stopped)) {
            error_move(m->err, &refused);
            ok = false;
        }
    }
    ok = ok && session_execute(m->place->s, m->err,
                               "ROLLBACK TO SAVEPOINT pgrecast_probe; RELEASE SAVEPOINT pgrecast_probe");
    error_clear(&refused);
    free(column);
    free(clone);
    return ok;
}

/* What the change makes of the value once it is of the original's type. */
static char *
forth_again(const struct making *m, const struct column_value *v, const char *back, const struct column *to)
{
    struct buffer sql = {0};

    if (v->own_cast == NULL) {
        buffer_printf(&sql, "CAST(%s AS %s)", back, to->type);
    } else {
        buffer_printf(&sql, "(SELECT CAST(pgrecast_cast.c1 AS %s) FROM (%s FROM (SELECT %s AS ", to->type,
                      v->own_cast, back);
        buffer_add_identifier(&sql, v->own_name);
        buffer_add_text(&sql, ") AS ");
        buffer_add_identifier(&sql, m->forward->source->name);
        buffer_add_text(&sql, ") AS pgrecast_cast)");
    }
    return buffer_take(&sql);
}

/*
 * The value cast back, if it is the same after the change has been made of it again; else the error of a bad
 * value. Its text must hang on the row, or it would be evaluated once, for nothing.
 */
static char *
guarded(const struct making *m, const struct column_value *v, const struct column *c, const struct column *to,
        const char *value, const char *back)
{
    const char *as = types_compare_well(to) ? "%s" : "CAST(%s AS pg_catalog.text) COLLATE pg_catalog.\"C\"";
    char *forth = forth_again(m, v, back, to);
    char *message = mem_printf("a value of column %s does not fit %s", to->name, c->type);
    struct buffer sql = {0};

    buffer_add_text(&sql, "CASE WHEN ");
    for (int side = 0; side < 2; side++) {
        const char *operand = side == 0 ? forth : value;
        const char *hole = strstr(as, "%s");

        buffer_add_text(&sql, side == 0 ? "" : " IS NOT DISTINCT FROM ");
        buffer_add(&sql, as, (size_t)(hole - as));
        buffer_add_text(&sql, operand);
        buffer_add_text(&sql, hole + strlen("%s"));
    }
    buffer_printf(&sql, " THEN %s WHEN CAST(", back);
    buffer_add_literal(&sql, message);
    buffer_printf(
        &sql, " || pg_catalog.left(CAST(%s AS pg_catalog.text), 0) AS pg_catalog.bool) THEN NULL END", value);
    free(message);
    free(forth);
    return buffer_take(&sql);
}

static bool
add_converted(struct making *m, int column, const struct column *to)
{
    const struct column *c = &m->forward->source->columns[column];
    const struct column_value *v = transform_value(m->transform, column + 1);
    struct column_value *inverse = value_add(m, c, COLUMN_FROM_ROW);
    struct buffer value = {0};
    bool has = true;

    buffer_add_text(&value, "pgrecast_src.");
    buffer_add_identifier(&value, to->name);
    inverse->plain = true;
    inverse->depends_on[to - m->forward->target->columns] = true;
    inverse->cast = strcmp(c->type, to->type) != 0 ? mem_strdup(c->type) : NULL;
    if (transform_is_direct(v) && types_assign_exactly(to, c)) {
        inverse->expr = buffer_take(&value);
    } else if (has_cast(m, to, c, &has) && has) {
        char *back = mem_printf("CAST(%s AS %s)", value.data, c->type);

        if (types_keep_meaning(to, c))
            inverse->expr = mem_strdup(back);
        else
            inverse->expr = guarded(m, v, c, to, value.data, back);
        free(back);
    } else if (m->err->kind == ERROR_NONE) {
        want_map(m, c, "was %s, is converted to %s, and there is no cast back", c->type, to->type);
    }
    buffer_free(&value);
    return m->err->kind == ERROR_NONE;
}

static void
add_mapped(struct making *m, int column, const struct reverse_map *map)
{
    const struct column *c = &m->forward->source->columns[column];
    struct column_value *v = value_add(m, c, COLUMN_FROM_ROW);

    v->expr = mem_strdup(map->expr);
    v->cast = mem_strdup(c->type);
    v->kept = inverse_target(m->forward, column) == NULL;
    memcpy(v->depends_on, map->depends_on, (size_t)m->forward->target->column_count);
}

/* May a column be left out of an INSERT? A domain's own NOT NULL shows when it is cast to. */
static bool
may_be_left_out(struct making *m, const struct column *c, bool *may)
{
    struct error refused = {0};
    bool ok;

    *may = c->default_expr != NULL || c->identity != '\0' || !c->not_null;
    if (!*may || c->default_expr != NULL || c->type_oid == c->base_type_oid)
        return true;
    ok = session_execute(m->place->s, m->err, "SAVEPOINT pgrecast_probe");
    *may = ok && session_executef(m->place->s, &refused, "SELECT CAST(NULL AS %s)", c->type);
    error_clear(&refused);
    return ok && session_execute(m->place->s, m->err,
                                 "ROLLBACK TO SAVEPOINT pgrecast_probe; RELEASE SAVEPOINT pgrecast_probe");
}

static bool
add_dropped(struct making *m, const struct column *c)
{
    bool may;

    value_add(m, c, COLUMN_DEFAULT);
    if (!may_be_left_out(m, c, &may))
        return false;
    if (!may)
        want_map(m, c, "is dropped, must not be NULL and has no default: new rows would have no value");
    return true;
}

static bool
add_column(struct making *m, int column)
{
    const struct column *c = &m->forward->source->columns[column];
    const struct column *to = inverse_target(m->forward, column);
    const struct reverse_map *map = reverse_map_of(m->maps, column);
    const struct column_value *v = transform_value(m->transform, column + 1);

    if (c->generated != '\0') {
        value_add(m, c, COLUMN_GENERATED);
        if (to != NULL && to->generated == '\0')
            list_addf(&m->obstacles->reasons,
                      "no way back: column \"%s\" is computed in the original, which could not take what is "
                      "written to it in the new table",
                      c->name);
    } else if (map != NULL) {
        add_mapped(m, column, map);
    } else if (to == NULL) {
        return add_dropped(m, c);
    } else if (inverse_is_direct(m->transform, column) || (v->own_cast != NULL && v->conversions == 1)) {
        return add_converted(m, column, to);
    } else {
        value_add(m, c, COLUMN_DEFAULT);
        want_map(m, c,
                 v->plain ? "is converted in more than one step: how to turn that around is not known"
                          : "is computed by a USING expression: how to turn that around is not known");
    }
    return true;
}

bool
inverse_make(struct transform *inverse, const struct plan *forward, const struct transform *transform,
             const struct reverse_maps *maps, const struct view_place *place, struct obstacles *obstacles,
             struct error *err)
{
    struct making m = {inverse, forward, transform, maps, place, obstacles, err};

    for (int i = 0; i < forward->source->column_count; i++)
        if (!add_column(&m, i))
            return false;
    return true;
}
