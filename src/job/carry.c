#include "carry.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/expressions.h"
#include "catalog/table.h"
#include "core/buffer.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/name.h"
#include "carry_grants.h"
#include "carry_index.h"
#include "carry_dependent.h"
#include "inactive.h"
#include "pg/sqlstate.h"
#include "plan/plan.h"
#include "sql/sql.h"
#include "state/event.h"
#include "state/ledger.h"
#include "tables.h"

/* The definitions of both tables, as {object: {property: value}}. */
struct pair {
    json_t *active, *inactive;
};

static void
pair_clear(struct pair *p)
{
    json_decref(p->active);
    json_decref(p->inactive);
    *p = (struct pair){0};
}

static json_t *
value_of(json_t *definition, const char *object, const char *property)
{
    return json_object_get(json_object_get(definition, object), property);
}

static char **
active_definition(struct job_table *t, bool original)
{
    return original ? &t->definition : &t->active_definition;
}

static char **
active_fingerprint(struct job_table *t, bool original)
{
    return original ? &t->fingerprint : &t->active_fingerprint;
}

static const char *
text_of(json_t *change, const char *member)
{
    return json_string_value(json_object_get(change, member));
}

static bool
is_property(json_t *change, const char *property)
{
    const char *of = text_of(change, "property");

    return of != NULL && strcmp(of, property) == 0;
}

/* Privileges are on the active table only: the next swap gives them to the other one. */
static bool
is_of_the_swap(json_t *change)
{
    const char *object = text_of(change, "object");

    return is_property(change, "privileges") &&
           (strcmp(object, "table") == 0 || strncmp(object, "column ", 7) == 0);
}

/* Something was added or dropped as a whole. */
static bool
is_of_an_object(json_t *change)
{
    return carry_index_is(change) || carry_dependent_is(change);
}

static bool
is_of_storage(json_t *change)
{
    return is_property(change, "storage parameters") && strcmp(text_of(change, "object"), "table") == 0;
}

/*
 * The storage parameters of the new table differ from the original's until the swap, in those of autovacuum. The others are
 * the same if the user's statements leave them alone, because every change is carried over or holds the job.
 */
static bool
has_same_storage(const struct plan *plan)
{
    return name_same(plan->source->options, plan->target->options) &&
           name_same(plan->source->toast_options, plan->target->toast_options);
}

/* Whether both tables had the same value of each property that was changed. */
static bool
were_equal(const struct plan *plan, const struct pair *before, json_t *changes)
{
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        const char *object = text_of(change, "object"), *property = text_of(change, "property");
        json_t *value = property != NULL ? value_of(before->active, object, property) : NULL;

        if (is_of_an_object(change))
            continue;
        if (value == NULL)
            return false;
        if (is_of_the_swap(change) || (is_of_storage(change) && has_same_storage(plan)))
            continue;
        if (!json_equal(value, value_of(before->inactive, object, property)))
            return false;
    }
    return true;
}

bool
carry_is_same_column(const struct plan *plan, const struct column *to)
{
    const struct column *from = table_column_named(plan->source, to->name);

    return from != NULL && from->attnum == to->attnum;
}

void
carry_list_same_columns(const struct plan *plan, struct buffer *names)
{
    for (int i = 0; i < plan->target->column_count; i++)
        if (carry_is_same_column(plan, &plan->target->columns[i]))
            array_add(names, plan->target->columns[i].name);
    array_end(names);
}

static const char *
statement_for(const struct result *r, const char *object, const char *property)
{
    for (int i = 0; i < result_rows(r); i++)
        if (strcmp(row_text(r, i, "object"), object) == 0 &&
            strcmp(row_text(r, i, "property"), property) == 0)
            return row_text(r, i, "sql");
    return NULL;
}

static bool
read_statements(struct engine *e, int table, const struct pair *before, struct result *r, struct error *err)
{
    json_t *storage = value_of(before->active, "table", "storage parameters");
    struct buffer columns = {0};
    struct params p = {0};
    bool ok;

    carry_list_same_columns(e->tables[table].plan, &columns);
    params_uint(&p, job_active_oid(&e->job, table));
    params_uint(&p, job_other_oid(&e->job, table));
    params_text(&p, columns.data);
    params_text(&p, json_string_value(storage));
    ok = session_query_with(e->control, r, err, sql_carry, &p);
    buffer_free(&columns);
    return ok;
}

/* Run the statement of each change that is made now. *known: there is one for each. */
static bool
run_statements(struct engine *e, int table, const struct pair *before, json_t *changes, bool *known,
               struct error *err)
{
    struct result r = {0};
    json_t *change;
    size_t i;
    bool ok = read_statements(e, table, before, &r, err);

    *known = ok;
    json_array_foreach(changes, i, change)
    {
        const char *sql;

        if (!*known || is_of_the_swap(change) || is_of_an_object(change))
            continue;
        sql = statement_for(&r, text_of(change, "object"), text_of(change, "property"));
        *known = sql != NULL;
        ok = ok && (sql == NULL || sql[0] == '\0' || session_execute(e->control, err, sql));
    }
    result_free(&r);
    return ok;
}

/* The parameters of both are the same now, but for those of autovacuum. */
static bool
check_storage(struct engine *e, int table, const struct pair *before, bool *exact, struct error *err)
{
    struct result r = {0};
    const char *sql;
    bool ok = read_statements(e, table, before, &r, err);

    if (ok) {
        sql = statement_for(&r, "table", "storage parameters");
        *exact = *exact && sql != NULL && sql[0] == '\0';
    }
    result_free(&r);
    return ok;
}

static bool
read_pair(struct engine *e, int table, struct table_definition *active, struct table_definition *inactive,
          struct error *err)
{
    return engine_read_definition(e, job_active_oid(&e->job, table), active, err) &&
           engine_read_definition(e, job_other_oid(&e->job, table), inactive, err);
}

static bool
is_index(const char *object)
{
    return strncmp(object, "index ", 6) == 0;
}

/* After a cutover a rollback undoes changes of indexes. They are logged (watch_tables.c), and are no reason against other changes. */
static void
take_indexes(json_t *before, json_t *now)
{
    const char *object;
    json_t *properties;
    void *next;

    json_object_foreach_safe(before, next, object, properties)
    {
        if (is_index(object))
            json_object_del(before, object);
    }
    json_object_foreach(now, object, properties)
    {
        if (is_index(object))
            json_object_set(before, object, properties);
    }
}

/* The definitions are those of before, with the present values of what was changed, and with nothing else. */
static bool
is_exact(struct pair *before, const struct pair *now, json_t *changes, const struct result *indexes,
         bool reversed)
{
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        const char *object = text_of(change, "object"), *property = text_of(change, "property");
        json_t *value;

        if (is_of_an_object(change))
            continue;
        value = value_of(now->active, object, property);
        if (value == NULL)
            return false;
        json_object_set(json_object_get(before->active, object), property, value);
        if (is_of_storage(change))
            value = value_of(now->inactive, object, property); /* see check_storage() */
        if (!is_of_the_swap(change))
            json_object_set(json_object_get(before->inactive, object), property, value);
    }
    carry_dependent_settle(changes, before->active, now->active);
    if (reversed)
        take_indexes(before->active, now->active);
    return carry_index_settle(indexes, before->active, before->inactive, now->active, now->inactive) &&
           json_equal(before->active, now->active) && json_equal(before->inactive, now->inactive);
}

/* What the transaction has made and read. */
struct carried {
    struct table_definition active, inactive;
    struct table *dependents; /* for carry_dependent_amend(), or NULL */
    struct table *grants;     /* for plan_set_privileges(), or NULL */
    struct result indexes;    /* carry_index.sql */
    bool exact;
};

static void
exchange(char **a, char **b)
{
    char *was = *a;

    *a = *b;
    *b = was;
}

/* What the job's state has in memory becomes what was read, and the reverse. */
static void
exchange_definitions(struct engine *e, int table, struct carried *c)
{
    struct job_table *t = &e->job.tables[table];
    bool original = e->job.swaps == 0;

    exchange(active_definition(t, original), &c->active.text);
    exchange(active_fingerprint(t, original), &c->active.fingerprint);
    exchange(&t->other_definition, &c->inactive.text);
    exchange(&t->other_fingerprint, &c->inactive.fingerprint);
}

/* Make the plan of the swaps anew. The set in use is changed only when it is certain that the new version is stored. */
static bool
amend(struct plan_set *set, int table, json_t *changes, const struct carried *c)
{
    if (c->grants != NULL)
        plan_set_privileges(set, table, c->grants);
    return (c->dependents == NULL || carry_dependent_amend(c->dependents, changes, table, set)) &&
           carry_index_amend(&c->indexes, table, set);
}

/* *last: the version before, for a transaction that is rolled back; NULL: nothing was stored. False without an error if it cannot be changed. */
static bool
store_plan(struct engine *e, int table, json_t *changes, const struct carried *c, char **last,
           struct error *err)
{
    struct plan_set *copy;
    char *text;
    bool ok;

    if (c->grants == NULL && c->dependents == NULL && result_rows(&c->indexes) == 0)
        return true;
    text = plan_set_write(e->plans);
    copy = plan_set_read(text, err);
    free(text);
    if (copy == NULL)
        return false;
    ok = amend(copy, table, changes, c);
    text = plan_set_write(copy);
    plan_set_free(copy);
    if (ok) {
        *last = mem_strdup(e->job.plan);
        ok = job_state_save_plan(e->control, &e->job, text, err);
    }
    free(text);
    return ok;
}

/* Store what was read, in the transaction that has changed the inactive table. */
static bool
store(struct engine *e, int table, struct carried *c, const char *message, json_t *changes, struct error *err)
{
    char *last = NULL;
    bool ok;

    exchange_definitions(e, table, c);
    ok = store_plan(e, table, changes, c, &last, err) &&
         job_state_save_definitions(e->control, &e->job, table, err) &&
         event_carried(e->control, &e->job, message, changes, err) && inactive_seal(e, err) &&
         session_commit(e->control, err);
    if (!ok) {
        exchange_definitions(e, table, c);
        if (last != NULL)
            exchange(&e->job.plan, &last);
    }
    free(last);
    return ok;
}

static bool
is_made_by_the_swap(json_t *change)
{
    return carry_dependent_is(change) && strcmp(text_of(change, "what"), "added") == 0;
}

static char *
describe(const struct engine *e, int table, json_t *changes)
{
    struct buffer text = {0};
    json_t *change;
    size_t i;

    buffer_printf(&text, "a change of %s is carried over to %s: ", e->tables[table].plan->names.source_sql,
                  e->tables[table].plan->names.shadow_sql);
    json_array_foreach(changes, i, change)
    {
        buffer_printf(&text, "%s%s", i > 0 ? "; " : "", text_of(change, "object"));
        if (is_of_an_object(change))
            buffer_printf(&text, " %s%s", text_of(change, "what"),
                          is_made_by_the_swap(change) ? " (by the next swap)" : "");
        else
            buffer_printf(&text, ": %s%s", text_of(change, "property"),
                          is_of_the_swap(change) ? " (by the next swap)" : "");
    }
    return buffer_take(&text);
}

static bool
has_any(json_t *changes, bool (*is_one)(json_t *change))
{
    json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        if (is_one(change))
            return true;
    }
    return false;
}

/* Whether there are changes of indexes, in either table. */
static bool
has_indexes(json_t *changes, json_t *others)
{
    return others != NULL || has_any(changes, carry_index_is);
}

static bool
read_indexes(struct engine *e, int table, json_t *changes, json_t *others, struct carried *c,
             enum carry_index_state *state, struct error *err)
{
    const struct job_table *t = &e->job.tables[table];
    bool ok;

    *state = CARRY_INDEX_READY;
    if (!has_indexes(changes, others))
        return true;
    ok = carry_index_read(e, table, changes, e->job.swaps == 0 ? t->definition : t->active_definition,
                          t->other_definition, &c->indexes, err);
    if (ok)
        *state =
            job_is_reversed(&e->job) ? CARRY_INDEX_OTHERS : carry_index_judge(&c->indexes, changes, others);
    return ok;
}

/* Make the changes, in a transaction. c->exact: the tables differ in nothing else from what they were. */
static bool
make_changes(struct engine *e, int table, struct pair *before, json_t *changes, json_t *others,
             struct carried *c, struct error *err)
{
    const char *was = *active_definition(&e->job.tables[table], e->job.swaps == 0);
    enum carry_index_state state = CARRY_INDEX_NEVER;
    struct pair now = {0};
    bool ok = session_execute(e->control, err, "BEGIN; SET LOCAL lock_timeout = '200ms'") &&
              inactive_lock(e, err) && !e->distrusted &&
              (!has_any(changes, carry_dependent_is) || carry_dependents_lock(e, table, changes, err)) &&
              run_statements(e, table, before, changes, &c->exact, err) && c->exact &&
              (!has_any(changes, is_of_storage) || check_storage(e, table, before, &c->exact, err)) &&
              read_indexes(e, table, changes, others, c, &state, err) && state == CARRY_INDEX_READY &&
              carry_index_drop(e, &c->indexes, err) && read_pair(e, table, &c->active, &c->inactive, err);

    if (ok && has_any(changes, is_of_the_swap)) {
        c->grants = carry_grants(e, table, was, c->active.text, &c->exact, err);
        ok = c->grants != NULL;
    }
    if (ok) {
        now.active = json_loads(c->active.text, 0, NULL);
        now.inactive = json_loads(c->inactive.text, 0, NULL);
    }
    if (ok && has_any(changes, carry_dependent_is)) {
        c->dependents = carry_dependents(e, table, changes, now.active, &c->exact, err);
        ok = c->dependents != NULL;
    }
    if (ok) {
        c->exact = c->exact && is_exact(before, &now, changes, &c->indexes, job_is_reversed(&e->job));
    }
    pair_clear(&now);
    return ok;
}

static bool
carry(struct engine *e, int table, struct pair *before, json_t *changes, json_t *others, bool *carried,
      struct error *err)
{
    struct carried c = {0};
    char *message = describe(e, table, changes);

    *carried = make_changes(e, table, before, changes, others, &c, err) && c.exact &&
               store(e, table, &c, message, changes, err);
    if (*carried) {
        amend(e->plans, table, changes, &c);
        log_info("%s", message);
    } else {
        session_rollback(e->control);
    }
    table_definition_clear(&c.active);
    table_definition_clear(&c.inactive);
    table_free(c.grants);
    table_free(c.dependents);
    result_free(&c.indexes);
    free(message);
    return *carried;
}

/* Another attempt may succeed. */
static bool
may_succeed_later(const struct engine *e, const struct error *failed)
{
    return e->distrusted || sqlstate_is(failed, SQLSTATE_LOCK_NOT_AVAILABLE) ||
           sqlstate_is(failed, SQLSTATE_DEADLOCK_DETECTED);
}

/* How far changes of indexes are; there may be none. */
static bool
judge_indexes(struct engine *e, int table, json_t *changes, json_t *others, enum carry_index_state *state,
              struct error *err)
{
    struct carried c = {0};
    bool ok = read_indexes(e, table, changes, others, &c, state, err);

    result_free(&c.indexes);
    return ok;
}

bool
carry_changes(struct engine *e, int table, json_t *changes, json_t *others, bool *carried, struct error *err)
{
    struct job_table *t = &e->job.tables[table];
    struct watched *w = &e->tables[table].active;
    const char *active = *active_definition(t, e->job.swaps == 0);
    enum carry_index_state state = CARRY_INDEX_NEVER;
    struct pair before = {0};
    struct error failed = {0};
    bool ok = true;

    *carried = false;
    /* what a partitioned table has is on its partitions too, or cannot be on it: the change holds the job */
    if (e->tables[table].plan->source->partition_key != NULL ||
        e->tables[table].plan->target->partition_key != NULL) {
        w->not_carried = true;
        return true;
    }
    if (w->not_carried || w->unbuilt || !e->job.shadow_complete || e->distrusted || !engine_applies(e) ||
        !engine_at_boundary(e) || active == NULL || t->other_definition == NULL ||
        t->other_fingerprint == NULL)
        return true;
    if (!inactive_check(e, err))
        return false;
    before.active = json_loads(active, 0, NULL);
    before.inactive = json_loads(t->other_definition, 0, NULL);
    if (were_equal(e->tables[table].plan, &before, changes) &&
        judge_indexes(e, table, changes, others, &state, &failed) && state == CARRY_INDEX_READY)
        carry(e, table, &before, changes, others, carried, &failed);
    if (failed.connection_lost || failed.stopped) {
        error_move(err, &failed);
        ok = false;
    }
    w->unbuilt = ok && state == CARRY_INDEX_UNBUILT; /* the loops of the phases build them */
    w->not_carried =
        ok && !*carried && !w->unbuilt && state != CARRY_INDEX_OTHERS && !may_succeed_later(e, &failed);
    error_clear(&failed);
    pair_clear(&before);
    return ok;
}
