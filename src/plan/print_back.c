#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "plan_data/plan.h"
#include "rows/types.h"
#include "print.h"

static void
print_column(FILE *out, const char *name, const char *text)
{
    fprintf(out, "  %-24s %s\n", name, text);
}

/* The column of the new table that a column of the original is filled from, or NULL. */
static const struct column *
only_column(const struct plan *back, const struct plan_column *c)
{
    for (int i = 0; i < back->source->column_count; i++)
        if (c->depends_on[i])
            return &back->source->columns[i];
    return NULL;
}

/*
 * What happens in a rollback to a column of the original that is not simply copied from the new table; NULL
 * for one that is.
 */
static char *
print_back_fate_of(const struct plan *back, int position)
{
    const struct plan_column *c = &back->rows.columns[position];
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
print_back_columns(const struct plan *back, FILE *out)
{
    bool any = false;

    for (int i = 0; i < back->rows.column_count; i++) {
        char *fate = print_back_fate_of(back, i);

        if (fate != NULL)
            print_column(out, back->rows.columns[i].name, fate);
        any = any || fate != NULL;
        free(fate);
    }
    if (!any)
        fprintf(out, "  Every column goes back as it came.\n");
}

static void
print_not_proven(const struct plan *proof, FILE *out)
{
    if (proof->rows.compare.left_out.count == 0)
        return;
    fprintf(out, "  Not compared after the cutover:");
    for (int i = 0; i < proof->rows.compare.left_out.count; i++)
        fprintf(out, "%s %s", i > 0 ? "," : "", proof->rows.compare.left_out.items[i]);
    fprintf(out, "\n");
}

static void
print_back_key(const struct plan *back, FILE *out)
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
        back->names.shadow_sql, back->rows.insert_columns, back->rows.transform_insert);
}

static void
print_swap_back(const struct plan_set *set, FILE *out)
{
    if (set->table_count > 1)
        fprintf(out, "\nThe swap back of all tables\n");
    fprintf(out, "  -- the swap back\n");
    print_planned(out, &set->rollback->statements);
    fprintf(out, "  -- after it\n");
    print_planned(out, &set->rollback->validate);
    for (int i = 0; i < set->table_count; i++)
        print_list(out, &set->tables[i].back->statements.drop_old);
}

void
print_plan_rollback(const struct plan_set *set, FILE *out)
{
    if (set->rollback == NULL) {
        fprintf(out, "\nRollback\n  None was asked for: after the swap the original%s dropped.\n",
                set->table_count > 1 ? "s are" : " is");
        return;
    }
    for (int i = 0; i < set->table_count; i++) {
        const struct plan_table *t = &set->tables[i];

        print_heading(set, i, "Rollback", out);
        print_back_columns(t->back, out);
        print_back_key(t->back, out);
        print_not_proven(t->proof, out);
        if (t->again != NULL)
            fprintf(out, "  After a rollback the new table can become active again.\n");
        else
            fprintf(out, "  After a rollback the new table cannot become active again: %s.\n",
                    t->why_not_again);
        print_rows(t->back, out);
    }
    print_swap_back(set, out);
}
