#include "failing_entry.h"

#include <stdlib.h>

#include "core/encoding.h"
#include "core/mem.h"
#include "pg/params.h"
#include "pg/redact.h"
#include "rows/code.h"

/* Undo what was tried since the savepoint pgrecast_try. */
static void
undo_try(struct flush *f)
{
    struct error ignored = {0};

    session_execute(f->session, &ignored, "ROLLBACK TO SAVEPOINT pgrecast_try");
    error_clear(&ignored);
}

/*
 * Try to write the rows [from, to) of the stage, and undo it. True when it fails because of a row's content.
 */
static bool
flush_range_fails(struct flush *f, const struct batch *b, int from, int to)
{
    struct error err = {0};
    char *insert = statement_insert(&f->temp, f->plan, flush_target(f), false, NULL);
    bool fails;

    (void)b;
    fails = session_execute(f->session, &err, "SAVEPOINT pgrecast_try") &&
            !session_executef(f->session, &err,
                              "%s AND pgrecast_src.pgrecast_seq >= %d AND pgrecast_src.pgrecast_seq < %d",
                              insert, from, to) &&
            error_is_of_a_row(&err);
    undo_try(f);
    error_clear(&err);
    free(insert);
    return fails;
}

/* Whether the stage cannot hold the values of the entries [from, to). */
static bool
flush_stage_fails(struct flush *f, const struct batch *b, int from, int to)
{
    bool *left_out = mem_alloc((size_t)b->entry_count + 1);
    struct error failure = {0}, ignored = {0};
    bool fails;

    for (int i = 0; i < b->entry_count; i++)
        left_out[i] = i < from || i >= to;
    fails = flush_try_stage(f, b, left_out, &failure, &ignored) == STAGE_FAILS;
    error_clear(&failure);
    error_clear(&ignored);
    free(left_out);
    return fails;
}

/*
 * Find the entry before `to` for which fails() is true; it is true for all of them together. -1: it is true
 * for none alone.
 */
static int
halve(struct flush *f, const struct batch *b, int to,
      bool (*fails)(struct flush *, const struct batch *, int, int))
{
    int from = 0;

    while (to - from > 1) {
        int middle = from + (to - from) / 2;

        if (fails(f, b, from, middle))
            to = middle;
        else
            from = middle;
    }
    return fails(f, b, from, to) ? from : -1;
}

static bool
delete_touched(struct flush *f, struct error *err)
{
    char *sql = statement_delete(&f->temp, f->plan, flush_target(f), NULL);
    bool ok = session_execute(f->session, err, sql);

    free(sql);
    return ok;
}

/* In a transaction with an empty stage: find the entry that fails; -1 where no entry is the cause. */
static int
find_failing_entry(struct flush *f, const struct batch *b, struct error *ignored)
{
    int all = b->entry_count;

    if (flush_stage_fails(f, b, 0, all))
        return halve(f, b, all, flush_stage_fails);
    if (!flush_fill_stage(f, b, NULL, ignored) || !delete_touched(f, ignored) ||
        !flush_range_fails(f, b, 0, all) || flush_range_fails(f, b, 0, 0)) /* the statement itself fails */
        return -1;
    return halve(f, b, all, flush_range_fails);
}

/* Whether the column's own type does not take the text, which the table once held. */
static bool
type_refuses(struct flush *f, const struct column *c, const struct value *v)
{
    char *text = mem_printf("%.*s", (int)v->len, v->data);
    char *sql = mem_printf("SELECT $1::%s IS NULL", c->type); /* read by the type's input function */
    struct params p = {0};
    struct result res = {0};
    struct error err = {0};
    bool refuses;

    params_text(&p, text);
    /* in another encoding than the session's only this much can be asked */
    refuses = (session_encoding(f->session) == NULL || encoding_is_ascii(v->data, v->len)) &&
              session_execute(f->session, &err, "SAVEPOINT pgrecast_try") &&
              !session_query_with(f->session, &res, &err, sql, &p) && error_is_of_a_row(&err);
    undo_try(f);
    result_free(&res);
    error_clear(&err);
    free(sql);
    free(text);
    return refuses;
}

static void
explain_changed_type(const struct column *c, const char *key, struct error *err)
{
    bool is_enum = c->typtype == 'e';

    error_set(err, ERROR_FAILED,
              is_enum
                  ? "the row with the key %s, changed meanwhile, has a label in column \"%s\" that type %s "
                    "no longer has"
                  : "the row with the key %s, changed meanwhile, has a value in column \"%s\" that type %s "
                    "no longer takes",
              key, c->name, is_enum ? c->base_type : c->type);
    error_detail(err, is_enum
                          ? "A value of the type was renamed while changes with its old name were waiting."
                          : "The type, or one that it contains, was changed while changes with values of "
                            "its former form were waiting.");
    error_hint(
        err,
        is_enum ? "Rename the value back (ALTER TYPE ... RENAME VALUE), resume the job, and rename the value "
                  "when the job is over."
                : "Undo that change (ALTER TYPE, ALTER DOMAIN), resume the job, and make the change when the "
                  "job is over.");
}

/*
 * A change from before ALTER TYPE or ALTER DOMAIN has a value in the type's former form: a label that was
 * renamed, a row with another number of attributes, a value that a new constraint of a domain forbids. The
 * type may not take it any more. True when that is the cause; err then says so.
 */
static bool
name_changed_type(struct flush *f, const struct batch *b, const struct batch_entry *e, const char *key,
                  struct error *err)
{
    struct value *keys = mem_alloc(((size_t)b->key_count + 1) * sizeof(*keys));
    const struct column *found = NULL;

    batch_key_values(e->key, b->key_count, keys);
    for (int i = 0; found == NULL && i < b->key_count; i++) {
        const struct column *c = &f->plan->source->columns[f->columns.source[b->key_positions[i]]];

        found = type_refuses(f, c, &keys[i]) ? c : NULL;
    }
    for (int i = 0; found == NULL && e->row && i < f->columns.count; i++) {
        const struct column *c = &f->plan->source->columns[f->columns.source[i]];

        if (e->values[i].kind == VALUE_TEXT &&
            (f->columns.only_in_source == NULL || !f->columns.only_in_source[i]) &&
            type_refuses(f, c, &e->values[i]))
            found = c;
    }
    if (found != NULL)
        explain_changed_type(found, key, err);
    free(keys);
    return found != NULL;
}

void
flush_name_failing_row(struct flush *f, struct batch *b, struct error *err)
{
    struct error ignored = {0};
    bool overlay = f->overlay;
    int entry;

    if (!error_is_of_a_row(err) || b->entry_count == 0)
        return;
    flush_transaction_ended(f);
    if (session_execute(f->session, &ignored, "BEGIN") && code_guard(f->session, NULL, f->plan, &ignored) &&
        (!overlay || flush_overlay(f, &ignored)) && flush_clear(f, &ignored) &&
        (entry = find_failing_entry(f, b, &ignored)) >= 0) {
        char *key = batch_key_text(b->entries[entry].key, b->key_count, session_encoding(f->session));

        if (!name_changed_type(f, b, &b->entries[entry], key, err))
            error_context(err, "the row with the key %s, changed meanwhile, cannot be converted", key);
        free(key);
    }
    session_rollback(f->session);
    f->staged = b->entry_count; /* clearing the tables was undone too */
    flush_transaction_ended(f);
    error_clear(&ignored);
}
