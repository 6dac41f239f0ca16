#include "carry_grants.h"

#include <stdlib.h>
#include <string.h>

#include "carry.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "sql/sql.h"

static void
add_grant(struct grant_list *list, const struct result *r, int row)
{
    list->items = mem_array(list->items, (size_t)list->count + 1, sizeof(*list->items));
    list->items[list->count++] = (struct grant){
        .grantee = row_copy(r, row, "grantee"),
        .privileges = row_copy(r, row, "privileges"),
        .grantable = row_bool(r, row, "is_grantable"),
    };
}

/* Columns without privileges are in the list too: what they had is forgotten. */
static struct table *
make_table(const struct plan *plan)
{
    struct table *t = mem_alloc(sizeof(*t));

    t->columns = mem_alloc(((size_t)plan->target->column_count + 1) * sizeof(*t->columns));
    for (int i = 0; i < plan->target->column_count; i++)
        if (carry_is_same_column(plan, &plan->target->columns[i]))
            t->columns[t->column_count++].name = mem_strdup(plan->target->columns[i].name);
    return t;
}

struct table *
carry_grants(struct engine *e, int table, const char *before, const char *now, bool *exact, struct error *err)
{
    struct table *t = make_table(e->tables[table].plan);
    struct buffer columns = {0};
    struct result r = {0};
    struct params p = {0};

    carry_list_same_columns(e->tables[table].plan, &columns);
    params_uint(&p, job_active_oid(&e->job, table));
    params_text(&p, before);
    params_text(&p, now);
    params_text(&p, columns.data);
    if (!session_query_with(e->control, &r, err, sql_carry_grants, &p)) {
        table_free(t);
        t = NULL;
    }
    *exact = *exact && t != NULL && result_rows(&r) > 0 && row_bool(&r, 0, "possible");
    for (int i = 0; t != NULL && i < result_rows(&r); i++) {
        const char *attname = row_text(&r, i, "attname");
        const struct column *c = attname != NULL ? table_column_named(t, attname) : NULL;

        if (!row_null(&r, i, "grantee"))
            add_grant(c != NULL ? &t->columns[c - t->columns].grants : &t->grants, &r, i);
    }
    result_free(&r);
    buffer_free(&columns);
    return t;
}
