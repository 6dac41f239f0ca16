#include "tree.h"

#include <stdio.h>
#include <string.h>

const char *
tree_string(const PgQuery__Node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval : NULL;
}

/* One member of a field: the message that it points to, if the field is set and holds a message. */
static void
walk_field(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field, tree_column_ref found,
           void *arg)
{
    const char *base = (const char *)message;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t count = *(const size_t *)(const void *)(base + field->quantifier_offset);
        ProtobufCMessage *const *items =
            *(ProtobufCMessage *const *const *)(const void *)(base + field->offset);

        for (size_t i = 0; i < count; i++)
            tree_column_refs(items[i], found, arg);
        return;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
        *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id)
        return;
    tree_column_refs(*(const ProtobufCMessage *const *)(const void *)(base + field->offset), found, arg);
}

void
tree_column_refs(const ProtobufCMessage *message, tree_column_ref found, void *arg)
{
    if (message == NULL)
        return;
    if (message->descriptor == &pg_query__column_ref__descriptor) {
        found(arg, (const PgQuery__ColumnRef *)message);
        return;
    }
    for (unsigned i = 0; i < message->descriptor->n_fields; i++)
        if (message->descriptor->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            walk_field(message, &message->descriptor->fields[i], found, arg);
}

bool
tree_has_constraint(PgQuery__Node *const *nodes, size_t count, PgQuery__ConstrType type)
{
    for (size_t i = 0; i < count; i++)
        if (nodes[i]->node_case == PG_QUERY__NODE__NODE_CONSTRAINT && nodes[i]->constraint->contype == type)
            return true;
    return false;
}

static bool
is_within_character(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

void
tree_point(const char *sql, int byte, struct error *err)
{
    const char *line = sql;
    int number = 1;
    int column = 1;
    int bytes;

    for (const char *at = sql; at < sql + byte; at++) {
        if (*at == '\n') {
            line = at + 1;
            number++;
            column = 1;
        } else if (!is_within_character(at[1])) {
            column++;
        }
    }
    bytes = (int)strcspn(line, "\r\n");
    error_detail(err, "line %d, column %d:\n%.*s\n%*s^", number, column, bytes, line, column - 1, "");
}

/* The byte at which a character is that is counted from 1. */
static int
byte_of(const char *sql, int character)
{
    const char *at = sql;

    for (int i = 1; i < character && *at != '\0'; i++) {
        at++;
        while (is_within_character(*at))
            at++;
    }
    return (int)(at - sql);
}

PgQuery__ParseResult *
tree_parse(const char *sql, struct error *err)
{
    PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(sql);
    PgQuery__ParseResult *tree = NULL;

    if (parsed.error != NULL) {
        error_set(err, ERROR_USAGE, "%s", parsed.error->message);
        if (parsed.error->cursorpos > 0)
            tree_point(sql, byte_of(sql, parsed.error->cursorpos), err);
        error_hint(err,
                   "Statements are read with the grammar of PostgreSQL %s; newer syntax is not known yet.",
                   PG_MAJORVERSION);
    } else {
        tree = pg_query__parse_result__unpack(NULL, parsed.parse_tree.len,
                                              (const uint8_t *)parsed.parse_tree.data);
        if (tree == NULL)
            error_set(err, ERROR_FAILED, "the parse tree cannot be read");
    }
    pg_query_free_protobuf_parse_result(parsed);
    return tree;
}
