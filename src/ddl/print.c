#include "ddl/plan.h"

static void
print_list(FILE *out, const char *title, const struct string_list *list)
{
    if (list->count == 0)
        return;
    fprintf(out, "\n%s\n", title);
    for (int i = 0; i < list->count; i++)
        fprintf(out, "  %s\n", list->items[i]);
}

void
plan_print(const struct plan *p, FILE *out)
{
    print_list(out, "Clauses", &p->clauses);
    print_list(out, "Notes", &p->notes);
    print_list(out, "Create", &p->create);
    print_list(out, "Finish", &p->finish_shadow);
    print_list(out, "Swap", &p->swap);
}
