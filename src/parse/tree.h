/* Access to libpg_query's trees: strings in name lists, and every column reference under a node. */
#ifndef PGRECAST_PARSE_TREE_H
#define PGRECAST_PARSE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>

#include "core/error.h"

/*
 * The SQL as a tree, to be freed by pg_query__parse_result__free_unpacked(). If it does not parse: NULL and
 * ERROR_USAGE, with the place of the error.
 */
PgQuery__ParseResult *tree_parse(const char *sql, struct error *err);

/* Add to the error where it is: "line 2, column 7", and the line with a mark under the byte (from 0). */
void tree_point(const char *sql, int byte, struct error *err);

/* The string that a node is, or NULL. */
const char *tree_string(const PgQuery__Node *node);

/* Call found for every ColumnRef under the message. */
typedef void (*tree_column_ref)(void *arg, const PgQuery__ColumnRef *ref);
void tree_column_refs(const ProtobufCMessage *message, tree_column_ref found, void *arg);

/* Whether a constraint of the type is among the nodes. */
bool tree_has_constraint(PgQuery__Node *const *nodes, size_t count, PgQuery__ConstrType type);

#endif
