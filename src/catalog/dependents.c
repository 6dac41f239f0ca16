/* What hangs on a table: foreign keys, and everything that pg_depend leads to. */
#include <stdlib.h>
#include <string.h>

#include "catalog/parts.h"
#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "sql/sql.h"

/* From 18 on a partitioned table takes a foreign key NOT VALID like any other. */
static bool
leaves_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};

    if (session_major(s) >= 18)
        return true;
    if (!part_query(s, t, sql_catalog_foreign_key_leaves, &r, err))
        return false;
    for (int i = 0; i < t->foreign_key_count; i++)
        for (int k = 0; k < result_rows(&r); k++)
            if (part_oid(&r, k, 0) == t->foreign_keys[i].oid) {
                list_add(&t->foreign_keys[i].leaves, part_text(&r, k, 1));
                list_add(&t->foreign_keys[i].leaves, part_text(&r, k, 2));
            }
    for (int i = 0; i < t->foreign_key_count; i++)
        if (t->foreign_keys[i].on_kind == 'p' && t->foreign_keys[i].leaves.count == 0 &&
            t->foreign_keys[i].reason == NULL)
            t->foreign_keys[i].reason =
                mem_strdup("the partitioned table has no partition that could take it NOT VALID");
    result_free(&r);
    return true;
}

bool
foreign_keys_read(struct session *s, struct table *t, struct error *err)
{
    struct result r = {0};

    if (!part_query(s, t, sql_catalog_foreign_keys, &r, err))
        return false;
    t->foreign_key_count = result_rows(&r);
    t->foreign_keys = mem_alloc(((size_t)t->foreign_key_count + 1) * sizeof(*t->foreign_keys));
    for (int i = 0; i < t->foreign_key_count; i++)
        t->foreign_keys[i] = (struct foreign_key){
            .oid = part_oid(&r, i, 0),
            .name = part_text(&r, i, 1),
            .on_oid = part_oid(&r, i, 2),
            .on_name = part_text(&r, i, 3),
            .columns = part_text(&r, i, 4),
            .ref_oid = part_oid(&r, i, 5),
            .ref_name = part_text(&r, i, 6),
            .ref_columns = part_text(&r, i, 7),
            .options = part_text(&r, i, 8),
            .validated = result_bool(&r, i, 9),
            .on_kind = part_letter(&r, i, 10),
            .comment = part_text(&r, i, 11),
            .description = part_text(&r, i, 12),
            .reason = part_text(&r, i, 13),
            .lock = part_text(&r, i, 14),
            .other_oid = part_oid(&r, i, 15),
        };
    result_free(&r);
    return leaves_read(s, t, err);
}

static int
find(const struct table *t, oid_t class_oid, oid_t oid)
{
    for (int i = 0; i < t->dependent_count; i++)
        if (t->dependents[i].class_oid == class_oid && t->dependents[i].oid == oid)
            return i;
    return -1;
}

/* "class oid class oid": of those that were read. */
static void
fill_bases(const struct table *t, struct dependent *d, const char *text)
{
    int *oids = NULL, count = part_numbers(text, &oids);

    d->bases = mem_alloc(((size_t)count / 2 + 1) * sizeof(*d->bases));
    for (int i = 0; i + 1 < count; i += 2) {
        int at = find(t, (oid_t)oids[i], (oid_t)oids[i + 1]);

        if (at >= 0)
            d->bases[d->base_count++] = at;
    }
    free(oids);
}

static bool
objects_read(struct session *s, struct table *t, const char *sql, struct error *err)
{
    struct result r = {0};
    int first = t->dependent_count, count;

    if (!part_query(s, t, sql, &r, err))
        return false;
    count = result_rows(&r);
    t->dependents = mem_array(t->dependents, (size_t)(first + count) + 1, sizeof(*t->dependents));
    for (int i = 0; i < count; i++)
        t->dependents[t->dependent_count++] = (struct dependent){
            .class_oid = part_oid(&r, i, 0),
            .oid = part_oid(&r, i, 1),
            .kind = part_text(&r, i, 2),
            .description = part_text(&r, i, 3),
            .reason = part_text(&r, i, 4),
            .schema = part_text(&r, i, 5),
            .name = part_text(&r, i, 6),
            .direct = result_bool(&r, i, 8),
            .replaceable = result_bool(&r, i, 9),
            .columns = part_text(&r, i, 10),
        };
    for (int i = 0; i < count; i++)
        fill_bases(t, &t->dependents[first + i], result_text(&r, i, 7));
    result_free(&r);
    return true;
}

static struct string_list *
step_of(struct dependent *d, const char *step)
{
    return strcmp(step, "lock") == 0      ? &d->lock
           : strcmp(step, "detach") == 0  ? &d->detach
           : strcmp(step, "attach") == 0  ? &d->attach
           : strcmp(step, "replace") == 0 ? &d->replace
           : strcmp(step, "holder") == 0  ? &d->holder
                                          : &d->obstacles;
}

static bool
statements_read(struct session *s, struct table *t, struct error *err)
{
    struct buffer classes = {0}, oids = {0};
    struct result r = {0};
    char table[16];
    bool ok;

    for (int i = 0; i < t->dependent_count; i++) {
        buffer_printf(&classes, "%s%u", i > 0 ? "," : "{", t->dependents[i].class_oid);
        buffer_printf(&oids, "%s%u", i > 0 ? "," : "{", t->dependents[i].oid);
    }
    buffer_add_text(&classes, t->dependent_count > 0 ? "}" : "{}");
    buffer_add_text(&oids, t->dependent_count > 0 ? "}" : "{}");
    snprintf(table, sizeof(table), "%u", t->oid);
    ok = session_query(s, &r, err, sql_catalog_dependent_statements, 3, classes.data, oids.data, table);
    for (int i = 0; ok && i < result_rows(&r); i++) {
        struct string_list *list = step_of(&t->dependents[result_int(&r, i, 0) - 1], result_text(&r, i, 1));

        list_add(list, part_text(&r, i, 2));
    }
    result_free(&r);
    buffer_free(&classes);
    buffer_free(&oids);
    return ok;
}

bool
dependents_read(struct session *s, struct table *t, struct error *err)
{
    return objects_read(s, t, sql_catalog_dependents, err) &&
           (session_major(s) < 15 || objects_read(s, t, sql_catalog_publication_schemas, err)) &&
           statements_read(s, t, err);
}
