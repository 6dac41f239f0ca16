#include "rows/types.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum {
    BOOL = 16,
    BYTEA = 17,
    INT8 = 20,
    INT2 = 21,
    INT4 = 23,
    TEXT = 25,
    JSON = 114,
    XML = 142,
    VARCHAR = 1043,
    DATE = 1082,
    TIMESTAMP = 1114,
    TIMESTAMPTZ = 1184,
    NUMERIC = 1700,
    UUID = 2950,
    JSONB = 3802,
};

bool
types_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

int
types_varchar_length(const char *type)
{
    const char *paren = strchr(type, '(');

    return paren == NULL ? -1 : atoi(paren + 1);
}

static bool
types_is_integer(const struct column *c)
{
    return c->base_type_oid == INT2 || c->base_type_oid == INT4 || c->base_type_oid == INT8;
}

static bool
types_is_text(const struct column *c)
{
    return c->base_type_oid == TEXT || c->base_type_oid == VARCHAR;
}

static bool
is_document(const struct column *c)
{
    return c->base_type_oid == JSON || c->base_type_oid == JSONB || c->base_type_oid == XML;
}

bool
types_is_timestamp(const struct column *c, bool with_zone)
{
    return c->type_oid == (with_zone ? TIMESTAMPTZ : TIMESTAMP);
}

/* numeric without a precision */
static bool
is_free_numeric(const struct column *c)
{
    return c->base_type_oid == NUMERIC && strchr(c->base_type, '(') == NULL;
}

/* numeric, and no integer is rounded: the scale is not negative. A precision that is too small is an error, not another value. */
static bool
keeps_integers(const struct column *c)
{
    const char *scale = strchr(c->base_type, ',');

    return c->base_type_oid == NUMERIC && (scale == NULL || atoi(scale + 1) >= 0);
}

/* The longest text that fits; -1: any length. */
static int
room(const struct column *c)
{
    return c->base_type_oid == TEXT ? -1 : types_varchar_length(c->base_type);
}

/* Trailing spaces that do not fit are cut off without an error, so a longer type is needed for them. */
static bool
has_room(const struct column *from, const struct column *to)
{
    return room(to) < 0 || (room(from) >= 0 && room(from) <= room(to));
}

bool
types_assign_exactly(const struct column *from, const struct column *to)
{
    if (strcmp(from->base_type, to->base_type) == 0 || (types_is_integer(from) && types_is_integer(to)))
        return true;
    return types_is_text(from) && types_is_text(to) && has_room(from, to);
}

/* The server's integer types, by their width */
static int
width(const struct column *c)
{
    return c->base_type_oid == INT2 ? 2 : c->base_type_oid == INT4 ? 4 : 8;
}

bool
types_always_fit(const struct column *from, const struct column *to)
{
    if (to->type_oid != to->base_type_oid && strcmp(from->type, to->type) != 0) /* a domain may check it */
        return false;
    if (types_is_integer(from) && types_is_integer(to))
        return width(from) <= width(to);
    return types_assign_exactly(from, to) || types_keep_meaning(from, to);
}

bool
types_keep_meaning(const struct column *from, const struct column *to)
{
    return is_document(from) && (is_document(to) || (types_is_text(to) && room(to) < 0));
}

bool
types_compare_well(const struct column *c)
{
    static const oid_t well[] = {BOOL, BYTEA, INT2, INT4, INT8, DATE, TIMESTAMP, TIMESTAMPTZ, NUMERIC, UUID};

    for (size_t i = 0; i < sizeof(well) / sizeof(well[0]); i++)
        if (c->base_type_oid == well[i])
            return true;
    return false;
}

bool
types_keep_keys(const struct column *from, const struct column *to)
{
    /* under collations that are deterministic the same bytes are equal, and no others */
    if (!types_same(from->base_collation, to->base_collation) &&
        (from->nondeterministic || to->nondeterministic))
        return false;
    if (strcmp(from->base_type, to->base_type) == 0 || (types_is_integer(from) && types_is_integer(to)))
        return true;
    if (types_is_integer(from))
        return keeps_integers(to);
    if (from->base_type_oid == NUMERIC)
        return is_free_numeric(to);
    return types_is_text(from) && types_is_text(to) && has_room(from, to);
}

static char *
integer_lookup(const struct column *to)
{
    static const struct {
        oid_t type;
        const char *least, *most, *name;
    } limits[] = {
        {INT2, "-32768", "32767", "int2"},
        {INT4, "-2147483648", "2147483647", "int4"},
        {INT8, "-9223372036854775808", "9223372036854775807", "int8"},
    };
    size_t i = 0;

    while (limits[i].type != to->base_type_oid)
        i++;
    return mem_printf("CASE WHEN $1::pg_catalog.numeric BETWEEN %s AND %s AND pg_catalog.trunc("
                      "$1::pg_catalog.numeric) = $1::pg_catalog.numeric THEN $1::pg_catalog.%s END",
                      limits[i].least, limits[i].most, limits[i].name);
}

char *
types_lookup(const struct column *from, const struct column *to)
{
    if (strcmp(from->base_type, to->base_type) == 0)
        return NULL;
    if (types_is_integer(from))
        return mem_printf("$1::%s", from->base_type);
    if (types_is_text(from))
        return mem_strdup("$1::pg_catalog.text");
    return types_is_integer(to) ? integer_lookup(to) : mem_strdup("$1::pg_catalog.numeric");
}
