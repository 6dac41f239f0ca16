/* What is left of jobs whose state is gone. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "control/status.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "sql/sql.h"

#define NAME_MOST 48 /* with the eight digits that follow and _back it must fit the 63 bytes of a name */

char *
status_name_of(const char *job)
{
    struct buffer name = {0};

    buffer_add_text(&name, "pgrecast_");
    for (const char *c = job; *c != '\0' && name.len < NAME_MOST; c++) {
        if (isascii((unsigned char)*c) && isalnum((unsigned char)*c))
            buffer_add_char(&name, (char)tolower((unsigned char)*c));
        else if (name.data[name.len - 1] != '_')
            buffer_add_char(&name, '_');
    }
    if (name.data[name.len - 1] != '_')
        buffer_add_char(&name, '_');
    return buffer_take(&name);
}

static bool
is_known(struct session *s, const char *kind, const char *name, bool *known, struct error *err)
{
    struct result res = {0};
    bool ok =
        session_query(s, &res, err,
                      "SELECT FROM pgrecast.object WHERE kind = $1 AND (name = $2 OR kind = 'table' AND "
                      "pg_catalog.to_regclass(name) = pg_catalog.to_regclass($2))",
                      2, kind, name);

    *known = ok && result_rows(&res) > 0;
    result_free(&res);
    return ok;
}

bool
orphans_read(struct session *s, const char *name, struct orphan_list *list, struct error *err)
{
    char *prefix = name != NULL ? status_name_of(name) : mem_strdup("pgrecast_.*");
    char *pattern = mem_printf("^%s[0-9a-f]{8}(_back)?$", prefix);
    struct result res = {0};
    bool exists, ok;

    memset(list, 0, sizeof(*list));
    ok = status_schema_exists(s, &exists, err) &&
         session_query(s, &res, err, sql_status_orphans, 2, pattern, name == NULL ? "true" : "false");
    list->items = mem_array(NULL, (size_t)result_rows(&res) + 1, sizeof(*list->items));
    for (int i = 0; ok && i < result_rows(&res); i++) {
        bool known = false;

        ok = !exists || is_known(s, result_text(&res, i, 0), result_text(&res, i, 1), &known, err);
        if (ok && !known)
            list->items[list->count++] = (struct orphan){.kind = mem_strdup(result_text(&res, i, 0)),
                                                         .name = mem_strdup(result_text(&res, i, 1)),
                                                         .undo = mem_strdup(result_text(&res, i, 2))};
    }
    result_free(&res);
    free(pattern);
    free(prefix);
    if (!ok)
        orphan_list_free(list);
    return ok;
}

void
orphan_list_free(struct orphan_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].kind);
        free(list->items[i].name);
        free(list->items[i].undo);
    }
    free(list->items);
    memset(list, 0, sizeof(*list));
}
