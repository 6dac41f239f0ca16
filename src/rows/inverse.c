#include "rows/inverse.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "pg/settings.h"
#include "rows/guard.h"
#include "rows/types.h"

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
    list_addf(&m->obstacles->reasons, "a rollback would not be possible: column \"%s\" %s", c->name, reason);
    free(reason);
    if (m->obstacles->needs_map == NULL)
        m->obstacles->needs_map = mem_strdup(c->name);
}

static struct column_value *
inverse_value_add(struct making *m, const struct column *c, enum column_origin origin)
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

/*
 * Whether there is a cast back to the original's type. The query is over the clone's own column, so nothing
 * is evaluated.
 */
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

/* What the change makes of the value after it was converted to the original's type. */
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

/* Back from AT TIME ZONE: the same zone, from the other type. */
static char *
back_of(const struct column_value *v, const struct column *c, const char *value)
{
    struct buffer sql = {0};

    if (v->own_zone == NULL)
        return mem_printf("CAST(%s AS %s)", value, c->type);
    buffer_add_text(&sql, "CAST(pg_catalog.timezone(");
    buffer_add_literal(&sql, v->own_zone);
    buffer_printf(&sql, "::pg_catalog.text, %s) AS %s)", value, c->type);
    return buffer_take(&sql);
}

/*
 * A zone with daylight saving time has an hour twice, and another one not at all: two values become one there, and
 * only one of them can come back. So a value is refused that a second value becomes too. That second one has
 * another offset, which is in force near by: a day before or after, because no zone changes twice within two days.
 */
static void
add_only_one(struct buffer *sql, const struct making *m, const struct column_value *v, const struct column *c,
             const struct column *to, const char *value, const char *back)
{
    static const char *const signs[] = {"-", "+"};

    for (int i = 0; v->own_zone != NULL && i < 2; i++) {
        char *near =
            mem_printf("(%s OPERATOR(pg_catalog.%s) '26:00:00'::pg_catalog.interval)", value, signs[i]);
        char *there = back_of(v, c, near);
        char *other = mem_printf("CAST(%s OPERATOR(pg_catalog.%s) '26:00:00'::pg_catalog.interval AS %s)",
                                 there, signs[1 - i], c->type);
        char *forth = forth_again(m, v, other, to);

        buffer_printf(sql, "(%s IS DISTINCT FROM %s OR %s IS NOT DISTINCT FROM %s) AND ", forth, value, other,
                      back);
        free(forth);
        free(other);
        free(there);
        free(near);
    }
}

/*
 * The value cast back, if applying the change to it again gives the same value; else the error of a value
 * that does not fit.
 */
static char *
guarded(const struct making *m, const struct column_value *v, const struct column *c, const struct column *to,
        const char *value, const char *back)
{
    const char *as = types_compare_well(to)       ? "%s"
                     : m->transform->texts_differ ? SESSION_TEXT_FUNCTION "(%s) COLLATE pg_catalog.\"C\""
                                                  : "CAST(%s AS pg_catalog.text) COLLATE pg_catalog.\"C\"";
    char *forth = forth_again(m, v, back, to);
    struct buffer sql = {0};

    buffer_add_text(&sql, "CASE WHEN ");
    add_only_one(&sql, m, v, c, to, value, back);
    for (int side = 0; side < 2; side++) {
        const char *operand = side == 0 ? forth : value;
        const char *hole = strstr(as, "%s");

        buffer_add_text(&sql, side == 0 ? "" : " IS NOT DISTINCT FROM ");
        buffer_add(&sql, as, (size_t)(hole - as));
        buffer_add_text(&sql, operand);
        buffer_add_text(&sql, hole + strlen("%s"));
    }
    buffer_printf(&sql, " THEN %s WHEN ", back);
    guard_add(&sql, (int)(c - m->forward->source->columns), value);
    buffer_add_text(&sql, " THEN NULL END");
    free(forth);
    return buffer_take(&sql);
}

/*
 * The server checks a cast to a domain by all of its constraints, also those that are NOT VALID, so it may
 * refuse values that the original holds.
 */
static void
refuse_unvalidated(struct making *m, const struct column *c)
{
    list_addf(
        &m->obstacles->reasons,
        "a rollback would not be possible: column \"%s\" would no longer be of type %s, which has a "
        "constraint that is NOT VALID: "
        "values that the original holds could not be written back. ALTER DOMAIN ... VALIDATE CONSTRAINT "
        "first",
        c->name, c->type);
}

/* timezone() has an inverse between these two types only. */
static bool
zone_has_inverse(const struct column *c, const struct column *to)
{
    return types_is_timestamp(c, false) ? types_is_timestamp(to, true)
                                        : types_is_timestamp(c, true) && types_is_timestamp(to, false);
}

static bool
add_converted(struct making *m, int column, const struct column *to)
{
    const struct column *c = &m->forward->source->columns[column];
    const struct column_value *v = transform_value(m->transform, column + 1);
    struct column_value *inverse = inverse_value_add(m, c, COLUMN_FROM_ROW);
    struct buffer value = {0};
    bool has = true;

    buffer_add_text(&value, "pgrecast_src.");
    buffer_add_identifier(&value, to->name);
    inverse->plain = true;
    inverse->depends_on[to - m->forward->target->columns] = true;
    inverse->cast = strcmp(c->type, to->type) != 0 ? mem_strdup(c->type) : NULL;
    if (c->unvalidated && strcmp(c->type, to->type) != 0) {
        refuse_unvalidated(m, c);
    } else if (transform_is_direct(v) && types_assign_exactly(to, c)) {
        inverse->expr = buffer_take(&value);
    } else if (has_cast(m, to, c, &has) && has) {
        char *back = back_of(v, c, value.data);

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
    struct column_value *v = inverse_value_add(m, c, COLUMN_FROM_ROW);

    v->expr = mem_strdup(map->expr);
    v->cast = mem_strdup(c->type);
    v->kept = inverse_target(m->forward, column) == NULL;
    memcpy(v->depends_on, map->depends_on, (size_t)m->forward->target->column_count);
}

/* Whether a column can be left out of an INSERT. A domain's own NOT NULL shows in a cast of NULL to it. */
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

    inverse_value_add(m, c, COLUMN_DEFAULT);
    if (!may_be_left_out(m, c, &may))
        return false;
    if (!may)
        want_map(m, c, "is dropped, must not be NULL and has no default: new rows would have no value");
    return true;
}

/*
 * The original computes the column. If the new table computes it from the same columns, the new table's value
 * is the one that it has to be. A new column of another type may hold less.
 */
static void
add_generated(struct making *m, int column, const struct column *to)
{
    const struct column *c = &m->forward->source->columns[column];
    struct column_value *inverse = inverse_value_add(m, c, COLUMN_GENERATED);
    const struct transform *stored = m->transform->stored;
    const struct column_value *v = stored == NULL ? NULL : transform_value(stored, column + 1);
    struct buffer value = {0};

    if (to == NULL || to->generated != 's' || v == NULL || !v->stored || !types_assign_exactly(to, c) ||
        !types_always_fit(c, to))
        return;
    buffer_add_text(&value, "pgrecast_src.");
    buffer_add_identifier(&value, to->name);
    inverse->expr = buffer_take(&value);
    inverse->cast = strcmp(c->type, to->type) != 0 ? mem_strdup(c->type) : NULL;
    inverse->stored = true;
}

static bool
inverse_add_column(struct making *m, int column)
{
    const struct column *c = &m->forward->source->columns[column];
    const struct column *to = inverse_target(m->forward, column);
    const struct reverse_map *map = reverse_map_of(m->maps, column);
    const struct column_value *v = transform_value(m->transform, column + 1);

    if (c->generated != '\0') {
        add_generated(m, column, to);
        if (to != NULL && to->generated == '\0')
            list_addf(&m->obstacles->reasons,
                      "a rollback would not be possible: column \"%s\" is computed in the original, which "
                      "could not take what is "
                      "written to it in the new table",
                      c->name);
    } else if (map != NULL) {
        add_mapped(m, column, map);
    } else if (to == NULL) {
        return add_dropped(m, c);
    } else if (inverse_is_direct(m->transform, column) ||
               (v->own_cast != NULL && v->conversions == 1 &&
                (v->own_zone == NULL || zone_has_inverse(c, to)))) {
        return add_converted(m, column, to);
    } else {
        inverse_value_add(m, c, COLUMN_DEFAULT);
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

    inverse->texts_differ = transform->texts_differ;
    inverse->encoding = transform->encoding;
    for (int i = 0; i < forward->source->column_count; i++)
        if (!inverse_add_column(&m, i))
            return false;
    return true;
}
