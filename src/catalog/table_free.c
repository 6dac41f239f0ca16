#include <stdlib.h>

#include "catalog/table.h"

static void
grants_free(struct grant_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].grantee);
        free(list->items[i].privileges);
    }
    free(list->items);
}

static void
sequences_free(struct owned_sequence *sequence)
{
    while (sequence != NULL) {
        struct owned_sequence *next = sequence->next;

        free(sequence->schema);
        free(sequence->name);
        free(sequence->quoted_name);
        free(sequence->type);
        free(sequence->options);
        free(sequence->comment);
        free(sequence->acl);
        grants_free(&sequence->grants);
        free(sequence);
        sequence = next;
    }
}

static void
columns_free(struct table *t)
{
    for (int i = 0; i < t->column_count; i++) {
        struct column *c = &t->columns[i];

        free(c->name);
        free(c->type);
        free(c->base_type);
        free(c->collation);
        free(c->not_null_name);
        free(c->not_null_comment);
        free(c->default_expr);
        free(c->generated_from);
        free(c->missing);
        free(c->options);
        free(c->comment);
        free(c->acl);
        grants_free(&c->grants);
        sequences_free(c->sequence);
    }
    free(t->columns);
}

static void
constraints_free(struct table *t)
{
    for (int i = 0; i < t->constraint_count; i++) {
        free(t->constraints[i].name);
        free(t->constraints[i].definition);
        free(t->constraints[i].comment);
    }
    free(t->constraints);
}

static void
indexes_free(struct table *t)
{
    for (int i = 0; i < t->index_count; i++) {
        struct index *x = &t->indexes[i];

        free(x->name);
        free(x->definition);
        free(x->tablespace);
        free(x->key_attnums);
        for (int k = 0; x->keys != NULL && k < x->key_count; k++) {
            free(x->keys[k].equals);
            free(x->keys[k].opclass);
            free(x->keys[k].collation);
        }
        free(x->keys);
        free(x->predicate);
        free(x->comment);
        free(x->statistics);
    }
    free(t->indexes);
}

static void
statistics_free(struct table *t)
{
    for (int i = 0; i < t->statistics_count; i++) {
        struct extended_statistics *x = &t->statistics[i];

        free(x->schema);
        free(x->name);
        free(x->definition);
        free(x->comment);
        free(x->owner);
    }
    free(t->statistics);
}

static void
dependents_free(struct table *t)
{
    for (int i = 0; i < t->dependent_count; i++) {
        free(t->dependents[i].kind);
        free(t->dependents[i].description);
        free(t->dependents[i].reason);
    }
    free(t->dependents);
}

void
table_free(struct table *t)
{
    if (t == NULL)
        return;
    columns_free(t);
    constraints_free(t);
    indexes_free(t);
    statistics_free(t);
    dependents_free(t);
    grants_free(&t->grants);
    grants_free(&t->default_privileges);
    free(t->schema);
    free(t->name);
    free(t->owner);
    free(t->session_role);
    free(t->tablespace);
    free(t->database_tablespace);
    free(t->access_method);
    free(t->options);
    free(t->toast_options);
    free(t->comment);
    free(t->acl);
    free(t->fingerprint);
    free(t);
}
