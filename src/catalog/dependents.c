/* What depends on a table: foreign keys, and everything that pg_depend leads to. */
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "catalog/expressions.h"
#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "sql/sql.h"

/* From 18 on a partitioned table accepts a foreign key NOT VALID like any other table. */
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
            if (part_oid(&r, k, "top") == t->foreign_keys[i].oid) {
                list_add(&t->foreign_keys[i].leaves, row_copy(&r, k, "relation"));
                list_add(&t->foreign_keys[i].leaves, row_copy(&r, k, "constraint"));
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
            .oid = part_oid(&r, i, "oid"),
            .name = row_copy(&r, i, "conname"),
            .on_oid = part_oid(&r, i, "conrelid"),
            .on_name = row_copy(&r, i, "on_name"),
            .columns = row_copy(&r, i, "columns"),
            .ref_oid = part_oid(&r, i, "confrelid"),
            .ref_name = row_copy(&r, i, "ref_name"),
            .ref_columns = row_copy(&r, i, "ref_columns"),
            .options = row_copy(&r, i, "options"),
            .validated = row_bool(&r, i, "convalidated"),
            .on_kind = part_letter(&r, i, "on_kind"),
            .comment = row_copy(&r, i, "comment"),
            .description = row_copy(&r, i, "description"),
            .reason = row_copy(&r, i, "reason"),
            .lock = row_copy(&r, i, "lock"),
            .other_oid = part_oid(&r, i, "other_oid"),
        };
    result_free(&r);
    return leaves_read(s, t, err);
}

static int
dependents_find(const struct table *t, oid_t class_oid, oid_t oid)
{
    for (int i = 0; i < t->dependent_count; i++)
        if (t->dependents[i].class_oid == class_oid && t->dependents[i].oid == oid)
            return i;
    return -1;
}

/* "class oid class oid": the objects that were read. */
static void
fill_bases(const struct table *t, struct dependent *d, const char *text)
{
    int *oids = NULL, count = part_numbers(text, &oids);

    d->bases = mem_alloc(((size_t)count / 2 + 1) * sizeof(*d->bases));
    for (int i = 0; i + 1 < count; i += 2) {
        int at = dependents_find(t, (oid_t)oids[i], (oid_t)oids[i + 1]);

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
            .class_oid = part_oid(&r, i, "classid"),
            .oid = part_oid(&r, i, "objid"),
            .kind = row_copy(&r, i, "kind"),
            .description = row_copy(&r, i, "description"),
            .reason = row_copy(&r, i, "reason"),
            .schema = row_copy(&r, i, "schema"),
            .name = row_copy(&r, i, "name"),
            .direct = row_bool(&r, i, "direct"),
            .replaceable = row_bool(&r, i, "replaceable"),
            .columns = row_copy(&r, i, "columns"),
            .parsed_body = row_bool(&r, i, "parsed_body"),
            .filled = row_bool(&r, i, "filled"),
            .whole_row = row_bool(&r, i, "whole_row"),
            .size = row_copy(&r, i, "size"),
            .owner = row_copy(&r, i, "owner"),
            .not_early = row_copy(&r, i, "not_early"),
        };
    for (int i = 0; i < count; i++)
        fill_bases(t, &t->dependents[first + i], row_text(&r, i, "bases"));
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
           : strcmp(step, "piece") == 0   ? &d->pieces
                                          : &d->obstacles;
}

/* The search_path that is needed to read the expressions of each again, as an array; see uses_path(). */
static bool
paths_read(struct session *s, const struct table *t, struct buffer *paths, struct error *err)
{
    size_t room = (size_t)t->dependent_count + 1;
    struct object_id *objects = mem_alloc(room * sizeof(*objects));
    struct uses *uses = mem_alloc(room * sizeof(*uses));
    bool ok;

    for (int i = 0; i < t->dependent_count; i++) {
        objects[i] = (struct object_id){t->dependents[i].class_oid, t->dependents[i].oid};
        uses[i] = (struct uses){0};
    }
    ok = uses_read(s, objects, t->dependent_count, uses, err);
    for (int i = 0; i < t->dependent_count; i++) {
        char *path = uses_path(&uses[i]);

        array_add(paths, path);
        free(path);
        uses_free(&uses[i]);
    }
    array_end(paths);
    free(uses);
    free(objects);
    return ok;
}

bool
dependents_read_statements(struct session *s, struct table *t, struct error *err)
{
    struct buffer classes = {0}, oids = {0}, paths = {0};
    struct result r = {0};
    struct params p = {0};
    bool ok = paths_read(s, t, &paths, err);

    for (int i = 0; i < t->dependent_count; i++) {
        buffer_printf(&classes, "%s%u", i > 0 ? "," : "{", t->dependents[i].class_oid);
        buffer_printf(&oids, "%s%u", i > 0 ? "," : "{", t->dependents[i].oid);
    }
    params_text(&p, array_end(&classes));
    params_text(&p, array_end(&oids));
    params_uint(&p, t->oid);
    params_text(&p, paths.data);
    ok = ok && session_query_with(s, &r, err, sql_catalog_dependent_statements, &p);
    for (int i = 0; ok && i < result_rows(&r); i++) {
        struct string_list *list = step_of(&t->dependents[row_int(&r, i, "at") - 1], row_text(&r, i, "step"));

        list_add(list, row_copy(&r, i, "sql"));
    }
    result_free(&r);
    buffer_free(&classes);
    buffer_free(&oids);
    buffer_free(&paths);
    return ok;
}

bool
dependents_read(struct session *s, struct table *t, struct error *err)
{
    return objects_read(s, t, sql_catalog_dependents, err) &&
           (session_major(s) < 15 || objects_read(s, t, sql_catalog_publication_schemas, err)) &&
           dependents_read_statements(s, t, err);
}

bool
table_has_general_publication(const struct table *t)
{
    for (int i = 0; i < t->dependent_count; i++)
        if (t->dependents[i].class_oid == 0 && strcmp(t->dependents[i].kind, "publication") == 0)
            return true;
    return false;
}
