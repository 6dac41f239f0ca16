#include <stdlib.h>

#include "ddl/list.h"
#include "ddl/plan.h"

void
plan_free(struct plan *p)
{
    struct string_list *lists[] = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL};

    if (p == NULL)
        return;
    lists[0] = &p->not_compared;
    lists[1] = &p->create;
    lists[2] = &p->finish_shadow;
    lists[3] = &p->swap;
    lists[4] = &p->drop_old;
    lists[5] = &p->drop_shadow;
    lists[6] = &p->clauses;
    lists[7] = &p->notes;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        list_free(lists[i]);
    for (int i = 0; i < p->column_count; i++) {
        free(p->columns[i].name);
        free(p->columns[i].type);
        free(p->columns[i].depends_on);
    }
    for (int i = 0; i < p->key_count; i++) {
        free(p->key[i].source_name);
        free(p->key[i].type);
        free(p->key[i].collation);
        free(p->key[i].shadow_name);
        free(p->key[i].source_equals);
        free(p->key[i].shadow_equals);
        free(p->key[i].source_collation);
        free(p->key[i].shadow_collation);
        free(p->key[i].shadow_value);
    }
    for (int i = 0; i < p->index_count; i++) {
        free(p->indexes[i].name);
        free(p->indexes[i].final_name);
        free(p->indexes[i].sql);
    }
    table_free(p->source);
    table_free(p->target);
    free(p->sql);
    free(p->source_sql);
    free(p->shadow_name);
    free(p->old_name);
    free(p->shadow_sql);
    free(p->old_sql);
    free(p->columns);
    free(p->key);
    free(p->insert_columns);
    free(p->transform_insert);
    free(p->insert_origin);
    free(p->transform_compare);
    free(p->compare_source);
    free(p->compare_shadow);
    free(p->indexes);
    free(p);
}

void
plan_set_free(struct plan_set *set)
{
    if (set == NULL)
        return;
    plan_free(set->forward);
    plan_free(set->back);
    plan_free(set->again);
    plan_free(set->proof);
    free(set->why_not_again);
    free(set);
}
