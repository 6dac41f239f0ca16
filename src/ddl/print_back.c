#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "ddl/plan.h"
#include "ddl/print.h"
#include "ddl/types.h"

static void
print_column(FILE *out, const char *name, const char *text)
{
    fprintf(out, "  %-24s %s\n", name, text);
}

/* The column of the new table that an original's column is filled from, where it is one. */
static const struct column *
only_column(const struct plan *back, const struct plan_column *c)
{
    for (int i = 0; i < back->source->column_count; i++)
        if (c->depends_on[i])
            return &back->source->columns[i];
    return NULL;
}

/* What becomes of a column of the original that is not simply the new table's; NULL where it is. */
static char *
fate_of(const struct plan *back, int position)
{
    const struct plan_column *c = &back->columns[position];
    const struct column *from;

    if (c->origin == COLUMN_DEFAULT)
        return mem_strdup("rows that are there keep their value; new rows get the default");
    if (c->origin == COLUMN_GENERATED)
        return mem_strdup("computed by the server");
    if (c->kept)
        return mem_strdup("rows that are there keep their value; new rows get the --reverse-map");
    if (!c->plain)
        return mem_strdup("from the --reverse-map");
    from = only_column(back, c);
    if (from == NULL || types_always_fit(from, &back->target->columns[position]))
        return NULL;
    return mem_printf("back from %s: values that %s cannot hold block the rollback", from->type, c->type);
}

static void
print_columns(const struct plan *back, FILE *out)
{
    bool any = false;

    for (int i = 0; i < back->column_count; i++) {
        char *fate = fate_of(back, i);

        if (fate != NULL)
            print_column(out, back->columns[i].name, fate);
        any = any || fate != NULL;
        free(fate);
    }
    if (!any)
        fprintf(out, "  Every column goes back as it came.\n");
}

static void
print_not_proven(const struct plan *proof, FILE *out)
{
    if (proof->not_compared.count == 0)
        return;
    fprintf(out, "  Not compared after the cutover:");
    for (int i = 0; i < proof->not_compared.count; i++)
        fprintf(out, "%s %s", i > 0 ? "," : "", proof->not_compared.items[i]);
    fprintf(out, "\n");
}

static void
print_key(const struct plan *back, FILE *out)
{
    fprintf(out, "  Rows are found by");
    for (int i = 0; i < back->key_count; i++)
        fprintf(out, "%s %s", i > 0 ? "," : "", back->key[i].shadow_name);
    fprintf(out, ".\n");
}

static void
print_rows(const struct plan *back, FILE *out)
{
    fprintf(out, "\n  -- rows that change after the swap\n");
    fprintf(
        out,
        "  INSERT INTO %s (%s)\n    OVERRIDING SYSTEM VALUE\n    SELECT pgrecast_new.* FROM <changed rows> "
        "AS pgrecast_src\n    CROSS JOIN LATERAL (%s) AS pgrecast_new;\n",
        back->shadow_sql, back->insert_columns, back->transform_insert);
}

static void
print_swap_back(const struct plan_set *set, FILE *out)
{
    if (set->table_count > 1)
        fprintf(out, "\nThe swap back of all tables\n");
    fprintf(out, "  -- the swap back\n");
    print_list(out, &set->rollback->statements);
    fprintf(out, "  -- after it\n");
    print_list(out, &set->rollback->validate);
    for (int i = 0; i < set->table_count; i++)
        print_list(out, &set->tables[i].back->drop_old);
}

void
print_way_back(const struct plan_set *set, FILE *out)
{
    if (set->rollback == NULL) {
        fprintf(out, "\nThe way back\n  None was asked for: after the swap the original%s dropped.\n",
                set->table_count > 1 ? "s are" : " is");
        return;
    }
    for (int i = 0; i < set->table_count; i++) {
        const struct plan_table *t = &set->tables[i];

        print_heading(set, i, "The way back", out);
        print_columns(t->back, out);
        print_key(t->back, out);
        print_not_proven(t->proof, out);
        if (t->again != NULL)
            fprintf(out, "  After a rollback the new table can come to serve again.\n");
        else
            fprintf(out, "  After a rollback the new table cannot come to serve again: %s.\n",
                    t->why_not_again);
        print_rows(t->back, out);
    }
    print_swap_back(set, out);
}
