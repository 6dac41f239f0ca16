/* What the files that read statements share. */
#ifndef PGRECAST_PARSE_PARSING_H
#define PGRECAST_PARSE_PARSING_H

#include "core/list.h"
#include "parse/statement.h"
#include "parse/token.h"
#include "tree.h"

/* What the parts of one parse share. */
struct parse {
    struct token_text tokens;
    const char *clone_schema;
    struct string_list replacements; /* the texts of the edits */
    struct error *err;
};

/* The bytes of one statement, and its tokens [first, last). */
struct span {
    int start;
    int end;
    int first;
    int last;
};

struct typed_name typed_name_make(const char *schema, const char *name);

/* Replace the table's name by the clone's. Returns the first token after the name. */
int parsing_redirect(struct parse *p, const PgQuery__RangeVar *relation);

/* The same for its name in references to columns: "schema.table.column". */
void parsing_redirect_references(struct parse *p, const ProtobufCMessage *tree, const char *table);

/* A new statement of the list, which has its text only. */
struct statement *parsing_statement(struct statement_list *list, enum statement_kind kind,
                                    const struct parse *p, const struct span *span);

/* A new clause of the statement; the texts belong to it from now on. */
struct clause *parsing_clause(struct statement *s, char *text, char *sql);

/* ERROR_USAGE if the name has a database in it. */
bool parsing_one_database(struct parse *p, const PgQuery__RangeVar *relation);

#endif
