#include "advice.h"

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

/*
 * Settings on which a conversion may depend: they stay as the session has them now, for as long as the job
 * lasts.
 */
static bool
note_settings(struct session *s, const struct plan *p, struct clone_result *clone, struct error *err)
{
    const struct session_settings *settings;
    struct result r = {0};

    if (!converts_anything(p, clone))
        return true;
    settings = session_settings(s, err);
    if (settings == NULL || !session_row(s, &r, err, sql_plan_settings, 1, settings->evaluation))
        return false;
    if (!row_null(&r, 0, "settings"))
        list_addf(&clone->notes, "values are converted, also when the job is resumed or rolled back, with %s",
                  row_text(&r, 0, "settings"));
    result_free(&r);
    for (int i = 0; i < p->source->column_count; i++) {
        const struct column *from = &p->source->columns[i];
        const struct column *to = table_column(clone->after, i + 1);
        struct params types = {0};

        if (to == NULL || from->base_type_oid == to->base_type_oid)
            continue;
        params_uint(&types, from->base_type_oid);
        params_uint(&types, to->base_type_oid);
        if (!session_row_with(s, &r, err, sql_plan_stable_cast, &types))
            return false;
        if (row_bool(&r, 0, "stable"))
            list_addf(&clone->notes,
                      "the conversion of column \"%s\" depends on settings of the session: TimeZone is %s",
                      from->name, row_text(&r, 0, "time_zone"));
        result_free(&r);
    }
    return true;
}

static bool
becomes_array(const struct plan *p, const struct clone_result *clone)
{
    for (int i = 0; i < clone->after->column_count; i++) {
        const struct column *to = &clone->after->columns[i];
        bool added = to->attnum > p->source->column_count;

        if (strstr(to->base_type, "[]") != NULL &&
            (added ? to->default_expr != NULL
                   : strstr(p->source->columns[to->attnum - 1].base_type, "[]") == NULL))
            return true;
    }
    return false;
}

/*
 * Settings that are the same for every job, because the program's own statements depend on them. Refused if
 * the session's own value would give another result.
 */
static bool
check_pinned(struct session *s, const struct plan *p, struct clone_result *clone, struct error *err)
{
    struct result r = {0};
    bool ok = session_query(s, &r, err, sql_plan_pinned, 0);

    for (int i = 0; ok && i < result_rows(&r); i++) {
        const char *name = row_text(&r, i, "name");

        if ((strcmp(name, "array_nulls") == 0 && becomes_array(p, clone)) ||
            (strcmp(name, "standard_conforming_strings") == 0 && p->sql != NULL &&
             strchr(p->sql, '\\') != NULL)) {
            ok = error_set(err, ERROR_REFUSED,
                           "%s is %s in this session, and the change depends on it: a job has %s", name,
                           row_text(&r, i, "reset_val"), row_text(&r, i, "setting"));
            error_hint(err,
                       "If the result is to be as with the other value, set it for the session: "
                       "PGOPTIONS='-c %s=%s'",
                       name, row_text(&r, i, "setting"));
        } else if (converts_anything(p, clone)) {
            list_addf(&clone->notes, "values are converted with %s %s; in this session it is %s", name,
                      row_text(&r, i, "setting"), row_text(&r, i, "reset_val"));
        }
    }
    result_free(&r);
    return ok;
}

/* Objects that an event trigger adds to the clones disappear with them; on the new table they would stay. */
static bool
note_event_triggers(struct session *s, struct clone_result *clone, struct error *err)
{
    struct result r = {0};
    bool ok = session_query(
        s, &r, err,
        "SELECT pg_catalog.quote_ident(evtname) AS name FROM pg_catalog.pg_event_trigger WHERE evtenabled <> "
        "'D' "
        "AND evtevent IN ('ddl_command_start', 'ddl_command_end') AND (evttags IS NULL OR evttags && "
        "'{CREATE TABLE,ALTER TABLE,CREATE INDEX,CREATE TRIGGER}'::pg_catalog.text[]) ORDER BY 1",
        0);

    for (int i = 0; ok && i < result_rows(&r); i++)
        list_addf(
            &clone->notes,
            "event trigger %s fires when the new table is made: what it adds to that table (row security, "
            "policies, triggers, privileges, publications) is taken away again, or the job is refused",
            row_text(&r, i, "name"));
    result_free(&r);
    return ok;
}

bool
advice_add(struct session *s, const struct plan *p, struct clone_result *clone, struct error *err)
{
    return note_event_triggers(s, clone, err) && note_settings(s, p, clone, err) &&
           check_pinned(s, p, clone, err);
}
