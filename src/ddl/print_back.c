#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "ddl/plan.h"
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
print_columns(const struct plan_set *set, FILE *out)
{
    bool any = false;

    for (int i = 0; i < set->back->column_count; i++) {
        char *fate = fate_of(set->back, i);

        if (fate != NULL)
            print_column(out, set->back->columns[i].name, fate);
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
print_statements(const struct plan *back, const struct plan_swap *swap, FILE *out)
{
    fprintf(out, "\n  -- rows that change after the swap\n");
    fprintf(
        out,
        "  INSERT INTO %s (%s)\n    OVERRIDING SYSTEM VALUE\n    SELECT pgrecast_new.* FROM <changed rows> "
        "AS pgrecast_src\n    CROSS JOIN LATERAL (%s) AS pgrecast_new;\n",
        back->shadow_sql, back->insert_columns, back->transform_insert);
    fprintf(out, "  -- the swap back\n");
    for (int i = 0; i < swap->statements.count; i++)
        fprintf(out, "  %s;\n", swap->statements.items[i]);
    fprintf(out, "  -- after it\n");
    for (int i = 0; i < swap->validate.count; i++)
        fprintf(out, "  %s;\n", swap->validate.items[i]);
    for (int i = 0; i < back->drop_old.count; i++)
        fprintf(out, "  %s;\n", back->drop_old.items[i]);
}

void
plan_set_print(const struct plan_set *set, FILE *out)
{
    plan_print(set, out);
    fprintf(out, "\nThe way back\n");
    if (set->back == NULL) {
        fprintf(out, "  None was asked for: after the swap the original is dropped.\n");
        return;
    }
    print_columns(set, out);
    print_key(set->back, out);
    print_not_proven(set->proof, out);
    if (set->again != NULL)
        fprintf(out, "  After a rollback the new table can come to serve again.\n");
    else
        fprintf(out, "  After a rollback the new table cannot come to serve again: %s.\n",
                set->why_not_again);
    print_statements(set->back, set->rollback, out);
}
