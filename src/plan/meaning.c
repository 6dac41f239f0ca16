#include "meaning.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/name.h"
#include "rows/view.h"
#include "sql/sql.h"

bool
meaning_read(struct session *s, const struct table *source, const char *schema, const struct table *clone,
             struct table_uses *uses, struct error *err)
{
    struct result r = {0};
    bool ok = session_row(s, &r, err, "SELECT pg_catalog.quote_ident($1) AS schema", 1, source->schema) &&
              table_uses_read(s, clone, uses, err);

    for (int i = 0; ok && i < uses->count; i++)
        uses_move(&uses->items[i].uses, schema, row_text(&r, 0, "schema"));
    result_free(&r);
    return ok;
}

/* The texts of one expression, in the clone and in the source. */
static char **
text_of(struct table *t, const struct named_uses *named)
{
    for (int i = 0; i < t->column_count && strcmp(named->kind, "default value") == 0; i++)
        if (strcmp(t->columns[i].name, named->name) == 0)
            return &t->columns[i].default_expr;
    for (int i = 0; i < t->constraint_count && strcmp(named->kind, "table constraint") == 0; i++)
        if (strcmp(t->constraints[i].name, named->name) == 0)
            return &t->constraints[i].definition;
    for (int i = 0; i < t->index_count && strcmp(named->kind, "index") == 0; i++)
        if (strcmp(t->indexes[i].name, named->name) == 0)
            return &t->indexes[i].definition;
    for (int i = 0; i < t->statistics_count && strcmp(named->kind, "statistics object") == 0; i++)
        if (strcmp(t->statistics[i].name, named->name) == 0)
            return &t->statistics[i].definition;
    return NULL;
}

/* The definition of a constraint that creates an index contains the texts of that index. */
static void
take_constraint(const struct named_uses *named, const struct table *source, struct table *clone)
{
    for (int i = 0; i < source->constraint_count; i++)
        for (int k = 0; k < clone->constraint_count; k++) {
            struct constraint *to = &clone->constraints[k];

            if (source->constraints[i].type == 'c' || strcmp(source->constraints[i].name, to->name) != 0 ||
                strcmp(to->name, named->name) != 0)
                continue;
            free(to->definition);
            to->definition = mem_strdup(source->constraints[i].definition);
        }
}

static const char *
word_for(const struct named_uses *named)
{
    return strcmp(named->kind, "default value") == 0      ? "column"
           : strcmp(named->kind, "table constraint") == 0 ? "constraint"
                                                          : named->kind;
}

static void
take_text(const struct named_uses *named, const struct table *source, struct table *clone,
          struct string_list *notes)
{
    struct table *like = table_copy(source);
    char **from = text_of(like, named), **to = text_of(clone, named);

    if (from != NULL && to != NULL && !name_same(*from, *to)) {
        list_addf(notes, "the server will print %s %s differently: %s", word_for(named), named->name, *to);
        free(*to);
        *to = mem_strdup(*from);
        if (strcmp(named->kind, "index") == 0)
            take_constraint(named, source, clone);
    }
    table_free(like);
}

/*
 * Statistics objects in several schemas may have the same name: it is enough that one of them is like this.
 */
static char *
meaning_difference(const struct named_uses *named, const struct table_uses *found)
{
    struct uses none = {0};
    char *difference = uses_difference(&named->uses, &none, NULL);

    for (int i = 0; difference != NULL && i < found->count; i++) {
        const struct named_uses *made = &found->items[i];

        if (strcmp(made->kind, named->kind) != 0 || strcmp(made->name, named->name) != 0)
            continue;
        free(difference);
        difference = uses_difference(&named->uses, &made->uses, NULL);
    }
    return difference;
}

bool
meaning_prove(struct session *s, const struct table *source, const char *schema, struct table *clone,
              struct string_list *notes, struct error *err)
{
    struct table_uses wanted = {0}, found = {0};
    bool ok = table_uses_read(s, source, &wanted, err) && meaning_read(s, source, schema, clone, &found, err);

    for (int i = 0; ok && i < wanted.count; i++) {
        const struct named_uses *named = &wanted.items[i];
        char *difference = meaning_difference(named, &found);

        if (difference != NULL)
            ok = error_set(err, ERROR_REFUSED, "%s \"%s\" would not mean the same in the new table: %s",
                           word_for(named), named->name, difference);
        else
            take_text(named, source, clone, notes);
        free(difference);
    }
    table_uses_free(&wanted);
    table_uses_free(&found);
    return ok;
}

static bool
refuse_own(const struct result *r, int row, struct error *err)
{
    const char *object = row_text(r, row, "object"), *what = row_text(r, row, "what");

    if (strcmp(what, "constant") == 0) {
        error_set(err, ERROR_REFUSED, "%s refers to %s by a constant of type regclass", object,
                  row_text(r, row, "relation"));
        error_detail(err,
                     "The constant is the table itself, whatever its name: after the swap it would be the "
                     "original, which could then not be dropped.");
        return error_hint(err, "Write the name as a text, which is looked up when it is used: "
                               "'name'::text::regclass.");
    }
    if (strcmp(what, "row") == 0) {
        error_set(err, ERROR_REFUSED, "%s uses the row as a whole", object);
        error_detail(err, "The row has the row type of the original, and the new table has another.");
        return error_hint(err, "Write it over the columns that it needs.");
    }
    if (strcmp(what, "index path") == 0) {
        error_set(err, ERROR_REFUSED, "%s calls %s, which finds operators by the search_path", object,
                  row_text(r, row, "relation"));
        error_detail(err,
                     "In this program's sessions it is empty: the function may find another operator for its "
                     "argument, and the index would have other rows.");
        return error_hint(err, "ALTER FUNCTION %s SET search_path = pg_catalog, ..., pg_temp;",
                          row_text(r, row, "relation"));
    }
    error_set(err, ERROR_REFUSED, "%s is generated from tableoid", object);
    return error_detail(err,
                        "The new table has another oid, so the value of every row would be another one.");
}

bool
meaning_refuse_own(struct session *s, const struct table *source, struct string_list *notes,
                   struct error *err)
{
    struct params p = {0};
    struct result r = {0};
    bool ok;

    params_uint(&p, source->oid);
    ok = session_query_with(s, &r, err, sql_plan_own_expressions, &p);
    for (int i = 0; ok && i < result_rows(&r); i++) {
        if (strcmp(row_text(&r, i, "what"), "path") != 0) {
            ok = refuse_own(&r, i, err);
            continue;
        }
        ok = row_null(&r, i, "sql") || view_check_body(s, row_text(&r, i, "sql"), row_text(&r, i, "relation"),
                                                       row_text(&r, i, "object"), err);
        if (ok)
            list_addf(
                notes,
                "%s calls %s, which runs with an empty search_path in this program's sessions: if it relies "
                "on "
                "another one, its results differ (ALTER FUNCTION %s SET search_path = ... makes it safe)",
                row_text(&r, i, "object"), row_text(&r, i, "relation"), row_text(&r, i, "relation"));
    }
    result_free(&r);
    return ok;
}
