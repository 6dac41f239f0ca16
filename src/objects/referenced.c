/* The tables that new foreign keys refer to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/foreign_key.h"
#include "rows/view.h"
#include "sql/sql.h"
#include "stand_in.h"

static char *
typed_text(const struct typed_name *name)
{
    return name->schema != NULL ? name_qualified(name->schema, name->name) : name_quoted(name->name);
}

/* The caller has set the search_path. */
static bool
read_referenced(struct session *s, const char *typed, struct referenced *item, struct error *err)
{
    struct result r = {0};
    bool ok = session_query(s, &r, err, sql_catalog_referenced, 1, typed);

    if (ok && result_rows(&r) == 0) {
        ok = error_set(err, ERROR_USAGE, "a foreign key refers to %s, which does not exist", typed);
    } else if (ok && row_text(&r, 0, "reason") != NULL) {
        ok = error_set(err, ERROR_REFUSED, "a foreign key cannot refer to %s: %s", typed,
                       row_text(&r, 0, "reason"));
    } else if (ok) {
        item->oid = (oid_t)row_int(&r, 0, "oid");
        item->name = row_copy(&r, 0, "name");
        item->lock = row_copy(&r, 0, "lock");
    }
    result_free(&r);
    return ok;
}

bool
referenced_find(struct session *s, const struct statement_list *statements, struct referenced_list *list,
                struct error *err)
{
    bool ok;

    if (statements->referenced_count == 0)
        return true;
    list->items = mem_alloc((size_t)statements->referenced_count * sizeof(*list->items));
    list->count = statements->referenced_count;
    ok = view_search_path(s, true, err);
    for (int i = 0; ok && i < list->count; i++) {
        char *typed = typed_text(&statements->referenced[i]);

        ok = read_referenced(s, typed, &list->items[i], err);
        free(typed);
    }
    return ok && view_search_path(s, false, err);
}

static bool
has_stand_in(const struct table *source, const struct referenced_list *list, int number)
{
    oid_t oid = list->items[number].oid;
    bool has = oid == source->oid;

    for (int i = 0; i < source->foreign_key_count && list->items[number].changed == 0; i++)
        has = has || source->foreign_keys[i].other_oid == oid;
    for (int i = 0; i < number; i++)
        has = has || list->items[i].oid == oid;
    return has;
}

bool
referenced_make(struct session *s, const struct table *source, const char *schema,
                struct referenced_list *list, struct error *err)
{
    bool ok = true, made = true;

    for (int i = 0; ok && i < list->count; i++) {
        struct referenced *item = &list->items[i];

        item->clone = item->changed != 0 ? stand_in_changed_name(schema, item->oid)
                                         : stand_in_side(source, schema, item->oid);
        if (!has_stand_in(source, list, i))
            ok = stand_in_make(s, item->clone, item->changed != 0 ? item->changed : item->oid, &made, err);
        if (ok && !made)
            ok = error_set(err, ERROR_REFUSED, "table %s was dropped meanwhile", item->name);
    }
    return ok;
}

void
referenced_free(struct referenced_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].clone);
        free(list->items[i].lock);
    }
    free(list->items);
    *list = (struct referenced_list){0};
}

static bool
drops(const struct statement_list *statements, const char *constraint)
{
    for (int i = 0; i < statements->count; i++)
        for (int k = 0; k < statements->items[i].clause_count; k++) {
            const char *dropped = statements->items[i].clauses[k].dropped_constraint;

            if (dropped != NULL && strcmp(dropped, constraint) == 0)
                return true;
        }
    return false;
}

void
foreign_keys_dropped(const struct table *source, const char *schema, oid_t other,
                     const struct statement_list *statements, struct string_list *out)
{
    for (int i = 0; i < source->foreign_key_count; i++) {
        const struct foreign_key *f = &source->foreign_keys[i];
        char *on, *name;

        if (f->on_oid != other || f->ref_oid != source->oid || !drops(statements, f->name))
            continue;
        on = stand_in_side(source, schema, other);
        name = name_quoted(f->name);
        list_addf(out, "ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %s", on, name);
        free(name);
        free(on);
    }
}

/* The names are quoted: "schema"."pgrecast_referenced_0003". Nothing that the user typed has this schema in it. */
char *
referenced_sql(const struct referenced_list *list, const char *schema, const char *sql)
{
    char *pattern = name_qualified(schema, REFERENCED_TABLE);
    size_t length = strlen(pattern) - 1; /* without the last quote */
    struct buffer out = {0};
    const char *at;

    pattern[length] = '\0';
    while (list->count > 0 && (at = strstr(sql, pattern)) != NULL) {
        int number = -1;

        if (sscanf(at + length, "%4d", &number) != 1 || number < 0 || number >= list->count)
            break;
        buffer_printf(&out, "%.*s%s", (int)(at - sql), sql, list->items[number].clone);
        sql = at + length + strlen("0000\"");
    }
    buffer_add_text(&out, sql);
    free(pattern);
    return buffer_take(&out);
}
