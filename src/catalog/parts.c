#include "catalog/parts.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "sql/sql.h"

char *
part_text(const struct result *r, int row, int col)
{
    return mem_strdup(result_text(r, row, col));
}

char
part_letter(const struct result *r, int row, int col)
{
    const char *text = result_text(r, row, col);

    return text == NULL ? '\0' : text[0];
}

oid_t
part_oid(const struct result *r, int row, int col)
{
    return (oid_t)result_int(r, row, col);
}

int
part_numbers(const char *text, int **numbers)
{
    int count = 0;
    char *end;

    *numbers = NULL;
    for (const char *at = text; at != NULL && *at != '\0'; at = end) {
        long value = strtol(at, &end, 10);

        if (end == at)
            break;
        *numbers = mem_array(*numbers, (size_t)count + 1, sizeof(**numbers));
        (*numbers)[count++] = (int)value;
    }
    return count;
}

bool
part_query(struct session *s, const struct table *t, const char *sql, struct result *r, struct error *err)
{
    char oid[16];

    snprintf(oid, sizeof(oid), "%u", t->oid);
    return session_query(s, r, err, sql, 1, oid);
}

static void
column_fill(struct column *c, const struct result *r, int row)
{
    c->attnum = (int)result_int(r, row, 0);
    c->name = part_text(r, row, 1);
    c->type_oid = part_oid(r, row, 2);
    c->base_type_oid = part_oid(r, row, 3);
    c->type = part_text(r, row, 4);
    c->base_type = part_text(r, row, 5);
    c->collation = part_text(r, row, 6);
    c->not_null = result_bool(r, row, 7);
    c->not_null_name = part_text(r, row, 8);
    c->not_null_invalid = !result_bool(r, row, 9);
    c->not_null_no_inherit = result_bool(r, row, 10);
    c->not_null_comment = part_text(r, row, 11);
    c->default_expr = part_text(r, row, 12);
    c->generated = part_letter(r, row, 13);
    c->identity = part_letter(r, row, 14);
    c->missing = part_text(r, row, 15);
    c->storage = part_letter(r, row, 16);
    c->type_storage = part_letter(r, row, 17);
    c->compression = part_letter(r, row, 18);
    c->statistics = (int)result_int(r, row, 19);
    c->options = part_text(r, row, 20);
    c->comment = part_text(r, row, 21);
    c->acl = part_text(r, row, 22);
    c->typtype = part_letter(r, row, 23);
    c->toastable = result_bool(r, row, 24);
    c->generated_from_count = part_numbers(result_text(r, row, 25), &c->generated_from);
    c->element_type_oid = part_oid(r, row, 26);
    c->element_typtype = part_letter(r, row, 27);
}

bool
columns_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};

    if (!part_query(s, t, sql_catalog_columns, &r, err))
        return false;
    t->columns = mem_array(NULL, (size_t)result_rows(&r) + 1, sizeof(*t->columns));
    memset(t->columns, 0, ((size_t)result_rows(&r) + 1) * sizeof(*t->columns));
    for (int i = 0; i < result_rows(&r); i++)
        column_fill(&t->columns[i], &r, i);
    t->column_count = result_rows(&r);
    result_free(&r);
    return true;
}

bool
sequences_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};

    if (!part_query(s, t, sql_catalog_sequences, &r, err))
        return false;
    for (int i = 0; i < result_rows(&r); i++) {
        const struct column *column = table_column(t, (int)result_int(&r, i, 0));
        struct owned_sequence *sequence;
        struct owned_sequence **last;

        if (column == NULL)
            continue;
        sequence = mem_alloc(sizeof(*sequence));
        sequence->oid = part_oid(&r, i, 1);
        sequence->schema = part_text(&r, i, 2);
        sequence->name = part_text(&r, i, 3);
        sequence->identity = result_bool(&r, i, 4);
        sequence->type = part_text(&r, i, 5);
        sequence->options = part_text(&r, i, 6);
        sequence->comment = part_text(&r, i, 7);
        sequence->acl = part_text(&r, i, 8);
        sequence->unlogged = result_bool(&r, i, 9);
        sequence->used_elsewhere = result_bool(&r, i, 10);
        sequence->quoted_name = part_text(&r, i, 11);
        for (last = &t->columns[column - t->columns].sequence; *last != NULL; last = &(*last)->next)
            ;
        *last = sequence;
    }
    result_free(&r);
    return true;
}

bool
constraints_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};

    if (!part_query(s, t, sql_catalog_constraints, &r, err))
        return false;
    t->constraint_count = result_rows(&r);
    t->constraints = mem_alloc(((size_t)t->constraint_count + 1) * sizeof(*t->constraints));
    for (int i = 0; i < t->constraint_count; i++) {
        struct constraint *c = &t->constraints[i];

        c->oid = part_oid(&r, i, 0);
        c->name = part_text(&r, i, 1);
        c->type = part_letter(&r, i, 2);
        c->definition = part_text(&r, i, 3);
        c->validated = result_bool(&r, i, 4);
        c->index_oid = part_oid(&r, i, 5);
        c->deferrable = result_bool(&r, i, 6);
        c->deferred = result_bool(&r, i, 7);
        c->temporal = result_bool(&r, i, 8);
        c->comment = part_text(&r, i, 9);
    }
    result_free(&r);
    return true;
}

/* "1 500 3 100": pairs of column and target. */
static void
index_fill_statistics(struct index *x, const char *text)
{
    int *numbers;
    int count = part_numbers(text, &numbers);

    x->statistics_count = count / 2;
    x->statistics = mem_alloc(((size_t)x->statistics_count + 1) * sizeof(*x->statistics));
    for (int i = 0; i < x->statistics_count; i++) {
        x->statistics[i].column = numbers[2 * i];
        x->statistics[i].target = numbers[2 * i + 1];
    }
    free(numbers);
}

/* One line a key column; an empty one stands for none. */
static void
index_fill_keys(struct index *x, const char *equals, const char *opclasses, const char *collations)
{
    const char *lists[] = {equals, opclasses, collations};

    x->keys = mem_alloc(((size_t)x->key_count + 1) * sizeof(*x->keys));
    for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
        const char *at = lists[l];

        for (int i = 0; i < x->key_count && at != NULL; i++) {
            struct index_key *key = &x->keys[i];
            char **field = l == 0 ? &key->equals : l == 1 ? &key->opclass : &key->collation;
            size_t len = strcspn(at, "\n");

            *field = len == 0 ? NULL : mem_strndup(at, len);
            at = at[len] == '\n' ? at + len + 1 : NULL;
        }
    }
}

static bool
index_fill(struct index *x, const struct result *r, int row, struct error *err)
{
    x->oid = part_oid(r, row, 0);
    x->name = part_text(r, row, 1);
    x->definition = part_text(r, row, 2);
    x->unique = result_bool(r, row, 3);
    x->primary = result_bool(r, row, 4);
    x->valid = result_bool(r, row, 5);
    x->replica_identity = result_bool(r, row, 6);
    x->clustered = result_bool(r, row, 7);
    x->tablespace = part_text(r, row, 8);
    x->constraint_oid = part_oid(r, row, 9);
    x->key_count = (int)result_int(r, row, 10);
    if (part_numbers(result_text(r, row, 11), &x->key_attnums) != x->key_count)
        return error_set(err, ERROR_FAILED, "cannot read the columns of index \"%s\"", x->name);
    x->partial = result_bool(r, row, 12);
    x->immediate = result_bool(r, row, 13);
    x->nulls_not_distinct = result_bool(r, row, 14);
    x->bytes = result_int(r, row, 15);
    x->comment = part_text(r, row, 16);
    index_fill_statistics(x, result_text(r, row, 17));
    x->predicate = part_text(r, row, 18);
    index_fill_keys(x, result_text(r, row, 19), result_text(r, row, 20), result_text(r, row, 21));
    if (x->definition == NULL)
        return error_set(err, ERROR_FAILED,
                         "the server's definition of index \"%s\" does not begin as expected", x->name);
    if (x->predicate != NULL) {
        char *tail = mem_printf(" WHERE %s", x->predicate);
        size_t len = strlen(x->definition);
        bool ends = len > strlen(tail) && strcmp(x->definition + len - strlen(tail), tail) == 0;

        free(tail);
        if (!ends)
            return error_set(err, ERROR_FAILED,
                             "the server's definition of index \"%s\" does not end as expected", x->name);
    }
    return true;
}

bool
indexes_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};
    bool ok = true;

    if (!part_query(s, t, sql_catalog_indexes, &r, err))
        return false;
    t->index_count = result_rows(&r);
    t->indexes = mem_alloc(((size_t)t->index_count + 1) * sizeof(*t->indexes));
    for (int i = 0; ok && i < t->index_count; i++)
        ok = index_fill(&t->indexes[i], &r, i, err);
    result_free(&r);
    return ok;
}

bool
statistics_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};
    bool ok = true;

    if (!part_query(s, t, sql_catalog_statistics, &r, err))
        return false;
    t->statistics_count = result_rows(&r);
    t->statistics = mem_alloc(((size_t)t->statistics_count + 1) * sizeof(*t->statistics));
    for (int i = 0; i < t->statistics_count; i++) {
        struct extended_statistics *x = &t->statistics[i];

        x->oid = part_oid(&r, i, 0);
        x->schema = part_text(&r, i, 1);
        x->name = part_text(&r, i, 2);
        x->definition = part_text(&r, i, 3);
        x->target = (int)result_int(&r, i, 4);
        x->comment = part_text(&r, i, 5);
        x->owner = part_text(&r, i, 6);
        if (x->definition == NULL && ok)
            ok = error_set(err, ERROR_FAILED,
                           "the server's definition of statistics \"%s\" does not look as expected", x->name);
    }
    result_free(&r);
    return ok;
}

/* Where the grants of a row belong: kind t table, c column, s sequence, d default privileges. */
static struct grant_list *
grants_of(struct table *t, char kind, oid_t oid, int attnum)
{
    const struct column *column = table_column(t, attnum);

    if (kind == 't')
        return &t->grants;
    if (kind == 'd')
        return &t->default_privileges;
    if (column == NULL)
        return NULL;
    if (kind == 'c')
        return &t->columns[column - t->columns].grants;
    for (struct owned_sequence *q = column->sequence; q != NULL; q = q->next)
        if (q->oid == oid)
            return &q->grants;
    return NULL;
}

bool
grants_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};

    if (!part_query(s, t, sql_catalog_grants, &r, err))
        return false;
    for (int i = 0; i < result_rows(&r); i++) {
        struct grant_list *list =
            grants_of(t, part_letter(&r, i, 0), part_oid(&r, i, 1), (int)result_int(&r, i, 2));

        if (list == NULL)
            continue;
        list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
        list->items[list->count++] = (struct grant){
            .grantee = part_text(&r, i, 3),
            .privileges = part_text(&r, i, 4),
            .grantable = result_bool(&r, i, 5),
            .grantor = part_text(&r, i, 6),
            .grantor_is_ours = result_bool(&r, i, 7),
        };
    }
    result_free(&r);
    return true;
}
