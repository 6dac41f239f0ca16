/*
 * Structs described by data: for each member its name, its kind and its place. From this one description an
 * object with everything that it owns is written as JSON, read back and freed. So a new member is one more
 * line in its table, and no more code.
 *
 * The JSON: a struct is an object with every member in it; a list or chain is an array (its count is not
 * written); a text is a string or null; a char is a string of at most one byte; an enum is its name. The
 * order of the members means nothing. Texts must be UTF-8: a session gives and accepts no other encoding,
 * whatever that of the database is.
 *
 * Reading refuses everything that does not match exactly: a member that is missing, unknown or given twice,
 * another type, a number out of range, a count that contradicts another. The error names the path, as in
 * "plan.back.columns[3].type". The caller checks what a text or a number means.
 */
#ifndef PGRECAST_CORE_FIELDS_H
#define PGRECAST_CORE_FIELDS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define FIELDS_LIST_MAX (1 << 20) /* items of a list, when reading */
#define FIELDS_NO_FORMAT (-1)     /* the text contains no format number, only the members */

enum field_kind {
    KIND_TEXT, /* char *, may be NULL */
    KIND_BOOL,
    KIND_CHAR,
    KIND_INT,
    KIND_INT64,
    KIND_UINT32,
    KIND_ENUM,
    KIND_STRUCT,  /* as a member, or the item of a list */
    KIND_POINTER, /* to one struct, may be NULL */
    KIND_CHAIN,   /* to the first of structs linked by a pointer */
    KIND_LIST,    /* to an array of items of a kind */
};

/* The struct that a field is in, linked upwards to the outermost struct. */
struct holder {
    const struct holder *up;
    const void *object;
    const char *name; /* name of the field of up->object that it is, or is an item of */
    int number;       /* its position there, or -1 */
};

/*
 * The length of a list whose count is stored elsewhere. Everything that is described above the list has been
 * read.
 */
typedef int field_counter(const struct holder *in);

struct shape;

struct field {
    const char *name;
    enum field_kind kind;
    enum field_kind item; /* of a list */
    size_t offset;
    size_t item_size; /* size of what it points to */
    /* of a list: where its count is, an int; of a chain: where the link is, within the item */
    size_t link_at;
    field_counter *count;     /* of a list: used instead of link_at; such a list may be NULL */
    const char *const *names; /* of an enum: in the order of the values, which start at 0; ends with NULL */
    const struct shape *shape;
};

/* The list that gives the length of another list is described before it. */
struct shape {
    const char *name;
    size_t size;
    const struct field *fields;
    size_t field_count;
};

#define FIELD_MEMBER(owner, member) (((owner *)NULL)->member)
/* clang-format off */
#define FIELD_SCALARS                                                                                        \
    char *: KIND_TEXT, bool: KIND_BOOL, char: KIND_CHAR, int: KIND_INT, int64_t: KIND_INT64, uint32_t: KIND_UINT32
#define FIELD_KIND(value) _Generic(value, FIELD_SCALARS)
#define FIELD_ITEM_KIND(value) _Generic(value, FIELD_SCALARS, default: KIND_STRUCT)
/* clang-format on */

/* A member that is a text, a bool, a char or a number. */
#define FIELD(owner, member)                                                                                 \
    {                                                                                                        \
        .name = #member, .kind = FIELD_KIND(FIELD_MEMBER(owner, member)), .offset = offsetof(owner, member)  \
    }
#define FIELD_ENUM(owner, member, value_names)                                                               \
    {                                                                                                        \
        .name = #member, .kind = KIND_ENUM, .offset = offsetof(owner, member), .names = (value_names)        \
    }
/* A member that is a struct. */
#define FIELD_STRUCT(owner, member, of)                                                                      \
    {                                                                                                        \
        .name = #member, .kind = KIND_STRUCT, .offset = offsetof(owner, member),                             \
        .item_size = sizeof(FIELD_MEMBER(owner, member)), .shape = (of)                                      \
    }
#define FIELD_POINTER(owner, member, of)                                                                     \
    {                                                                                                        \
        .name = #member, .kind = KIND_POINTER, .offset = offsetof(owner, member),                            \
        .item_size = sizeof(*FIELD_MEMBER(owner, member)), .shape = (of)                                     \
    }
#define FIELD_CHAIN(owner, member, link, of)                                                                 \
    {                                                                                                        \
        .name = #member, .kind = KIND_CHAIN, .offset = offsetof(owner, member),                              \
        .item_size = sizeof(*FIELD_MEMBER(owner, member)),                                                   \
        .link_at = offsetof(__typeof__(*FIELD_MEMBER(owner, member)), link), .shape = (of)                   \
    }
/* of is NULL for a list of texts or numbers. */
#define FIELD_LIST_AS(as, owner, member, of)                                                                 \
    .name = (as), .kind = KIND_LIST, .offset = offsetof(owner, member),                                      \
    .item = FIELD_ITEM_KIND(*FIELD_MEMBER(owner, member)),                                                   \
    .item_size = sizeof(*FIELD_MEMBER(owner, member)), .shape = (of)
#define FIELD_LIST(owner, member, counter, of)                                                               \
    {                                                                                                        \
        FIELD_LIST_AS(#member, owner, member, of), .link_at = offsetof(owner, counter)                       \
    }
#define FIELD_LIST_COUNTED(owner, member, counted, of)                                                       \
    {                                                                                                        \
        FIELD_LIST_AS(#member, owner, member, of), .count = (counted)                                        \
    }
/* A member that is a struct of .count and .items. */
#define FIELD_LIST_STRUCT(owner, member, of)                                                                 \
    {                                                                                                        \
        FIELD_LIST_AS(#member, owner, member.items, of), .link_at = offsetof(owner, member.count)            \
    }

/*
 * The build fails here if struct TYPE has grown or shrunk: update its table of fields, then the size stated
 * beside it.
 */
#define FIELDS_COMPLETE(type, size_lp64)                                                                     \
    static_assert(sizeof(void *) != 8 || sizeof(struct type) == (size_lp64),                                 \
                  "struct " #type " changed: describe its fields here, then correct this size")

/* Defines TYPE_shape from TYPE_fields[]. */
#define SHAPE(type, size_lp64)                                                                               \
    const struct shape type##_shape = {.name = #type,                                                        \
                                       .size = sizeof(struct type),                                          \
                                       .fields = type##_fields,                                              \
                                       .field_count = sizeof(type##_fields) / sizeof(type##_fields[0])};     \
    FIELDS_COMPLETE(type, size_lp64)

/*
 * The object as JSON, which the caller frees. The reader must ask for the same format number. It has to be
 * raised when a member changes its meaning but neither its name nor its type.
 */
char *fields_write(const struct shape *shape, int format, const void *object);

/*
 * An object of the shape, to be released with fields_free(). NULL with ERROR_FAILED for any other text; the
 * error's path begins with name.
 */
void *fields_read(const struct shape *shape, int format, const char *json, const char *name,
                  struct error *err);

/* A copy of the object and of everything that it owns, to be released with fields_free(). */
void *fields_copy(const struct shape *shape, const void *object);

/* Free the object and everything that it owns. NULL-safe. */
void fields_free(const struct shape *shape, void *object);

#endif
