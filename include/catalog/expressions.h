/*
 * What the stored expressions of objects use: operators, functions, collations, relations and types, in the
 * order in which they stand in the trees that the server has stored. The text of an expression does not say
 * this: "a IS DISTINCT FROM b", NULLIF, CASE a WHEN b, JOIN … USING and comparisons of rows name no operator.
 * They mean whatever the search_path finds while the text is read.
 *
 * So an expression that was read again is compared with the one that it was made from by what it uses, never
 * by its text, because some texts change although the meaning is the same. Code that has to read an
 * expression again uses uses_path().
 */
#ifndef PGRECAST_CATALOG_EXPRESSIONS_H
#define PGRECAST_CATALOG_EXPRESSIONS_H

#include <stdbool.h>

#include "catalog/table.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/list.h"
#include "pg/session.h"

struct use {
    char *part;      /* the part of the object: "condition", "query" … */
    char *kind;      /* operator, order (of a sort or group), function, collation, relation, type */
    char *identity;  /* qualified, with the types of its arguments, so that it is unique */
    bool is_cast;    /* a conversion, or the type of a constant */
    char *schema;    /* quoted where it has to be */
    char *name;      /* schema and name, without types */
    char *arguments; /* their types, with commas; NULL: none */
    char *result;    /* type, or NULL */
};

struct uses {
    int count;
    struct use *items;
};

struct object_id {
    oid_t class_oid, oid;
};

/* For count objects, into uses[] of the caller. An object without expressions uses nothing. */
bool uses_read(struct session *s, const struct object_id *objects, int count, struct uses *uses,
               struct error *err);
void uses_free(struct uses *uses);

/*
 * The search_path with which the texts of the expressions have to be read: pg_catalog, the schemas of their
 * operators, the temporary schema last. NULL if there are no such schemas: then an empty search_path is
 * right. The caller frees it.
 */
char *uses_path(const struct uses *uses);

/* Whether everything that they use is in pg_catalog, where only a superuser can add something. */
bool uses_are_built_in(const struct uses *uses);

/* In all names, replace schema from by schema to; both as they are written in SQL. */
void uses_move(struct uses *uses, const char *from, const char *to);

/* The same in one text; *text belongs to the caller. */
void text_move(char **text, const char *from, const char *to);

/*
 * How an expression differs from the one that it was made from, as a clause for people: "its condition uses
 * operator =(text,text) instead of public.=(…)". NULL: it means the same. The caller frees it.
 *
 * types: the new types of columns whose type changes, as uses_add_type() gives them. If there are any, an
 * operator or function may be the one of the same schema and name for these types, or for the results of such
 * a function, and conversions and constants may differ. NULL: no difference is allowed.
 */
char *uses_difference(const struct uses *before, const struct uses *now, const struct string_list *types);

/* Add the type of a column: without its length, and the type of its elements. */
void uses_add_type(struct string_list *types, const char *type);

/*
 * What the expressions of a table itself use: of each column, check, index and statistics object that has an
 * expression.
 */
struct named_uses {
    /*
     * as pg_get_object_address() names it: "default value" (and generated columns), "table constraint",
     * "index", "statistics object"
     */
    const char *kind;
    char *name;
    struct uses uses;
};

struct table_uses {
    int count;
    struct named_uses *items;
};

/* t must have the parts of the table, and its oid. */
bool table_uses_read(struct session *s, const struct table *t, struct table_uses *uses, struct error *err);
void table_uses_free(struct table_uses *uses);
const struct named_uses *table_uses_find(const struct table_uses *uses, const char *kind, const char *name);

/* uses_path() for all of them together. */
char *table_uses_path(const struct table_uses *uses);

/* A list of texts as the server reads an array. */
void array_add(struct buffer *array, const char *item); /* NULL: SQL NULL */
const char *array_end(struct buffer *array);

#endif
