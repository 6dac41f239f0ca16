/*
 * The definitions of the tables, active and inactive, while the job runs. The versions of the rows in the
 * catalogs are read every few seconds, in one statement for all tables. A definition is read only where its
 * versions differ from those of the last check. A change is named, and nothing is swapped until the
 * definition is as it was.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "carry.h"
#include "catalog/table.h"
#include "core/buffer.h"
#include "core/log.h"
#include "core/mem.h"
#include "sql/sql.h"
#include "state/ledger.h"
#include "tables.h"
#include "watch.h"

/* The fingerprint of a table that was changed before its definition could be read. */
#define UNKNOWN "unknown"

static void
watched_clear(struct watched *w)
{
    char *indexes = w->indexes;

    free(w->versions);
    free(w->text);
    json_decref(w->changes);
    memset(w, 0, sizeof(*w));
    w->indexes = indexes;
}

static void
watched_forget(struct watched *w)
{
    watched_clear(w);
    free(w->indexes);
    w->indexes = NULL;
}

void
watch_forget(struct engine *e)
{
    for (int i = 0; i < e->table_count; i++) {
        watched_forget(&e->tables[i].active);
        watched_forget(&e->tables[i].inactive);
    }
}

/* After it was dropped, a table that is known only by its oid has no name in the catalogs. */
static const char *
property_name(const struct engine *e, const char *property)
{
    uint32_t oid = strncmp(property, "table ", 6) == 0 ? (uint32_t)strtoul(property + 6, NULL, 10) : 0;

    for (int i = 0; oid != 0 && engine_follows(e) && i < e->table_count; i++) {
        if (job_active_oid(&e->job, i) == oid)
            return e->tables[i].plan->names.source_sql;
        if (job_other_oid(&e->job, i) == oid)
            return e->tables[i].plan->names.shadow_sql;
    }
    return property;
}

void
watch_name_changes(const struct engine *e, struct buffer *text, const struct result *res)
{
    for (int i = 0; i < result_rows(res); i++) {
        const char *object = row_text(res, i, "object"), *property = row_text(res, i, "property");

        if (i > 0 && strcmp(object, row_text(res, i - 1, "object")) == 0)
            buffer_add_text(text, ", ");
        else
            buffer_printf(text, "%s%s", i > 0 ? "; " : "", object);
        buffer_printf(text, "%s%s %s", property != NULL ? ": " : "",
                      property != NULL ? property_name(e, property) : "", row_text(res, i, "what"));
    }
}

json_t *
watch_list_changes(const struct result *res)
{
    json_t *list = json_array();

    for (int i = 0; i < result_rows(res); i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s?, s:s}", "object", row_text(res, i, "object"), "property",
                                        row_text(res, i, "property"), "what", row_text(res, i, "what")));
    return list;
}

/* The table itself was replaced: its rows are not those that the job knows. */
static void
judge(struct watched *w, const struct result *res)
{
    for (int i = 0; i < result_rows(res); i++) {
        const char *object = row_text(res, i, "object"), *property = row_text(res, i, "property");
        bool whole = property == NULL;

        if (strcmp(object, "table") == 0) {
            w->renamed =
                w->renamed || whole || strcmp(property, "name") == 0 || strcmp(property, "schema") == 0;
            w->hopeless = w->hopeless || whole || strcmp(property, "kind") == 0 ||
                          strcmp(property, "persistence") == 0 || strcmp(property, "replica identity") == 0;
        } else if (strncmp(object, "column ", 7) == 0) {
            w->hopeless = w->hopeless || whole || strcmp(property, "type") == 0;
        }
    }
}

/* The definition that the program has left. */
struct expected {
    uint32_t oid;
    const char *name; /* for people */
    const char *fingerprint, *definition;
    bool indexes; /* whether changes of indexes count */
};

static struct expected
expect_active(const struct engine *e, int table)
{
    const struct job_table *t = &e->job.tables[table];
    bool original = e->job.swaps == 0;

    return (struct expected){
        .oid = job_active_oid(&e->job, table),
        .name = e->tables[table].plan->names.source_sql,
        .fingerprint = original ? t->fingerprint : t->active_fingerprint,
        .definition = original ? t->definition : t->active_definition,
        /*
         * After a cutover changes of the active table's indexes do not count. A rollback takes this table
         * away, so that losing such an index costs nothing but time. They are logged.
         */
        .indexes = !job_is_reversed(&e->job),
    };
}

static struct expected
expect_inactive(const struct engine *e, int table)
{
    const struct job_table *t = &e->job.tables[table];

    return (struct expected){
        .oid = job_other_oid(&e->job, table),
        .name = e->tables[table].plan->names.shadow_sql,
        .fingerprint = t->other_fingerprint,
        .definition = t->other_definition,
        .indexes = true,
    };
}

static bool
name_difference(struct engine *e, struct watched *w, const struct expected *x, const char *now,
                struct error *err)
{
    struct result res = {0};
    struct buffer text = {0};
    bool unknown = strcmp(x->fingerprint, UNKNOWN) == 0;
    bool ok = session_query(e->control, &res, err, sql_definition_difference, 3,
                            unknown ? now : x->definition, now, x->indexes ? "true" : "false");

    if (ok) {
        judge(w, &res);
        buffer_printf(&text, "the definition of %s was changed while the job was running: ", x->name);
        watch_name_changes(e, &text, &res);
        if (unknown)
            buffer_add_text(&text, "just after the swap");
        w->changes = watch_list_changes(&res);
        for (size_t i = 0; i < json_array_size(w->changes); i++)
            json_object_set_new(json_array_get(w->changes, i), "table", json_string(x->name));
        w->text = buffer_take(&text);
    }
    buffer_free(&text);
    result_free(&res);
    return ok;
}

/* Once for each state of the indexes: what a rollback would not take over. */
static bool
tell_indexes(struct engine *e, struct watched *w, const struct expected *x, const char *now,
             struct error *err)
{
    struct result res = {0};
    struct buffer text = {0};
    bool ok = session_query(e->control, &res, err, sql_definition_difference, 3, x->definition, now, "true");

    if (ok) {
        watch_name_changes(e, &text, &res);
        if (text.len > 0 && (w->indexes == NULL || strcmp(w->indexes, text.data) != 0))
            log_warning("indexes of %s were changed after the cutover: %s. After a rollback the original has "
                        "the indexes that it had",
                        x->name, text.data);
        free(w->indexes);
        w->indexes = buffer_take(&text);
    }
    buffer_free(&text);
    result_free(&res);
    return ok;
}

static bool
name_missing(struct watched *w, const struct expected *x)
{
    watched_clear(w);
    w->text = mem_printf("%s was dropped", x->name);
    w->changes = json_pack("[{s:s, s:n, s:s, s:s}]", "object", "table", "property", "what", "dropped",
                           "table", x->name);
    w->renamed = w->hopeless = true;
    return true;
}

/* Check one table, whose rows in the catalogs have these versions now; NULL: it has none. */
static bool
look_at(struct engine *e, struct watched *w, const struct expected *x, const char *versions,
        struct error *err)
{
    struct table_definition now = {0};
    int64_t began = clock_ms();
    bool ok;

    if (versions == NULL)
        return name_missing(w, x);
    if (w->versions != NULL && strcmp(w->versions, versions) == 0)
        return true;
    watched_clear(w);
    ok = engine_read_definition(e, x->oid, &now, err);
    if (ok && !table_fingerprint_same(now.fingerprint, x->fingerprint, x->indexes))
        ok = name_difference(e, w, x, now.text, err);
    else if (ok && !x->indexes && strcmp(x->fingerprint, UNKNOWN) != 0)
        ok = tell_indexes(e, w, x, now.text, err);
    if (ok)
        w->versions = mem_strdup(versions);
    e->watch_changed_ms += clock_ms() - began;
    table_definition_clear(&now);
    return ok;
}

static const char *
versions_of(const struct result *res, uint32_t oid)
{
    for (int i = 0; i < result_rows(res); i++)
        if ((uint32_t)row_int(res, i, "oid") == oid)
            return row_text(res, i, "versions");
    return NULL;
}

/* "{oid,...}": the oids of the active tables, and of those inactive ones whose definition is known. */
static char *
watched_oids(const struct engine *e)
{
    struct buffer oids = {0};

    for (int i = 0; i < e->table_count; i++) {
        buffer_printf(&oids, "%s%" PRIu32, i > 0 ? "," : "{", job_active_oid(&e->job, i));
        if (e->job.tables[i].other_fingerprint != NULL)
            buffer_printf(&oids, ",%" PRIu32, job_other_oid(&e->job, i));
    }
    buffer_add_char(&oids, '}');
    return buffer_take(&oids);
}

char *
watch_oids(const struct engine *e, bool active)
{
    struct buffer oids = {0};

    for (int i = 0; i < e->job.table_count; i++)
        buffer_printf(&oids, "%s%" PRIu32, i > 0 ? "," : "{",
                      active ? job_active_oid(&e->job, i) : job_other_oid(&e->job, i));
    buffer_add_char(&oids, '}');
    return buffer_take(&oids);
}

static bool
look_at_all(struct engine *e, struct error *err)
{
    struct result res = {0};
    char *oids = watched_oids(e);
    bool ok = table_versions_read(e->control, oids, &res, err);

    for (int i = 0; ok && i < e->table_count; i++) {
        struct engine_table *t = &e->tables[i];
        struct expected active = expect_active(e, i), inactive = expect_inactive(e, i);

        ok = look_at(e, &t->active, &active, versions_of(&res, active.oid), err) &&
             (inactive.fingerprint == NULL ||
              look_at(e, &t->inactive, &inactive, versions_of(&res, inactive.oid), err));
    }
    result_free(&res);
    free(oids);
    return ok;
}

/* Carry over what can be; then look again. */
static bool
carry_all(struct engine *e, struct error *err)
{
    int64_t began = clock_ms(), changed_ms = e->watch_changed_ms;
    bool any = false, ok = true;

    for (int i = 0; ok && i < e->table_count; i++) {
        struct engine_table *t = &e->tables[i];
        bool carried = false;

        if (t->active.changes == NULL || t->active.renamed || t->active.hopeless || t->inactive.renamed)
            continue;
        ok = carry_changes(e, i, t->active.changes, t->inactive.changes, &carried, err);
        if (carried) {
            watched_clear(&t->active);
            watched_clear(&t->inactive);
            any = true;
        }
    }
    ok = ok && (!any || look_at_all(e, err));
    e->watch_changed_ms = changed_ms + clock_ms() - began;
    return ok;
}

static void
add_watched(const struct watched *w, struct buffer *text, json_t *changes)
{
    if (w->text == NULL)
        return;
    buffer_printf(text, "%s%s", text->len > 0 ? "; " : "", w->text);
    json_array_extend(changes, w->changes);
}

/* Note whether the job becomes held, is released, or stays as it was. */
static bool
hold(struct engine *e, struct error *err)
{
    struct buffer text = {0};
    json_t *changes = json_array();
    char *json;
    bool ok = true;

    for (int i = 0; i < e->table_count; i++) {
        add_watched(&e->tables[i].active, &text, changes);
        add_watched(&e->tables[i].inactive, &text, changes);
    }
    json = mem_checked(json_dumps(changes, JSON_COMPACT));
    if (text.len == 0 && e->job.held != NULL) {
        ok = job_state_hold(e->control, &e->job, NULL, NULL, false, err);
        log_info("the definitions are as they were: the job is no longer held");
    } else if (text.len > 0 && (e->job.held == NULL || strcmp(e->job.held, text.data) != 0)) {
        ok = job_state_hold(e->control, &e->job, text.data, json, false, err);
        log_warning("%s. Nothing is swapped until it is as it was; the table%s kept in sync meanwhile",
                    text.data, e->table_count > 1 ? "s are" : " is");
    }
    free(json);
    json_decref(changes);
    buffer_free(&text);
    return ok;
}

bool
watch_refuse(const struct engine *e, struct error *err)
{
    error_set(err, ERROR_FAILED, "%s", e->job.held);
    return error_detail(err, "Nothing is swapped until it is as it was.");
}

/*
 * The statements of the job find a table by its name. Under another name they would find another table, or
 * none.
 */
static bool
check_names(struct engine *e, struct error *err)
{
    for (int i = 0; i < e->table_count; i++) {
        const struct engine_table *t = &e->tables[i];

        if (t->active.renamed || t->inactive.renamed) {
            watch_refuse(e, err);
            return error_hint(err, "If it was renamed, or moved to another schema: undo that first.");
        }
    }
    return true;
}

bool
watch_tables(struct engine *e, struct error *err)
{
    if (!engine_follows(e) || e->job.held_for_good || e->building)
        return true;
    return look_at_all(e, err) && carry_all(e, err) && hold(e, err) && check_names(e, err);
}

bool
watch_hopeless(struct engine *e, struct error *err)
{
    struct error failed = {0};

    if (!engine_follows(e))
        return false;
    watch_tables(e, &failed);
    error_clear(&failed);
    for (int i = 0; i < e->table_count; i++)
        if (e->tables[i].active.hopeless) {
            if (err->detail == NULL || strstr(err->message, "was changed while") == NULL)
                error_context(err, "%s", e->tables[i].active.text);
            return true;
        }
    return false;
}

void
watch_tables_add(struct engine *e, struct pipeline *p)
{
    char *oids = watched_oids(e);

    table_versions_add(p, oids);
    free(oids);
}

static bool
is_unchanged(const struct watched *w, const char *versions)
{
    return w->text == NULL && w->versions != NULL && versions != NULL && strcmp(w->versions, versions) == 0;
}

bool
watch_tables_check(struct engine *e, const struct result *res, struct error *err)
{
    for (int i = 0; i < e->table_count; i++) {
        const struct engine_table *t = &e->tables[i];

        if (!is_unchanged(&t->active, versions_of(res, job_active_oid(&e->job, i))) ||
            (e->job.tables[i].other_fingerprint != NULL &&
             !is_unchanged(&t->inactive, versions_of(res, job_other_oid(&e->job, i)))))
            return error_set(err, ERROR_LOCK,
                             "the catalogs' rows of %s have changed: they are looked at again",
                             t->plan->names.source_sql);
    }
    return true;
}

/* Read the definition and its versions in one snapshot. */
static bool
read_side(struct engine *e, uint32_t oid, const char *own, const char *noted, const struct result *versions,
          char **fingerprint, char **definition, struct error *err)
{
    const char *now = versions_of(versions, oid);
    struct table_definition d = {0};
    bool same = now != NULL && noted != NULL && strcmp(now, noted) == 0;
    bool ok = !same || table_definition_read(e->control, oid, own, &d, err);

    free(*fingerprint);
    free(*definition);
    *fingerprint = !ok ? NULL : same ? mem_strdup(d.fingerprint) : mem_strdup(UNKNOWN);
    *definition = !ok ? NULL : same ? mem_strdup(d.text) : mem_strdup("{}");
    table_definition_clear(&d);
    return ok;
}

static bool
read_swapped(struct engine *e, struct error *err)
{
    struct result versions = {0};
    char *own = ledger_own(e->control, &e->job, err), *oids = watch_oids(e, false);
    bool ok = own != NULL && table_versions_read(e->control, oids, &versions, err);

    for (int i = 0; ok && i < e->job.table_count; i++) {
        struct job_table *t = &e->job.tables[i];

        ok = read_side(e, job_other_oid(&e->job, i), own, t->other_versions, &versions, &t->other_fingerprint,
                       &t->other_definition, err);
    }
    result_free(&versions);
    free(oids);
    free(own);
    return ok;
}

bool
watch_note_swapped(struct engine *e, struct error *err)
{
    bool ok;

    if (e->job.swaps == 0 || e->job.tables[0].other_versions == NULL ||
        e->job.tables[e->job.table_count - 1].other_fingerprint != NULL)
        return true;
    ok = session_execute(e->control, err, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY") &&
         read_swapped(e, err);
    session_rollback(e->control);
    for (int i = 0; ok && i < e->job.table_count; i++)
        ok = job_state_save_definitions(e->control, &e->job, i, err);
    return ok || error_context(err, "reading the definitions as the swap has left them");
}

bool
watch_note_shadows(struct engine *e, struct error *err)
{
    char *own = ledger_own(e->control, &e->job, err);
    bool ok = own != NULL;

    for (int i = 0; ok && i < e->table_count; i++) {
        struct job_table *t = &e->job.tables[i];
        struct table_definition d;

        ok = table_definition_read(e->control, t->shadow_oid, own, &d, err);
        if (ok) {
            free(t->other_fingerprint);
            free(t->other_definition);
            t->other_fingerprint = mem_strdup(d.fingerprint);
            t->other_definition = mem_strdup(d.text);
            ok = job_state_save_definitions(e->control, &e->job, i, err);
        }
        table_definition_clear(&d);
    }
    free(own);
    return ok;
}
