#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/foreign_key.h"

static void
target_replace(char **to, const char *from)
{
    char *copy = mem_strdup(from);

    free(*to);
    *to = copy;
}

static const struct owned_sequence *
sequence_named(const struct table *t, const char *name)
{
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (strcmp(q->name, name) == 0)
                return q;
    return NULL;
}

static bool
has_sequence(const struct table *t, oid_t oid)
{
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (q->oid == oid)
                return true;
    return false;
}

/* A new sequence in the default's text: the clone's schema becomes the table's, in double quotes. */
static void
settle_default(struct column *c, const struct owned_sequence *q, const char *quoted_name,
               const char *clone_schema)
{
    char *from = mem_printf("'%s.%s'::regclass", clone_schema, quoted_name);
    char *name = name_qualified(q->schema, q->name);
    struct buffer text = {0};
    const char *at = c->default_expr;
    const char *found;

    while (at != NULL && (found = strstr(at, from)) != NULL) {
        buffer_add(&text, at, (size_t)(found - at));
        buffer_add_literal(&text, name);
        buffer_add_text(&text, "::regclass");
        at = found + strlen(from);
    }
    if (text.len > 0) {
        buffer_add_text(&text, at);
        free(c->default_expr);
        c->default_expr = buffer_take(&text);
    }
    buffer_free(&text);
    free(name);
    free(from);
}

static void
settle_sequences(const struct table *source, const struct table *before, struct column *c,
                 const char *clone_schema)
{
    for (struct owned_sequence *q = c->sequence; q != NULL; q = q->next) {
        const struct owned_sequence *kept =
            has_sequence(before, q->oid) ? sequence_named(source, q->name) : NULL;

        target_replace(&q->schema, source->schema);
        q->oid = kept == NULL ? 0 : kept->oid;
        if (kept == NULL) {
            settle_default(c, q, q->quoted_name, clone_schema);
            grant_list_copy(&q->grants, &source->sequence_privileges);
            continue;
        }
        target_replace(&q->comment, kept->comment);
        target_replace(&q->acl, kept->acl);
        grant_list_copy(&q->grants, &kept->grants);
    }
}

static bool
settle_column(const struct table *source, const struct table *before, struct column *c,
              const char *clone_schema, struct error *err)
{
    settle_sequences(source, before, c, clone_schema);
    if (c->attnum <= source->column_count) {
        const struct column *old = &source->columns[c->attnum - 1];

        target_replace(&c->acl, old->acl);
        grant_list_copy(&c->grants, &old->grants);
    }
    if (c->default_expr != NULL && strstr(c->default_expr, clone_schema) != NULL)
        return error_set(err, ERROR_REFUSED,
                         "the default or expression of column \"%s\" refers to the table itself", c->name);
    return true;
}

static bool
same_column(const struct column *a, const struct column *b)
{
    return name_same(a->name, b->name) && name_same(a->type, b->type) &&
           name_same(a->collation, b->collation) && a->not_null == b->not_null &&
           name_same(a->not_null_name, b->not_null_name) && a->not_null_invalid == b->not_null_invalid &&
           name_same(a->default_expr, b->default_expr) && a->generated == b->generated &&
           a->identity == b->identity && a->storage == b->storage && a->compression == b->compression &&
           a->statistics == b->statistics && name_same(a->options, b->options) &&
           name_same(a->comment, b->comment);
}

static bool
same_constraint(const struct constraint *a, const struct constraint *b)
{
    return name_same(a->name, b->name) && a->type == b->type && name_same(a->definition, b->definition) &&
           a->validated == b->validated && name_same(a->comment, b->comment);
}

static bool
same_index(const struct index *a, const struct index *b)
{
    return name_same(a->name, b->name) && name_same(a->definition, b->definition) && a->unique == b->unique &&
           a->primary == b->primary && a->replica_identity == b->replica_identity &&
           a->clustered == b->clustered && name_same(a->tablespace, b->tablespace) &&
           a->immediate == b->immediate && name_same(a->comment, b->comment) &&
           a->statistics_count == b->statistics_count;
}

static bool
same_statistics(const struct extended_statistics *a, const struct extended_statistics *b)
{
    return name_same(a->name, b->name) && name_same(a->definition, b->definition) && a->target == b->target &&
           name_same(a->comment, b->comment);
}

static bool
unlike(const char *kind, const char *name, struct error *err)
{
    error_set(err, ERROR_REFUSED, "%s \"%s\" cannot be reproduced exactly", kind, name);
    return error_hint(err, "Please report this with the definition of the table.");
}

/* The generator's own check: if the clone differs from the table, something would be lost. */
static bool
clone_is_like(const struct table *source, const struct table *clone, struct error *err)
{
    if (source->column_count != clone->column_count || source->constraint_count != clone->constraint_count ||
        source->index_count != clone->index_count || source->statistics_count != clone->statistics_count ||
        !name_same(source->options, clone->options) ||
        !name_same(source->toast_options, clone->toast_options) ||
        !name_same(source->autovacuum, clone->autovacuum) ||
        !name_same(source->toast_autovacuum, clone->toast_autovacuum) ||
        !name_same(source->tablespace, clone->tablespace) || !name_same(source->comment, clone->comment) ||
        source->replica_identity != clone->replica_identity)
        return unlike("table", source->name, err);
    for (int i = 0; i < source->column_count; i++)
        if (!same_column(&source->columns[i], &clone->columns[i]))
            return unlike("column", source->columns[i].name, err);
    for (int i = 0; i < source->constraint_count; i++) {
        bool found = false;

        for (int k = 0; k < clone->constraint_count && !found; k++)
            found = same_constraint(&source->constraints[i], &clone->constraints[k]);
        if (!found)
            return unlike("constraint", source->constraints[i].name, err);
    }
    for (int i = 0; i < source->index_count; i++)
        if (!same_index(&source->indexes[i], &clone->indexes[i]))
            return unlike("index", source->indexes[i].name, err);
    for (int i = 0; i < source->statistics_count; i++)
        if (!same_statistics(&source->statistics[i], &clone->statistics[i]))
            return unlike("statistics object", source->statistics[i].name, err);
    if (!foreign_keys_are_like(source, clone))
        return unlike("a foreign key of table", source->name, err);
    return true;
}

/* The user's statements create no statistics: all of the target's were the source's. */
static void
settle_statistics(const struct table *source, const char *clone_schema, struct extended_statistics *x)
{
    bool elsewhere = strcmp(x->schema, clone_schema) != 0;

    for (int i = 0; i < source->statistics_count; i++) {
        if (strcmp(source->statistics[i].name, x->name) != 0 ||
            (strcmp(source->statistics[i].schema, source->schema) != 0) != elsewhere)
            continue;
        target_replace(&x->schema, source->statistics[i].schema);
        target_replace(&x->owner, source->statistics[i].owner);
        return;
    }
}

bool
target_settle(const struct table *source, const char *clone_schema, struct clone_result *result,
              struct error *err)
{
    struct table *target = result->after;

    if (!clone_is_like(source, result->before, err))
        return false;
    foreign_keys_settle(source, &result->referenced, target);
    target->row_security = source->row_security;
    target->force_row_security = source->force_row_security;
    target_replace(&target->schema, source->schema);
    target_replace(&target->owner, source->owner);
    target_replace(&target->acl, source->acl);
    grant_list_copy(&target->grants, &source->grants);
    target->owner_is_ours = source->owner_is_ours;
    target->owner_is_session = source->owner_is_session;
    for (int i = 0; i < target->column_count; i++)
        if (!settle_column(source, result->before, &target->columns[i], clone_schema, err))
            return false;
    for (int i = 0; i < target->statistics_count; i++)
        settle_statistics(source, clone_schema, &target->statistics[i]);
    return true;
}
