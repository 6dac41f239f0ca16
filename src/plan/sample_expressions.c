#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "pg/redact.h"
#include "pg/sqlstate.h"
#include "rows/filter.h"
#include "sample.h"
#include "sql/sql.h"

#define SAMPLE_BYTES (8.0 * 1024 * 1024)

/* What the new table of an attempt takes over of the source. */
enum trial_part { TRIAL_GENERATED = 1, TRIAL_CHECKS = 2, TRIAL_INDEXES = 4 };

struct trial {
    struct session *s;
    const struct plan *p;
    const char *table_sql; /* qualified and quoted */
};

/* With the same text: one that the statements replace, or whose columns they change, is not tried. */
static bool
keeps_check(const struct plan *p, const struct constraint *c)
{
    for (int i = 0; i < p->target->constraint_count; i++) {
        const struct constraint *after = &p->target->constraints[i];

        if (after->type == 'c' && strcmp(after->name, c->name) == 0)
            return strcmp(after->definition, c->definition) == 0;
    }
    return false;
}

static bool
keeps_index(const struct plan *p, const struct index *x)
{
    for (int i = 0; i < p->target->index_count; i++)
        if (strcmp(p->target->indexes[i].name, x->name) == 0)
            return strcmp(p->target->indexes[i].definition, x->definition) == 0;
    return false;
}

static bool
has_expression(const struct index *x)
{
    bool found = x->partial;

    for (int i = 0; !found && i < x->key_count; i++)
        found = x->key_attnums[i] == 0;
    return found;
}

static bool
keeps_generated(const struct plan *p, const struct column *c)
{
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *after = &p->target->columns[i];

        if (after->attnum == c->attnum)
            return after->generated == c->generated && strcmp(after->default_expr, c->default_expr) == 0;
    }
    return false;
}

/* Whether the new table will have all indexes with expressions that the source has: the trial has all of them, or none. */
static bool
keeps_indexes(const struct plan *p)
{
    for (int i = 0; i < p->source->index_count; i++)
        if (has_expression(&p->source->indexes[i]) && !keeps_index(p, &p->source->indexes[i]))
            return false;
    return true;
}

/* A CHECK that is NOT VALID need not hold for the rows that are there. only: this one constraint, or NULL. */
static bool
is_tried(const struct plan *p, const struct constraint *c, const char *only)
{
    return c->validated && keeps_check(p, c) && (only == NULL || strcmp(c->name, only) == 0);
}

/* The columns that a row is written with: all but the generated ones. */
static void
add_columns(struct buffer *sql, const struct plan *p, const char *alias)
{
    bool first = true;

    for (int i = 0; i < p->source->column_count; i++) {
        if (p->source->columns[i].generated != '\0')
            continue;
        buffer_add_text(sql, first ? "" : ", ");
        if (alias != NULL)
            buffer_printf(sql, "%s.", alias);
        buffer_add_identifier(sql, p->source->columns[i].name);
        first = false;
    }
}

static char *
trial_create(const struct trial *t, int parts, const char *only)
{
    const struct plan *p = t->p;
    struct buffer sql = {0};

    buffer_printf(&sql, "CREATE UNLOGGED TABLE %s (LIKE %s%s%s%s);", t->table_sql, p->names.source_sql,
                  parts & TRIAL_GENERATED ? " INCLUDING GENERATED" : "",
                  parts & TRIAL_CHECKS ? " INCLUDING CONSTRAINTS" : "",
                  parts & TRIAL_INDEXES ? " INCLUDING INDEXES" : "");
    for (int i = 0; parts & TRIAL_CHECKS && i < p->source->constraint_count; i++) {
        const struct constraint *c = &p->source->constraints[i];

        if (c->type != 'c' || is_tried(p, c, only))
            continue;
        buffer_printf(&sql, " ALTER TABLE %s DROP CONSTRAINT ", t->table_sql);
        buffer_add_identifier(&sql, c->name);
        buffer_add_char(&sql, ';');
    }
    for (int i = 0; parts & TRIAL_GENERATED && i < p->source->column_count; i++) {
        const struct column *c = &p->source->columns[i];

        if (c->generated != 's' || keeps_generated(p, c))
            continue;
        buffer_printf(&sql, " ALTER TABLE %s ALTER COLUMN ", t->table_sql);
        buffer_add_identifier(&sql, c->name);
        buffer_add_text(&sql, " DROP EXPRESSION;");
    }
    return buffer_take(&sql);
}

static char *
trial_insert(const struct trial *t)
{
    double bytes = (double)t->p->source->heap_bytes;
    double percent = bytes > SAMPLE_BYTES ? SAMPLE_BYTES / bytes * 100 : 100;
    struct buffer sql = {0};

    buffer_printf(&sql, "INSERT INTO %s (", t->table_sql);
    add_columns(&sql, t->p, NULL);
    buffer_add_text(&sql, ") OVERRIDING SYSTEM VALUE SELECT ");
    add_columns(&sql, t->p, "pgrecast_src");
    buffer_printf(&sql, " FROM ONLY %s AS pgrecast_src TABLESAMPLE SYSTEM (%.6f)", t->p->names.source_sql,
                  percent);
    if (t->p->filter != NULL) {
        buffer_add_text(&sql, " WHERE EXISTS (SELECT FROM ");
        filter_add_item(&sql, t->p);
        buffer_add_char(&sql, ')');
    }
    return buffer_take(&sql);
}

/* Failures that say nothing of an expression: of the server, of a limit, of constraints other than a CHECK. */
static bool
is_other(const struct error *err)
{
    return !error_is_of_a_row(err) || strncmp(err->sqlstate, "54", 2) == 0 ||
           (strncmp(err->sqlstate, "23", 2) == 0 && !sqlstate_is(err, SQLSTATE_CHECK_VIOLATION));
}

/*
 * failed has a message if an expression did not accept the rows. *tried is false if that could not be found out: the
 * table could not be made, or the time was over.
 */
static bool
trial_run(const struct trial *t, int parts, const char *only, bool *tried, struct error *failed,
          struct error *err)
{
    char *create = trial_create(t, parts, only), *insert = trial_insert(t);
    bool ok = session_execute(t->s, err, "SAVEPOINT pgrecast_sample; SET LOCAL statement_timeout TO '2s'");

    *tried = ok && session_execute(t->s, failed, create) && session_evaluate(t->s, failed);
    if (*tried && !session_execute(t->s, failed, insert))
        *tried = !is_other(failed);
    if (failed->connection_lost || failed->stopped) {
        error_move(err, failed);
        ok = false;
    } else if (!*tried) {
        error_clear(failed);
    }
    ok = ok && session_execute(t->s, err,
                               "ROLLBACK TO SAVEPOINT pgrecast_sample; RELEASE SAVEPOINT pgrecast_sample");
    free(insert);
    free(create);
    return ok;
}

static void
add_reason(const char *what, struct error *failed, struct string_list *reasons)
{
    if (sqlstate_is(failed, SQLSTATE_CHECK_VIOLATION)) {
        list_addf(
            reasons,
            "%s does not hold any more for a row that is in the table: a new table evaluates it for every "
            "row, which ALTER TABLE does not do",
            what);
    } else {
        error_redact(failed); /* what a function raises may have values */
        list_addf(reasons,
                  "%s cannot be evaluated in this program's sessions, for a row that is in the table: %s",
                  what, failed->message);
    }
}

/* Try one part, or one constraint; if that fails, it is what the reason names. */
static bool
try_one(const struct trial *t, int parts, const char *only, const char *what, bool *found,
        struct string_list *reasons, struct error *err)
{
    struct error failed = {0};
    bool tried, ok = trial_run(t, parts, only, &tried, &failed, err);

    if (ok && failed.message != NULL) {
        add_reason(what, &failed, reasons);
        *found = true;
    }
    error_clear(&failed);
    return ok;
}

static char *
index_names(const struct plan *p)
{
    struct buffer names = {0};

    for (int i = 0; i < p->source->index_count; i++)
        if (has_expression(&p->source->indexes[i]))
            buffer_printf(&names, "%s\"%s\"", names.len > 0 ? ", " : "the expression of index ",
                          p->source->indexes[i].name);
    return buffer_take(&names);
}

/* Which of the expressions it is. A CHECK or an index can read a generated column, so that is tried first. */
static bool
find_cause(const struct trial *t, int parts, bool *found, struct string_list *reasons, struct error *err)
{
    char *indexes = index_names(t->p);
    bool ok = try_one(t, TRIAL_GENERATED, NULL, "the expression of a generated column", found, reasons, err);
    bool generated = *found;

    for (int i = 0; ok && !generated && i < t->p->source->constraint_count; i++) {
        const struct constraint *c = &t->p->source->constraints[i];
        char *what = mem_printf("CHECK constraint \"%s\"", c->name);

        if (c->type == 'c' && is_tried(t->p, c, NULL))
            ok = try_one(t, TRIAL_GENERATED | TRIAL_CHECKS, c->name, what, found, reasons, err);
        free(what);
    }
    if (ok && indexes != NULL && parts & TRIAL_INDEXES && !generated)
        ok = try_one(t, TRIAL_GENERATED | TRIAL_INDEXES, NULL, indexes, found, reasons, err);
    free(indexes);
    return ok;
}

/* Whether an expression can give something else than it gave when the row was written. */
static bool
is_unsure(struct session *s, const struct plan *p, bool *unsure, struct error *err)
{
    struct params params = {0};
    struct result r = {0};
    bool ok;

    params_uint(&params, p->source->oid);
    ok = session_row_with(s, &r, err, sql_plan_unsure_expressions, &params);
    *unsure = ok && row_bool(&r, 0, "unsure");
    result_free(&r);
    return ok;
}

static void
note_untried(struct plan *p, const char *why)
{
    list_addf(&p->advice.notes,
              "whether checks, generated columns and indexes still accept the rows was not tried: %s", why);
}

bool
sample_expressions(struct session *s, struct plan *p, const char *clone_schema, struct string_list *reasons,
                   struct string_list *hints, struct error *err)
{
    char *name = name_qualified(clone_schema, "pgrecast_sample");
    struct trial t = {.s = s, .p = p, .table_sql = name};
    int parts = TRIAL_GENERATED | TRIAL_CHECKS | (keeps_indexes(p) ? TRIAL_INDEXES : 0);
    struct error failed = {0};
    bool unsure, tried = false, found = false, ok = is_unsure(s, p, &unsure, err);

    if (!ok || !unsure)
        goto out;
    if (p->code.foreign && !list_has(&p->code.trusted, p->source->owner)) {
        note_untried(p, "the table belongs to another role");
        goto out;
    }
    ok = trial_run(&t, parts, NULL, &tried, &failed, err) &&
         (failed.message == NULL || find_cause(&t, parts, &found, reasons, err));
    if (ok && !tried)
        note_untried(p, "it could not be done within two seconds");
    if (found)
        list_add(hints, mem_strdup("Correct the rows, or give the function a search_path of its own (ALTER "
                                   "FUNCTION ... SET search_path = ...), or drop the object and add it "
                                   "again after the job."));
out:
    error_clear(&failed);
    free(name);
    return ok;
}
