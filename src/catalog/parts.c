#include "parts.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "sql/sql.h"

char
part_letter(const struct result *r, int row, const char *column)
{
    const char *text = row_text(r, row, column);

    return text == NULL ? '\0' : text[0];
}

oid_t
part_oid(const struct result *r, int row, const char *column)
{
    return (oid_t)row_uint(r, row, column);
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
    struct params p = {0};

    params_uint(&p, t->oid);
    return session_query_with(s, r, err, sql, &p);
}

static void
column_fill(struct column *c, const struct result *r, int row)
{
    c->attnum = (int)row_int(r, row, "attnum");
    c->name = row_copy(r, row, "attname");
    c->type_oid = part_oid(r, row, "atttypid");
    c->base_type_oid = part_oid(r, row, "base_type_oid");
    c->type = row_copy(r, row, "type");
    c->base_type = row_copy(r, row, "base_type");
    c->collation = row_copy(r, row, "collation");
    c->base_collation = row_copy(r, row, "base_collation");
    c->nondeterministic = row_bool(r, row, "nondeterministic");
    c->unvalidated = row_bool(r, row, "unvalidated");
    c->not_null = row_bool(r, row, "attnotnull");
    c->not_null_name = row_copy(r, row, "not_null_name");
    c->not_null_invalid = !row_bool(r, row, "not_null_valid");
    c->not_null_no_inherit = row_bool(r, row, "not_null_no_inherit");
    c->not_null_comment = row_copy(r, row, "not_null_comment");
    c->default_expr = row_copy(r, row, "default_expr");
    c->generated = part_letter(r, row, "attgenerated");
    c->identity = part_letter(r, row, "attidentity");
    c->missing = row_copy(r, row, "missing");
    c->storage = part_letter(r, row, "attstorage");
    c->type_storage = part_letter(r, row, "typstorage");
    c->compression = part_letter(r, row, "attcompression");
    c->statistics = (int)row_int(r, row, "statistics");
    c->options = row_copy(r, row, "options");
    c->comment = row_copy(r, row, "comment");
    c->acl = row_copy(r, row, "acl");
    c->typtype = part_letter(r, row, "typtype");
    c->toastable = row_bool(r, row, "toastable");
    c->generated_from_count = part_numbers(row_text(r, row, "generated_from"), &c->generated_from);
    c->element_type_oid = part_oid(r, row, "element_type_oid");
    c->element_typtype = part_letter(r, row, "element_typtype");
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
        const struct column *column = table_column(t, (int)row_int(&r, i, "refobjsubid"));
        struct owned_sequence *sequence;
        struct owned_sequence **last;

        if (column == NULL)
            continue;
        sequence = mem_alloc(sizeof(*sequence));
        sequence->oid = part_oid(&r, i, "oid");
        sequence->schema = row_copy(&r, i, "nspname");
        sequence->name = row_copy(&r, i, "relname");
        sequence->identity = row_bool(&r, i, "identity");
        sequence->type = row_copy(&r, i, "type");
        sequence->options = row_copy(&r, i, "options");
        sequence->comment = row_copy(&r, i, "comment");
        sequence->acl = row_copy(&r, i, "acl");
        sequence->unlogged = row_bool(&r, i, "unlogged");
        sequence->used_elsewhere = row_bool(&r, i, "used_elsewhere");
        sequence->quoted_name = row_copy(&r, i, "quoted_name");
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

        c->oid = part_oid(&r, i, "oid");
        c->name = row_copy(&r, i, "conname");
        c->type = part_letter(&r, i, "contype");
        c->definition = row_copy(&r, i, "definition");
        c->validated = row_bool(&r, i, "convalidated");
        c->index_oid = part_oid(&r, i, "conindid");
        c->deferrable = row_bool(&r, i, "condeferrable");
        c->deferred = row_bool(&r, i, "condeferred");
        c->temporal = row_bool(&r, i, "temporal");
        c->comment = row_copy(&r, i, "comment");
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

/* One line for each key column; an empty line means that it has none. */
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
    x->oid = part_oid(r, row, "oid");
    x->name = row_copy(r, row, "relname");
    x->definition = row_copy(r, row, "definition");
    x->unique = row_bool(r, row, "indisunique");
    x->primary = row_bool(r, row, "indisprimary");
    x->valid = row_bool(r, row, "valid");
    x->replica_identity = row_bool(r, row, "indisreplident");
    x->clustered = row_bool(r, row, "indisclustered");
    x->tablespace = row_copy(r, row, "spcname");
    x->constraint_oid = part_oid(r, row, "constraint_oid");
    x->key_count = (int)row_int(r, row, "indnkeyatts");
    if (part_numbers(row_text(r, row, "key_attnums"), &x->key_attnums) != x->key_count)
        return error_set(err, ERROR_FAILED, "cannot read the columns of index \"%s\"", x->name);
    x->partial = row_bool(r, row, "partial");
    x->immediate = row_bool(r, row, "indimmediate");
    x->nulls_not_distinct = row_bool(r, row, "nulls_not_distinct");
    x->bytes = row_int(r, row, "bytes");
    x->comment = row_copy(r, row, "comment");
    index_fill_statistics(x, row_text(r, row, "statistics"));
    x->predicate = row_copy(r, row, "predicate");
    index_fill_keys(x, row_text(r, row, "equals"), row_text(r, row, "opclasses"),
                    row_text(r, row, "collations"));
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

        x->oid = part_oid(&r, i, "oid");
        x->schema = row_copy(&r, i, "nspname");
        x->name = row_copy(&r, i, "stxname");
        x->definition = row_copy(&r, i, "definition");
        x->target = (int)row_int(&r, i, "target");
        x->comment = row_copy(&r, i, "comment");
        x->owner = row_copy(&r, i, "owner");
        x->owner_may_be_set = row_bool(&r, i, "owner_may_be_set");
        if (x->definition == NULL && ok)
            ok = error_set(err, ERROR_FAILED,
                           "the server's definition of statistics \"%s\" does not look as expected", x->name);
    }
    result_free(&r);
    return ok;
}

bool
partitions_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};

    if (t->partition_key == NULL)
        return true;
    if (!part_query(s, t, sql_catalog_partitions, &r, err))
        return false;
    t->partition_count = result_rows(&r);
    t->partitions = mem_alloc(((size_t)t->partition_count + 1) * sizeof(*t->partitions));
    for (int i = 0; i < t->partition_count; i++)
        t->partitions[i] = (struct partition){
            .name = row_copy(&r, i, "name"),
            .parent = row_copy(&r, i, "parent"),
            .bounds = row_copy(&r, i, "bounds"),
            .partition_key = row_copy(&r, i, "partition_key"),
        };
    result_free(&r);
    return true;
}

/* What the grants of a row belong to: kind t table, c column, s sequence, d and q default privileges. */
static struct grant_list *
grants_of(struct table *t, char kind, oid_t oid, int attnum)
{
    const struct column *column = table_column(t, attnum);

    if (kind == 't')
        return &t->grants;
    if (kind == 'd')
        return &t->default_privileges;
    if (kind == 'q')
        return &t->sequence_privileges;
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
            grants_of(t, part_letter(&r, i, "kind"), part_oid(&r, i, "objid"), (int)row_int(&r, i, "attnum"));

        if (list == NULL)
            continue;
        list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
        list->items[list->count++] = (struct grant){
            .grantee = row_copy(&r, i, "grantee"),
            .privileges = row_copy(&r, i, "privileges"),
            .grantable = row_bool(&r, i, "is_grantable"),
            .grantor = row_copy(&r, i, "grantor"),
            .grantor_is_ours = row_bool(&r, i, "grantor_is_ours"),
        };
    }
    result_free(&r);
    return true;
}
