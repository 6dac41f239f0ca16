/* What the expressions of a table itself use. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "catalog/expressions.h"
#include "core/mem.h"
#include "sql/sql.h"

/* The objects of a table that may have an expression. */
struct found {
    int count;
    struct named_uses *names;
    struct object_id *ids;
};

static void
found_add(struct found *f, const char *kind, const char *name, oid_t class_oid, oid_t oid)
{
    f->names = mem_array(f->names, (size_t)f->count + 1, sizeof(*f->names));
    f->ids = mem_array(f->ids, (size_t)f->count + 1, sizeof(*f->ids));
    f->names[f->count] = (struct named_uses){.kind = kind, .name = mem_strdup(name)};
    f->ids[f->count++] = (struct object_id){class_oid, oid};
}

/* Catalog tables (the classes of objects) have the same oids on every server. */
#define CLASS_RELATION 1259
#define CLASS_DEFAULT 2604
#define CLASS_CONSTRAINT 2606
#define CLASS_STATISTICS 3381

static bool
find_all(struct session *s, const struct table *t, struct found *f, struct error *err)
{
    struct result r = {0};

    if (!part_query(s, t, sql_catalog_defaults, &r, err))
        return false;
    for (int i = 0; i < result_rows(&r); i++)
        found_add(f, "default value", row_text(&r, i, "attname"), CLASS_DEFAULT, part_oid(&r, i, "oid"));
    for (int i = 0; i < t->constraint_count; i++)
        if (t->constraints[i].type == 'c')
            found_add(f, "table constraint", t->constraints[i].name, CLASS_CONSTRAINT, t->constraints[i].oid);
    for (int i = 0; i < t->index_count; i++)
        found_add(f, "index", t->indexes[i].name, CLASS_RELATION, t->indexes[i].oid);
    for (int i = 0; i < t->statistics_count; i++)
        found_add(f, "statistics object", t->statistics[i].name, CLASS_STATISTICS, t->statistics[i].oid);
    result_free(&r);
    return true;
}

bool
table_uses_read(struct session *s, const struct table *t, struct table_uses *uses, struct error *err)
{
    struct found f = {0};
    struct uses *all = NULL;
    bool ok = find_all(s, t, &f, err);

    if (ok) {
        all = mem_alloc(((size_t)f.count + 1) * sizeof(*all));
        for (int i = 0; i < f.count; i++)
            all[i] = (struct uses){0};
        ok = uses_read(s, f.ids, f.count, all, err);
    }
    for (int i = 0; i < f.count; i++) {
        if (!ok || all[i].count == 0) {
            free(f.names[i].name);
            continue;
        }
        uses->items = mem_array(uses->items, (size_t)uses->count + 1, sizeof(*uses->items));
        uses->items[uses->count] = f.names[i];
        uses->items[uses->count++].uses = all[i];
        all[i] = (struct uses){0};
    }
    for (int i = 0; all != NULL && i < f.count; i++)
        uses_free(&all[i]);
    free(all);
    free(f.names);
    free(f.ids);
    return ok;
}

void
table_uses_free(struct table_uses *uses)
{
    for (int i = 0; i < uses->count; i++) {
        free(uses->items[i].name);
        uses_free(&uses->items[i].uses);
    }
    free(uses->items);
    *uses = (struct table_uses){0};
}

const struct named_uses *
table_uses_find(const struct table_uses *uses, const char *kind, const char *name)
{
    for (int i = 0; i < uses->count; i++)
        if (strcmp(uses->items[i].kind, kind) == 0 && strcmp(uses->items[i].name, name) == 0)
            return &uses->items[i];
    return NULL;
}
