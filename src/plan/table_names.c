#include "table_names.h"

#include <stdlib.h>

#include "core/command.h"
#include "core/list.h"
#include "sql/sql.h"

static bool
refuse_taken(struct session *s, const struct result *r, int row, const struct plan_options *options,
             struct string_list *reasons, struct string_list *hints, struct error *err)
{
    const char *name = row_text(r, row, "name"), *remove = row_text(r, row, "remove");
    bool is_table = row_bool(r, row, "is_table");
    char *job = NULL;

    if (is_table && options->kept_by != NULL &&
        !options->kept_by(s, (oid_t)row_int(r, row, "oid"), &job, err))
        return false;
    if (job != NULL) {
        list_addf(reasons,
                  "a relation or type \"%s\" exists already: the ended job \"%s\" has kept this table", name,
                  job);
        list_addf(hints, "If it is not needed any more: %s", remove);
    } else {
        list_addf(reasons, "a relation or type \"%s\" exists already: it is a %s", name,
                  row_text(r, row, "what"));
        if (is_table)
            list_add_once(hints, "Drop or rename it if it is an original that was kept (finish "
                                 "--keep-original). If it belongs to another job, end that one "
                                 "first: " COMMAND_PLAIN("jobs"));
        else
            list_add_once(hints, "Rename it, or drop it if it is not needed.");
    }
    free(job);
    return true;
}

bool
table_names_refuse(struct session *s, const struct plan *p, const struct string_list *existing,
                   const struct plan_options *options, struct string_list *reasons, struct string_list *hints,
                   struct error *err)
{
    struct result r = {0};
    bool ok;

    if (!list_has(existing, p->names.shadow_name) && !list_has(existing, p->names.old_name))
        return true;
    ok = session_query(s, &r, err, sql_plan_names_taken, 3, p->source->schema, p->names.shadow_name,
                       p->names.old_name);
    for (int i = 0; ok && i < result_rows(&r); i++)
        ok = refuse_taken(s, &r, i, options, reasons, hints, err);
    result_free(&r);
    return ok;
}
