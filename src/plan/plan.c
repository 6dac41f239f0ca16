#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/dependents.h"
#include "objects/names.h"
#include "objects/shadow.h"
#include "objects/swap_job.h"
#include "parse/statement.h"
#include "pg/sqlstate.h"
#include "rows/key.h"
#include "rows/rows.h"
#include "sql/sql.h"
#include "advice.h"
#include "clone.h"
#include "code.h"
#include "group.h"
#include "history.h"
#include "layout.h"
#include "meaning.h"
#include "partitions.h"
#include "print.h"
#include "refuse.h"
#include "sample.h"
#include "sequences.h"
#include "table_names.h"
#include "target.h"
#include "violations.h"
#include "where.h"
#include "rollback.h"

/*
 * Names that are in use in a schema: by existing objects, and by those that the plans of a job will create.
 */
struct taken_names {
    struct string_list existing;  /* relations and types */
    struct string_list relations; /* these, and what the plans will create */
    struct string_list statistics;
};

/* What is needed to make the plans of one table, beside the plans. */
struct making {
    struct session *s;
    struct error *err;
    const struct plan_options *options;
    const struct table_group *group;
    struct plan_table *plans;
    struct statement_list statements;
    char *clone_schema;
    struct clone_result clone;
    struct swap_names swap_names;
    struct rollback rollback;
    /* of the table's schema: all tables of the job in that schema share one list */
    struct taken_names *names;
    struct taken_names own_names;    /* that list; only set in the first table of the schema */
    struct string_list reverse_maps; /* for the table's columns */
    struct string_list notes;
    struct string_list reasons;
    struct string_list hints;
};

/*
 * The names in use in the schema of the table: read once, and shared by all tables of the job in that schema.
 */
static bool
plan_read_names(struct making *m, const struct making *others, const struct plan *p)
{
    struct result r = {0};

    for (const struct making *other = others; other < m; other++)
        if (strcmp(other->group->schema, m->group->schema) == 0) {
            m->names = other->names;
            return true;
        }
    m->names = &m->own_names;
    if (!session_query(m->s, &r, m->err, sql_plan_names, 1, p->source->schema))
        return false;
    for (int i = 0; i < result_rows(&r); i++)
        list_add(row_text(&r, i, "kind")[0] == 'r' ? &m->names->relations : &m->names->statistics,
                 row_copy(&r, i, "name"));
    list_add_all(&m->names->existing, &m->names->relations);
    result_free(&r);
    return true;
}

/*
 * A name that the job has chosen before is not chosen again: long names are cut, and may be equal then. One that exists in the
 * schema is kept, to be refused.
 */
static char *
plan_choose_name(const struct taken_names *names, const char *name, const char *suffix)
{
    struct string_list taken = {0};
    char *chosen = name_with_suffix(name, suffix);

    if (!list_has(&names->existing, chosen)) {
        free(chosen);
        list_add_all(&taken, &names->relations);
        chosen = name_unlike(name, suffix, &taken);
    }
    list_free(&taken);
    return chosen;
}

static void
plan_name_tables(const struct making *m, struct plan *p)
{
    p->names.source_sql = name_qualified(p->source->schema, p->source->name);
    p->names.shadow_name = plan_choose_name(m->names, p->source->name, "_pgrecast_new");
    p->names.old_name = plan_choose_name(m->names, p->source->name, "_pgrecast_old");
    p->names.shadow_sql = name_qualified(p->source->schema, p->names.shadow_name);
    p->names.old_sql = name_qualified(p->source->schema, p->names.old_name);
}

static void
take_verdicts(struct making *m, struct plan *p)
{
    p->advice.verdicts = m->clone.verdicts;
    p->advice.notes = m->clone.notes;
    m->clone.verdicts = (struct plan_verdict_list){0};
    m->clone.notes = (struct string_list){0};
    list_add_all(&p->advice.notes, &m->notes);
    if (m->options->notes != NULL)
        list_add_all(&p->advice.notes, m->options->notes);
}

/* Everything that needs the server. The rollback undoes what it does there. */
static bool
plan_explore(struct making *m, const struct making *others, int count, struct plan *p)
{
    p->source = table_read(m->s, m->group->schema, m->group->name, m->err);
    if (p->source == NULL || !plan_read_names(m, others, p))
        return false;
    plan_name_tables(m, p);
    refuse_source(p->source, m->options, &m->reasons, &m->hints);
    refuse_full_identity(p->source, session_major(m->s), &m->reasons);
    refuse_encoding(p->source, session_encoding(m->s), &m->reasons);
    if (m->reasons.count == 0)
        refuse_dependents(p->source, m->options, &m->reasons, &m->hints);
    if (!table_names_refuse(m->s, p, &m->names->existing, m->options, &m->reasons, &m->hints, m->err))
        return false;
    if (!code_refuse(m->s, p, &m->statements, m->options, &m->reasons, &m->hints, m->err))
        return false;
    if (!refuse_if(p->source, &m->reasons, &m->hints, m->err))
        return false;
    if (!meaning_refuse_own(m->s, p->source, &m->notes, m->err))
        return false;
    for (int i = 0; i < count; i++)
        foreign_keys_dropped(p->source, m->clone_schema, others[i].group->oid, &others[i].statements,
                             &m->clone.before_all);
    list_add(&m->names->relations, mem_strdup(p->names.shadow_name));
    list_add(&m->names->relations, mem_strdup(p->names.old_name));
    if (!clone_run(m->s, p->source, m->clone_schema, &m->statements, !m->options->recompute_generated,
                   &m->clone, m->err))
        return false;
    return advice_add(m->s, p, &m->clone, m->err);
}

/* Derive what will be done from what was read. No I/O. */
static bool
decide(struct making *m, struct plan *p)
{
    if (!target_settle(p->source, m->clone_schema, &m->clone, m->err))
        return false;
    p->target = m->clone.after;
    m->clone.after = NULL;
    if (m->options->layout != NULL)
        partitions_give(p, m->options->layout);
    if (m->options->widen_sequences)
        sequences_widen(p);
    sequences_refuse(p, &m->reasons);
    refuse_target(p, &m->reasons);
    refuse_full_identity(p->target, session_major(m->s), &m->reasons);
    if (!refuse_if(p->source, &m->reasons, &m->hints, m->err))
        return false;
    if (!rows_plan_columns(p, &m->clone.transform, m->err) || !key_plan(p, &m->clone.transform, m->err))
        return false;
    partitions_refuse_key(p, &m->reasons);
    if (!refuse_if(p->source, &m->reasons, &m->hints, m->err))
        return false;
    rows_plan_insert(p, &m->clone.transform);
    rows_plan_compare(p, &m->clone.transform, ROWS_APPLIED);
    shadow_plan(p, &m->clone.restarts, &m->clone.uses, &m->names->relations, &m->names->statistics,
                &m->swap_names);
    take_verdicts(m, p);
    partitions_judge(p);
    return true;
}

static void
making_free(struct making *m)
{
    statements_free(&m->statements);
    clone_result_free(&m->clone);
    swap_names_free(&m->swap_names);
    rollback_free(&m->rollback);
    list_free(&m->own_names.existing);
    list_free(&m->own_names.relations);
    list_free(&m->own_names.statistics);
    list_free(&m->reverse_maps);
    list_free(&m->notes);
    list_free(&m->reasons);
    list_free(&m->hints);
    free(m->clone_schema);
}

const char *
plan_set_why_not_again(const struct plan_set *set)
{
    for (int i = 0; i < set->table_count; i++)
        if (set->tables[i].why_not_again != NULL)
            return set->tables[i].why_not_again;
    return NULL;
}

/* If one table cannot be cut over again, no table of the job is. */
static void
settle_again(struct plan_set *set)
{
    char *reason = NULL;

    for (int i = 0; i < set->table_count && reason == NULL; i++) {
        const struct plan_table *t = &set->tables[i];

        if (t->why_not_again != NULL)
            reason = set->table_count > 1
                         ? mem_printf("of table %s, %s", t->forward->names.source_sql, t->why_not_again)
                         : mem_strdup(t->why_not_again);
    }
    for (int i = 0; i < set->table_count && reason != NULL; i++) {
        plan_free(set->tables[i].again);
        set->tables[i].again = NULL;
        free(set->tables[i].why_not_again);
        set->tables[i].why_not_again = mem_strdup(reason);
    }
    free(reason);
}

/* Statements on two tables may ask for the same name, which only one of them can have. */
static bool
check_names(const struct making *makings, int count, struct error *err)
{
    for (int i = 0; i < count; i++)
        for (int k = 0; k < makings[i].plans->forward->target->index_count; k++) {
            const char *name = makings[i].plans->forward->target->indexes[k].name;

            for (int j = i + 1; j < count; j++) {
                const struct table *other = makings[j].plans->forward->target;

                for (int n = 0; n < other->index_count; n++)
                    if (strcmp(other->schema, makings[i].group->schema) == 0 &&
                        strcmp(other->indexes[n].name, name) == 0)
                        return error_set(err, ERROR_REFUSED,
                                         "an index of %s and one of %s would both be called \"%s\"",
                                         makings[i].plans->forward->names.source_sql,
                                         makings[j].plans->forward->names.source_sql, name);
            }
        }
    return true;
}

/* A table's statements, redirected to its own clone. */
static bool
plan_parse(struct making *m)
{
    m->clone_schema = clone_schema_name(m->s);
    return (m->group->sql == NULL ||
            statements_parse(m->group->sql, m->clone_schema, &m->statements, m->err)) &&
           referenced_find(m->s, &m->statements, &m->clone.referenced, m->err);
}

/* The table of the job that has the oid; NULL: none. */
static const struct making *
making_of(const struct making *makings, int count, oid_t oid)
{
    for (int i = 0; i < count; i++)
        if (makings[i].group->oid == oid)
            return &makings[i];
    return NULL;
}

/*
 * Set on which clones the tables stand that new foreign keys refer to. *waits: the name of one that has not been
 * planned yet; NULL: none.
 */
static void
settle_referenced(struct making *m, struct making *makings, int count, const char **waits)
{
    *waits = NULL;
    for (int i = 0; i < m->clone.referenced.count; i++) {
        struct referenced *item = &m->clone.referenced.items[i];
        const struct making *other = making_of(makings, count, item->oid);

        if (other == NULL || other == m)
            continue;
        if (other->clone.before == NULL)
            *waits = item->name;
        else
            item->changed = other->clone.before->oid;
    }
}

static bool
plan_read_where(struct making *m, struct plan *p)
{
    char *scratch;
    bool ok;

    if (m->options->where == NULL)
        return true;
    scratch = mem_printf("%s_where", m->clone_schema);
    ok = where_read(m->s, p, m->options, scratch, &m->notes, &m->reasons, m->err);
    free(scratch);
    return ok;
}

static bool
allow_layout(const struct making *m, struct plan *p)
{
    if (m->options->layout_code != NULL)
        list_add_all(&p->code.allowed, m->options->layout_code);
    return true;
}

static bool
plan_forward(struct making *m, const struct making *others, int count)
{
    struct plan *p = m->plans->forward = mem_alloc(sizeof(*p));

    p->sql = mem_strdup(m->group->sql);
    return plan_explore(m, others, count, p) &&
           (!m->options->pack_columns ||
            layout_pack(m->s, p, m->clone.after, m->options->sample, &m->notes, &m->reasons, m->err)) &&
           plan_read_where(m, p) && decide(m, p) && sequences_warn(m->s, p, m->err) &&
           code_allow(m->s, p, m->clone_schema, m->err) && allow_layout(m, p) &&
           sample_expressions(m->s, p, m->clone_schema, &m->reasons, &m->hints, m->err) &&
           refuse_if(p->source, &m->reasons, &m->hints, m->err) &&
           (!m->options->sample ||
            (sample_generated(m->s, p, m->err) && (p->filter == NULL || where_sample(m->s, p, m->err))));
}

/* A table to which new keys refer is planned before the tables that have them. */
static bool
plan_all_forward(struct making *makings, int count, struct error *err)
{
    const char *waits = NULL, *waiting = NULL;
    bool ok = true;
    int done = 0;

    for (int i = 0; ok && i < count; i++)
        ok = plan_parse(&makings[i]);
    for (int before = -1; ok && done < count && done > before;) {
        before = done;
        for (int i = 0; ok && i < count; i++) {
            if (makings[i].plans->forward != NULL)
                continue;
            settle_referenced(&makings[i], makings, count, &waits);
            if (waits != NULL) {
                waiting = waits;
                continue;
            }
            ok = plan_forward(&makings[i], makings, count);
            done++;
        }
    }
    if (!ok || done == count)
        return ok;
    error_set(err, ERROR_REFUSED,
              "new foreign keys between tables of the job refer to each other in a circle: see %s", waiting);
    return error_hint(err,
                      "Add one of the foreign keys after the job: NOT VALID, and then VALIDATE CONSTRAINT.");
}

static bool
plan_rollback(struct making *m)
{
    struct plan *p = m->plans->forward;
    struct view_place place = {
        .s = m->s, .schema = m->clone_schema, .table = p->source->name, .notes = &p->advice.notes};
    char oid[16];

    snprintf(oid, sizeof(oid), "%u", m->clone.before->oid);
    place.oid = oid;
    return rollback_explore(&m->rollback, &m->reverse_maps, p, &m->clone.transform, &place, m->err) &&
           rollback_refuse(&m->rollback, p, m->err) &&
           rollback_plan(&m->rollback, m->plans, &m->clone.transform, &m->swap_names, m->err) &&
           code_refuse_back(m->s, m->plans, &m->reasons, &m->hints, m->err) &&
           refuse_if(p->source, &m->reasons, &m->hints, m->err);
}

/* Assign each map to the table that has its column. */
static bool
deal_maps(struct making *makings, const struct plan_options *options, struct plan_set *set, struct error *err)
{
    for (int i = 0; i < options->reverse_map_count; i++) {
        char *map = NULL;
        int table = reverse_map_table(set, options->reverse_maps[i], &map, err);

        if (table < 0)
            return false;
        list_add(&makings[table].reverse_maps, map);
        list_add(&set->reverse_maps, mem_strdup(options->reverse_maps[i]));
    }
    return true;
}

static bool
changes_type(const struct plan *p, const char *columns)
{
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *c = &p->target->columns[i];
        char *quoted = name_quoted(c->name);
        bool named = strcmp(columns, c->name) == 0 || strcmp(columns, quoted) == 0;

        free(quoted);
        if (named)
            return c->attnum <= p->source->column_count &&
                   strcmp(c->type, p->source->columns[c->attnum - 1].type) != 0;
    }
    return false;
}

/* Note: an id that outgrows the columns which refer to it. */
static void
note_references(const struct plan_set *set, struct plan *p)
{
    for (int i = 0; i < p->target->foreign_key_count; i++) {
        const struct foreign_key *f = &p->target->foreign_keys[i];
        bool other = f->ref_oid == p->source->oid && f->on_oid != p->source->oid;

        for (int k = 0; k < set->table_count; k++)
            other = other && set->tables[k].forward->source->oid != f->on_oid;
        if (other && changes_type(p, f->ref_columns))
            list_addf(&p->advice.notes,
                      "%s (%s) refers to %s, whose type changes, and keeps its own type: a new value may not "
                      "fit there (its table can be changed in the same job)",
                      f->on_name, f->columns, f->ref_columns);
    }
}

static bool
hides_columns(const struct plan *p)
{
    for (int i = 0; i < p->key_count; i++)
        if (p->key[i].hidden)
            return true;
    return false;
}

/* What depends on the tables, tried on their clones as they are now. */
static bool
plan_dependents(struct making *makings, struct plan_set *set, struct dependents_plan *dependents,
                struct error *err)
{
    struct dependents_table *tables = mem_alloc((size_t)set->table_count * sizeof(*tables));
    struct making *first = &makings[set->first];
    bool ok;

    for (int i = 0; i < set->table_count; i++)
        tables[i] = (struct dependents_table){.source = set->tables[i].forward->source,
                                              .target = set->tables[i].forward->target,
                                              .clone_schema = makings[i].clone_schema,
                                              .shadow_name = set->tables[i].forward->names.shadow_name,
                                              .hides_columns = hides_columns(set->tables[i].forward),
                                              .taken = &makings[i].own_names.relations};
    for (int i = 0; i < set->table_count; i++)
        note_references(set, set->tables[i].forward);
    ok = dependents_plan_make(dependents, first->s, tables, set->table_count, &first->reasons, err) &&
         refuse_if(first->plans->forward->source, &first->reasons, &first->hints, err);
    if (ok)
        list_add_all(&first->plans->forward->advice.notes, &dependents->notes);
    free(tables);
    return ok;
}

/*
 * Runs in the transaction that has all the clones. First the forward plans of all tables, then their rollback
 * plans.
 */
static bool
plan_tables(struct making *makings, const struct plan_options *options, struct plan_set *set,
            struct dependents_plan *dependents, struct error *err)
{
    bool ok = plan_all_forward(makings, set->table_count, err);

    for (int i = 0; ok && i < set->table_count; i++)
        ok = violations_refuse(makings[i].s, set, makings[i].plans->forward, &makings[i].statements,
                               makings[i].clone_schema, err);
    if (!ok || !check_names(makings, set->table_count, err) ||
        !plan_dependents(makings, set, dependents, err))
        return false;
    if (!options->rollback)
        return true;
    ok = deal_maps(makings, options, set, err);
    for (int i = 0; ok && i < set->table_count; i++)
        ok = plan_rollback(&makings[i]);
    settle_again(set);
    return ok;
}

static int
by_oid(const void *a, const void *b)
{
    const struct table_group *x = a, *y = b;

    return x->oid < y->oid ? -1 : x->oid > y->oid;
}

static void
note_ignored(const struct table_groups *groups, struct plan *p)
{
    struct buffer text = {0};

    for (int i = 0; i < groups->ignored.count; i++)
        buffer_printf(&text, "%s%s", i > 0 ? "; " : "", groups->ignored.items[i]);
    if (groups->ignored.count > 0)
        list_addf(&p->advice.notes,
                  "not carried out, because a job has its own transactions and time limits: %s", text.data);
    buffer_free(&text);
}

static bool
plan_groups(struct session *s, const struct plan_options *options, struct table_groups *groups,
            struct plan_set *set, struct error *err)
{
    struct making *makings = mem_alloc((size_t)groups->count * sizeof(*makings));
    struct dependents_plan dependents = {0};
    oid_t first = groups->items[0].oid;
    bool ok;

    if (options->where != NULL && groups->count > 1) {
        free(makings);
        return error_set(err, ERROR_USAGE, "--where goes with a change of one table");
    }
    set->table_count = groups->count;
    set->recompute_generated = options->recompute_generated;
    set->search_path = groups->search_path != NULL ? mem_strdup(groups->search_path) : NULL;
    set->tables = mem_alloc((size_t)groups->count * sizeof(*set->tables));
    qsort(groups->items, (size_t)groups->count, sizeof(*groups->items), by_oid);
    for (int i = 0; i < groups->count; i++) {
        makings[i] = (struct making){
            .s = s, .err = err, .options = options, .group = &groups->items[i], .plans = &set->tables[i]};
        set->first = groups->items[i].oid == first ? i : set->first;
    }
    ok = plan_tables(makings, options, set, &dependents, err);
    if (ok) {
        swap_job_plan(set, &dependents);
        note_ignored(groups, set->tables[set->first].forward);
        ok = history_plan(s, &groups->history, options, set, err);
    }
    dependents_plan_free(&dependents);
    for (int i = 0; i < groups->count; i++)
        making_free(&makings[i]);
    free(makings);
    return ok;
}

/* SQL that does not parse needs no transaction. */
static bool
check_options(const struct plan_options *options, struct error *err)
{
    struct statement_list list = {0};
    struct typed_name name = {0};
    bool ok;

    if (!options->rollback && options->reverse_map_count > 0)
        return error_set(err, ERROR_USAGE, "a --reverse-map needs a rollback window");
    ok = options->sql != NULL ? statements_parse(options->sql, "pgrecast", &list, err) &&
                                    history_check(&list.history, options, err)
                              : typed_name_parse(options->rebuild_table, &name, err);
    statements_free(&list);
    typed_name_free(&name);
    return ok;
}

/* Names and definitions must have a form in UTF-8. Values of rows need none. */
static void
refuse_unreadable(struct error *err)
{
    if (!sqlstate_is(err, SQLSTATE_CHARACTER_NOT_IN_REPERTOIRE) &&
        !sqlstate_is(err, SQLSTATE_UNTRANSLATABLE_CHARACTER))
        return;
    err->kind = ERROR_REFUSED;
    error_context(err, "a name or a definition has no form in UTF-8");
    error_hint(err, "Rename what has such a name. Values of rows may have such bytes.");
}

struct plan_set *
plan_set_make(struct session *s, const struct plan_options *options, struct error *err)
{
    struct table_groups groups = {0};
    struct plan_set *set;
    bool ok;

    if (!check_options(options, err) || !session_execute(s, err, PLANNING_BEGIN))
        return NULL;
    set = mem_alloc(sizeof(*set));
    ok = groups_read(s, options, &groups, err) && plan_groups(s, options, &groups, set, err) &&
         plan_set_trust(s, set, options->trusted_count, options->trusted, err) &&
         plan_refuse_disk(set, options->disk_free, err);
    if (!ok && sqlstate_is(err, SQLSTATE_LOCK_NOT_AVAILABLE)) {
        err->kind = ERROR_REFUSED;
        error_hint(err, "Somebody holds a lock on the table or its sequences: try again later.");
    }
    if (!ok)
        refuse_unreadable(err);
    session_rollback(s);
    session_set_users_path(s, NULL);
    groups_free(&groups);
    if (!ok) {
        plan_set_free(set);
        set = NULL;
    }
    return set;
}

void
plan_set_privileges(struct plan_set *set, int table, const struct table *now)
{
    swap_job_set_privileges(set, table, now);
}

void
plan_set_add_index(struct plan_set *set, int table, const struct plan_index_names *names)
{
    swap_job_add_index(set, table, names);
}

bool
plan_set_remove_index(struct plan_set *set, int table, const struct plan_index_names *names)
{
    return swap_job_remove_index(set, table, names);
}

bool
plan_set_add_dependent(struct plan_set *set, int table, const struct dependent *d)
{
    return swap_job_add_dependent(set, table, d);
}

bool
plan_set_remove_dependent(struct plan_set *set, int table, const char *description)
{
    return swap_job_remove_dependent(set, table, description);
}
