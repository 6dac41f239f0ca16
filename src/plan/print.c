#include <stdlib.h>
#include <string.h>

#include "core/count.h"
#include "core/mem.h"
#include "objects/generate.h"
#include "plan/plan.h"
#include "print.h"

#define WIDTH 100

/* Text in lines of at most WIDTH, broken at spaces, each after indent spaces. */
void
print_wrapped(FILE *out, int indent, const char *text)
{
    int room = WIDTH - indent;

    while (*text != '\0') {
        int len = (int)strcspn(text, "\n");
        int cut = len;

        if (len > room) {
            for (cut = room; cut > 0 && text[cut] != ' '; cut--)
                ;
            if (cut == 0)
                cut = (int)strcspn(text, " \n");
        }
        fprintf(out, "%*s%.*s\n", indent, "", cut, text);
        text += cut;
        text += strspn(text, " \n");
    }
}

char *
print_size_text(int64_t bytes)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    double size = (double)bytes;
    size_t unit = 0;

    while (size >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        size /= 1024;
        unit++;
    }
    return mem_printf(unit == 0 || size >= 100 ? "%.0f %s" : "%.1f %s", size, units[unit]);
}

int64_t
print_index_bytes(const struct table *t)
{
    int64_t bytes = 0;

    for (int i = 0; i < t->index_count; i++)
        bytes += t->indexes[i].bytes;
    return bytes;
}

static void
print_head(const struct plan *p, FILE *out)
{
    char *heap = print_size_text(p->source->bytes);
    char *indexes = print_size_text(print_index_bytes(p->source));

    fprintf(out, "%s of table %s\n", p->sql != NULL ? "Change" : "Rebuild", p->names.source_sql);
    fprintf(out, "  %s, and %s in %d %s", heap, indexes, p->source->index_count,
            count_word(p->source->index_count, "index", "indexes"));
    if (p->source->estimated_rows >= 0)
        fprintf(out, "; about %lld %s", (long long)p->source->estimated_rows,
                count_word(p->source->estimated_rows, "row", "rows"));
    fprintf(out, "\n");
    free(heap);
    free(indexes);
}

static void
print_warnings(const struct plan *p, FILE *out)
{
    if (p->advice.warnings.count == 0)
        return;
    fprintf(out, "\nWarning\n");
    for (int i = 0; i < p->advice.warnings.count; i++)
        print_wrapped(out, 2, p->advice.warnings.items[i]);
}

static void
print_notes(const struct plan *p, FILE *out)
{
    if (p->advice.notes.count == 0)
        return;
    fprintf(out, "\nTake note\n");
    for (int i = 0; i < p->advice.notes.count; i++)
        print_wrapped(out, 2, p->advice.notes.items[i]);
}

/* "depends on a, b" of an expression over the row. */
static char *
depends_text(const struct plan *p, const struct plan_column *c)
{
    struct buffer text = {0};

    for (int i = 0; i < p->source->column_count; i++)
        if (c->depends_on[i])
            buffer_printf(&text, "%s%s", text.len > 0 ? ", " : " of ", p->source->columns[i].name);
    return buffer_take(&text);
}

static char *
print_fate_of(const struct plan *p, int position)
{
    const struct plan_column *c = &p->rows.columns[position];
    int attnum = p->target->columns[position].attnum;
    const struct column *from = attnum <= p->source->column_count ? &p->source->columns[attnum - 1] : NULL;
    char *depends;
    char *text;

    switch (c->origin) {
    case COLUMN_CONSTANT:
        return mem_strdup("added: every row gets the same value");
    case COLUMN_GENERATED:
        return mem_strdup(from == NULL ? "added: computed by the server" : "computed by the server");
    case COLUMN_DEFAULT:
        return mem_strdup("added: its default is made once per row");
    case COLUMN_FROM_ROW:
        break;
    }
    if (!c->plain) {
        depends = depends_text(p, c);
        text = mem_printf("an expression%s%s%s", depends, from != NULL ? "; was " : "",
                          from != NULL ? from->type : "");
        free(depends);
        return text;
    }
    if (strcmp(from->type, c->type) != 0)
        return mem_printf("converted from %s%s%s", from->type,
                          strcmp(from->name, c->name) != 0 ? "; was " : "",
                          strcmp(from->name, c->name) != 0 ? from->name : "");
    return strcmp(from->name, c->name) != 0 ? mem_printf("copied; was %s", from->name) : mem_strdup("copied");
}

static void
print_columns(const struct plan *p, FILE *out)
{
    fprintf(out, "\nColumns\n");
    for (int i = 0; i < p->rows.column_count; i++) {
        char *fate = print_fate_of(p, i);

        fprintf(out, "  %-24s %-28s %s\n", p->rows.columns[i].name, p->rows.columns[i].type, fate);
        free(fate);
    }
    for (int i = 0; i < p->source->column_count; i++)
        if (table_column(p->target, i + 1) == NULL)
            fprintf(out, "  %-24s %-28s dropped\n", p->source->columns[i].name, p->source->columns[i].type);
}

static void
print_key(const struct plan *p, FILE *out)
{
    const struct index *index = table_key(p->source);
    bool hidden = false;

    fprintf(out, "\nRows are found by");
    for (int i = 0; i < p->key_count; i++) {
        fprintf(out, "%s %s", i > 0 ? "," : "", p->key[i].source_name);
        hidden = hidden || p->key[i].hidden;
    }
    fprintf(out, " (index %s)%s\n", index->name,
            hidden ? "; the new table carries these values in hidden columns until the swap" : "");
}

static void
print_part(FILE *out, const char *kind, const char *name, const char *fate)
{
    fprintf(out, "  %-14s %-40s %s\n", kind, name, fate);
}

static bool
has_constraint(const struct table *t, const char *name)
{
    for (int i = 0; i < t->constraint_count; i++)
        if (strcmp(t->constraints[i].name, name) == 0)
            return true;
    return false;
}

static void
print_constraints(const struct plan *p, FILE *out)
{
    for (int i = 0; i < p->target->constraint_count; i++) {
        const struct constraint *c = &p->target->constraints[i];
        bool old = has_constraint(p->source, c->name);

        if (c->type != 'c')
            continue;
        print_part(out, "check", c->name,
                   c->validated ? (old ? "kept" : "added; every row is checked")
                                : "kept NOT VALID, from the swap on");
    }
    for (int i = 0; i < p->source->constraint_count; i++)
        if (!has_constraint(p->target, p->source->constraints[i].name) &&
            p->source->constraints[i].type == 'c')
            print_part(out, "check", p->source->constraints[i].name, "dropped");
}

static void
print_sequences(const struct plan *p, FILE *out)
{
    for (int i = 0; i < p->target->column_count; i++)
        for (const struct owned_sequence *q = p->target->columns[i].sequence; q != NULL; q = q->next)
            print_part(out, "sequence", q->name,
                       q->oid == 0   ? "new"
                       : q->identity ? "made anew; continues where it stands"
                                     : "the same; moves in the swap");
}

static const struct foreign_key *
foreign_key_named(const struct table *t, const struct foreign_key *like)
{
    for (int i = 0; i < t->foreign_key_count; i++)
        if (t->foreign_keys[i].on_oid == like->on_oid && strcmp(t->foreign_keys[i].name, like->name) == 0)
            return &t->foreign_keys[i];
    return NULL;
}

static void
print_foreign_key(const struct foreign_key *f, const char *fate, FILE *out)
{
    char *name = mem_printf("%s of %s to %s", f->name, f->on_name, f->ref_name);

    print_part(out, "foreign key", name, fate);
    free(name);
}

static void
print_foreign_keys(const struct plan *p, FILE *out)
{
    for (int i = 0; i < p->target->foreign_key_count; i++)
        print_foreign_key(&p->target->foreign_keys[i],
                          p->target->foreign_keys[i].validated ? "NOT VALID in the swap, validated after it"
                                                               : "kept NOT VALID",
                          out);
    for (int i = 0; i < p->source->foreign_key_count; i++)
        if (foreign_key_named(p->target, &p->source->foreign_keys[i]) == NULL)
            print_foreign_key(&p->source->foreign_keys[i], "dropped or renamed", out);
}

static void
print_dependent(const struct dependent *d, FILE *out)
{
    size_t kind = strlen(d->kind);
    const char *name = d->description;

    if (strncmp(name, d->kind, kind) == 0 && name[kind] == ' ')
        name += kind + 1;
    print_part(out, d->kind, name,
               d->reason != NULL ? d->reason
               : d->fate != NULL ? d->fate
                                 : "for information: it will see the statements of the job");
}

static void
print_parts(const struct plan *p, FILE *out)
{
    fprintf(out, "\nWhat depends on the table, and what becomes of it\n");
    for (int i = 0; i < p->target->index_count; i++) {
        const struct index *x = &p->target->indexes[i];

        print_part(out, generate_constraint_of(p->target, x) != NULL ? "constraint" : "index", x->name,
                   table_index_named(p->source, x->name) != NULL ? "built anew, same name" : "new");
    }
    for (int i = 0; i < p->source->index_count; i++)
        if (table_index_named(p->target, p->source->indexes[i].name) == NULL)
            print_part(out, "index", p->source->indexes[i].name, "dropped or renamed");
    print_constraints(p, out);
    print_sequences(p, out);
    for (int i = 0; i < p->target->statistics_count; i++)
        print_part(out, "statistics", p->target->statistics[i].name, "made anew, same name");
    print_foreign_keys(p, out);
    for (int i = 0; i < p->source->dependent_count; i++)
        print_dependent(&p->source->dependents[i], out);
    print_wrapped(
        out, 2,
        "Owner, privileges, row security, comments, storage parameters, statistics targets and replica "
        "identity come along.");
}

void
print_list(FILE *out, const struct string_list *list)
{
    for (int i = 0; i < list->count; i++)
        fprintf(out, "  %s;\n", list->items[i]);
}

void
print_planned(FILE *out, const struct planned_list *list)
{
    for (int i = 0; i < list->count; i++) {
        if (list->items[i].lock != LOCK_NONE)
            fprintf(out, "  -- takes %s\n", print_lock_name(list->items[i].lock));
        fprintf(out, "  %s;\n", list->items[i].sql);
    }
}

static void
print_statements(FILE *out, const char *title, const struct string_list *list)
{
    if (list->count == 0)
        return;
    fprintf(out, "  -- %s\n", title);
    print_list(out, list);
}

static void
print_sql(const struct plan *p, FILE *out)
{
    print_statements(out, "the new table", &p->statements.create);
    fprintf(out, "  -- its rows, a range of blocks at a time\n");
    fprintf(out,
            "  INSERT INTO %s (%s)\n    OVERRIDING SYSTEM VALUE\n    SELECT pgrecast_new.* FROM ONLY %s AS "
            "pgrecast_src\n    CROSS JOIN LATERAL (%s) AS pgrecast_new;\n",
            p->names.shadow_sql, p->rows.insert_columns, p->names.source_sql, p->rows.transform_insert);
    fprintf(out, "  -- its indexes\n");
    for (int i = 0; i < p->index_count; i++)
        fprintf(out, "  %s;\n", p->indexes[i].sql);
    print_statements(out, "what else it has", &p->statements.finish_shadow);
}

static void
print_swap(const struct plan_set *set, FILE *out)
{
    if (set->table_count > 1)
        fprintf(out, "\nThe swap of all tables\n");
    print_statements(out, "before it, in one transaction: the views over the new tables", &set->early_create);
    for (int i = 0; i < set->early_count; i++)
        if (set->early[i].stores)
            fprintf(out, "  -- unless the one in use has no rows\n  REFRESH MATERIALIZED VIEW %s;\n",
                    set->early[i].new_name);
    if (set->cutover->locks.count > 0)
        fprintf(out, "  -- locks beside the tables' own\n");
    print_planned(out, &set->cutover->locks);
    fprintf(out, "  -- the swap, with the locks of the tables\n");
    for (int i = 0; i < set->table_count; i++)
        fprintf(out, "  LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE;\n",
                set->tables[i].forward->names.source_sql);
    print_planned(out, &set->cutover->statements);
    fprintf(out, "  -- after it\n");
    print_planned(out, &set->cutover->validate);
    for (int i = 0; i < set->table_count; i++)
        print_list(out, &set->tables[i].forward->statements.drop_old);
}

static void
print_table(const struct plan *p, FILE *out)
{
    print_head(p, out);
    print_verdicts(p, out);
    print_warnings(p, out);
    print_notes(p, out);
    print_columns(p, out);
    print_key(p, out);
    print_parts(p, out);
}

/* A heading for a section about each table; if there are several tables, it names the table. */
void
print_heading(const struct plan_set *set, int table, const char *heading, FILE *out)
{
    fprintf(out, "\n%s", heading);
    if (set->table_count > 1)
        fprintf(out, ": %s", set->tables[table].forward->names.source_sql);
    fprintf(out, "\n");
}

void
plan_set_print(const struct plan_set *set, const struct plan_options *options, const char *spool, FILE *out)
{
    for (int i = 0; i < set->table_count; i++) {
        fprintf(out, "%s", i > 0 ? "\n" : "");
        print_table(set->tables[i].forward, out);
    }
    print_steps(set, out);
    print_needs(set, options->disk_free, spool, out);
    fprintf(out, "\n");
    print_wrapped(
        out, 0,
        "Not listed: the publication, the slot, the new table's guard and statistics (VACUUM ANALYZE), and "
        "what the program writes to schema pgrecast.");
    for (int i = 0; i < set->table_count; i++) {
        print_heading(set, i, "The statements", out);
        print_sql(set->tables[i].forward, out);
    }
    print_swap(set, out);
    print_plan_rollback(set, out);
}
