/* Objects of jobs whose state is gone. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "state/status.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "statements.h"
#include "undo.h"

#define NAME_MOST 48 /* the name also has eight digits and _back, and must fit into 63 bytes */

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
is_known(struct session *s, enum state_presence presence, const struct result *found, int row, bool *known,
         struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_text(&p, row_text(found, row, "kind"));
    params_text(&p, row_text(found, row, "name"));
    ok = session_query_with(
        s, &res, err, presence == STATE_OLDER ? state_sql_old_orphan_known : state_sql_orphan_known, &p);
    *known = ok && result_rows(&res) > 0;
    result_free(&res);
    return ok;
}

bool
orphans_read(struct session *s, enum state_presence presence, const char *name, struct orphan_list *list,
             struct error *err)
{
    char *prefix = name != NULL ? status_name_of(name) : mem_strdup("pgrecast_.*");
    char *pattern = mem_printf("^%s[0-9a-f]{8}(_back)?$", prefix);
    struct result res = {0};
    struct params p = {0};
    bool ok;

    memset(list, 0, sizeof(*list));
    params_text(&p, pattern);
    params_bool(&p, name == NULL);
    ok = session_query_with(s, &res, err, state_sql_orphans, &p);
    list->items = mem_array(NULL, (size_t)result_rows(&res) + 1, sizeof(*list->items));
    for (int i = 0; ok && i < result_rows(&res); i++) {
        bool known = false;

        ok = presence == STATE_NONE || is_known(s, presence, &res, i, &known, err);
        if (ok && !known)
            list->items[list->count++] = (struct orphan){.kind = row_copy(&res, i, "kind"),
                                                         .name = row_copy(&res, i, "name"),
                                                         .oid = (uint32_t)row_int(&res, i, "oid"),
                                                         .remove = row_copy(&res, i, "remove")};
    }
    result_free(&res);
    free(pattern);
    free(prefix);
    if (!ok)
        orphan_list_free(list);
    return ok;
}

bool
orphan_remove(struct session *s, const struct orphan *orphan, struct error *err)
{
    struct undo_object object = {
        .kind = strcmp(orphan->kind, "slot") == 0 ? LEDGER_SLOT : LEDGER_PUBLICATION,
        .name = orphan->name,
        .oid = orphan->oid,
    };

    return undo_object(s, NULL, &object, err);
}

void
orphan_list_free(struct orphan_list *list)
{
    for (int i = 0; i < list->count; i++) {
        free(list->items[i].kind);
        free(list->items[i].name);
        free(list->items[i].remove);
    }
    free(list->items);
    memset(list, 0, sizeof(*list));
}
