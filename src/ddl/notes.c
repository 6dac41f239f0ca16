#include "ddl/notes.h"

#include <stdio.h>
#include <string.h>

#include "core/list.h"
#include "sql/sql.h"

static bool
converts_anything(const struct plan *p, const struct clone_result *clone)
{
    for (int i = 0; i < p->source->column_count; i++) {
        const struct column *to = table_column(clone->after, i + 1);
        const struct column_value *v = transform_value(&clone->transform, i + 1);

        if (to != NULL && v != NULL && (!v->plain || strcmp(to->type, p->source->columns[i].type) != 0))
            return true;
    }
    return false;
}

/* Where plain ALTER TABLE, run by the same role, might convert otherwise: said, because it cannot be told for
 * sure. */
static bool
note_settings(struct session *s, const struct plan *p, struct clone_result *clone, struct error *err)
{
    struct result r = {0};
    char oids[2][16];

    if (!converts_anything(p, clone))
        return true;
    if (!session_query(s, &r, err, sql_plan_settings, 0))
        return false;
    for (int i = 0; i < result_rows(&r); i++)
        list_addf(&clone->notes, "values are converted with %s \"%s\"; the role's own is \"%s\"",
                  result_text(&r, i, 0), result_text(&r, i, 2), result_text(&r, i, 1));
    result_free(&r);
    for (int i = 0; i < p->source->column_count; i++) {
        const struct column *from = &p->source->columns[i];
        const struct column *to = table_column(clone->after, i + 1);

        if (to == NULL || from->base_type_oid == to->base_type_oid)
            continue;
        snprintf(oids[0], sizeof(oids[0]), "%u", from->base_type_oid);
        snprintf(oids[1], sizeof(oids[1]), "%u", to->base_type_oid);
        if (!session_row(s, &r, err, sql_plan_stable_cast, 2, oids[0], oids[1]))
            return false;
        if (result_bool(&r, 0, 0))
            list_addf(&clone->notes,
                      "the conversion of column \"%s\" depends on settings of the session: TimeZone is %s",
                      from->name, result_text(&r, 0, 1));
        result_free(&r);
    }
    return true;
}

bool
notes_add(struct session *s, const struct plan *p, struct clone_result *clone, struct error *err)
{
    return note_settings(s, p, clone, err);
}
