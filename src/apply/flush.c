#include "flush.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/encoding.h"
#include "core/mem.h"
#include "order.h"
#include "pg/redact.h"

#define COPY_PIECE (1024 * 1024)
#define VISIBLE_POLL_MS 5
#define FEW_ROWS 1000

/* Names of the columns in the encoding of the database, where that is not UTF-8. */
static bool
name_columns(struct flush *f, struct error *err)
{
    struct stream_columns *c = &f->columns;
    bool ok = true;

    if (session_encoding(f->session) == NULL)
        return true;
    c->names = mem_array(NULL, (size_t)c->count + 1, sizeof(*c->names));
    memset(c->names, 0, ((size_t)c->count + 1) * sizeof(*c->names));
    for (int i = 0; ok && i < c->count; i++) {
        const char *name = f->plan->source->columns[c->source[i]].name;

        if (encoding_is_ascii(name, strlen(name)))
            c->names[i] = mem_strdup(name);
        else
            ok = session_encode(f->session, name, &c->names[i], err);
    }
    return ok;
}

bool
flush_open(struct flush *f, const struct plan *plan, int number, bool in_parts, struct session *s,
           struct error *err)
{
    char *create;
    bool ok;

    memset(f, 0, sizeof(*f));
    f->plan = plan;
    f->session = s;
    temp_tables_name(&f->temp, number);
    stream_columns_init(&f->columns, plan);
    for (int i = 0; i < plan->rows.column_count; i++)
        f->keeps_defaults =
            f->keeps_defaults || plan->rows.columns[i].kept || plan->rows.columns[i].origin == COLUMN_DEFAULT;
    f->copy_stage = statement_copy_stage(&f->temp, plan, &f->columns, session_encoding(s));
    create = statement_create(&f->temp, plan);
    ok = name_columns(f, err) && session_execute(s, err, create) &&
         (!in_parts || session_executef(s, err, "CREATE INDEX ON %s (pgrecast_group)", f->temp.stage));
    if (!ok)
        error_context(err, "creating the temporary tables of the apply");
    free(create);
    return ok;
}

bool
flush_drop(const struct flush *f, struct error *err)
{
    return session_executef(f->session, err, "DROP TABLE %s, %s, %s", f->temp.stage, f->temp.saved,
                            f->temp.keys);
}

void
flush_close(struct flush *f)
{
    stream_columns_free(&f->columns);
    keyset_clear(&f->distrusted);
    free(f->reread);
    buffer_free(&f->text);
    free(f->copy_stage);
    memset(f, 0, sizeof(*f));
}

void
flush_add_value(struct buffer *text, const struct value *v)
{
    const char *end = v->data + v->len, *from = v->data;

    if (v->kind != VALUE_TEXT) {
        buffer_add_text(text, "\\N");
        return;
    }
    for (const char *at = from; at < end; at++) {
        char escaped;

        switch (*at) {
        case '\\':
            escaped = '\\';
            break;
        case '\n':
            escaped = 'n';
            break;
        case '\r':
            escaped = 'r';
            break;
        case '\t':
            escaped = 't';
            break;
        default:
            continue;
        }
        buffer_add(text, from, (size_t)(at - from));
        buffer_add_char(text, '\\');
        buffer_add_char(text, escaped);
        from = at + 1;
    }
    buffer_add(text, from, (size_t)(end - from));
}

/*
 * The stage's number for rows of a mask that are read from the source although the shadow has them. They have
 * a number of their own.
 */
static int
reread_number(const struct batch *b, int mask)
{
    return b->mask_count + mask;
}

/* Add one line to the stage's text. A deleted key has values only in its key columns. */
static void
flush_add_line(struct flush *f, const struct batch *b, int seq, int group, struct value *scratch)
{
    const struct batch_entry *e = &b->entries[seq];
    const struct value *values = e->values;

    if (!e->row) {
        for (int i = 0; i < b->column_count; i++)
            scratch[i] = (struct value){.kind = VALUE_NULL};
        batch_key_values(e->key, b->key_count, scratch + b->column_count);
        for (int k = 0; k < b->key_count; k++)
            scratch[b->key_positions[k]] = scratch[b->column_count + k];
        values = scratch;
    }
    buffer_printf(&f->text, "%c\t%d\t%d\t%d\t%d", e->row ? 'r' : 'd', seq, e->base,
                  f->reread[seq] ? reread_number(b, e->mask) : e->mask, group);
    for (int i = 0; i < b->column_count; i++) {
        if (f->columns.only_in_source[i])
            continue;
        buffer_add_char(&f->text, '\t');
        flush_add_value(&f->text, &values[i]);
    }
    buffer_add_char(&f->text, '\n');
}

/* group_of: the group of each entry, or NULL. Entries in flush.left_out are not staged. */
bool
flush_fill_stage(struct flush *f, const struct batch *b, const int *group_of, struct error *err)
{
    struct value *scratch = mem_array(NULL, (size_t)(b->column_count + b->key_count), sizeof(*scratch));
    bool ok = session_copy_in_begin(f->session, err, f->copy_stage);
    int *order;

    if (!ok) {
        free(scratch);
        return false;
    }
    order = order_by_key(b, f->plan);
    buffer_reset(&f->text);
    for (int i = 0; i < b->entry_count && ok; i++) {
        if (f->left_out != NULL && f->left_out[order[i]])
            continue;
        flush_add_line(f, b, order[i], group_of != NULL ? group_of[order[i]] : 0, scratch);
        if (f->text.len >= COPY_PIECE) {
            ok = session_copy_in_data(f->session, err, f->text.data, f->text.len);
            buffer_reset(&f->text);
        }
    }
    ok = ok && session_copy_in_data(f->session, err, f->text.data, f->text.len);
    ok = session_copy_in_end(f->session, err, !ok) && ok;
    buffer_shrink(&f->text, 4 * COPY_PIECE);
    free(order);
    free(scratch);
    return ok;
}

/*
 * A commit can be in the stream while it is still invisible to new snapshots (it waits for a synchronous
 * standby). Before the source is read, every transaction of the batch must be visible.
 */
static bool
await_visible(struct flush *f, struct error *err)
{
    struct result res = {0};
    struct buffer list = {0};
    bool ok = true, visible = f->awaited;

    buffer_add_char(&list, '{');
    for (int i = 0; i < f->xid_count; i++)
        buffer_printf(&list, "%s%" PRIu64, i > 0 ? "," : "", f->xids[i]);
    buffer_add_char(&list, '}');
    while (ok && !visible) {
        ok = session_row(f->session, &res, err,
                         "SELECT coalesce(bool_and(pg_catalog.pg_visible_in_snapshot(x, "
                         "pg_catalog.pg_current_snapshot())), true) AS visible FROM "
                         "pg_catalog.unnest($1::pg_catalog.xid8[]) AS x",
                         1, list.data);
        visible = ok && row_bool(&res, 0, "visible");
        if (ok && !visible && !clock_sleep(VISIBLE_POLL_MS)) {
            ok = error_set(err, ERROR_FAILED, "stopped while waiting for a transaction to become visible");
            err->stopped = true;
        }
    }
    f->awaited = ok;
    result_free(&res);
    buffer_free(&list);
    return ok;
}

static bool
flush_run(struct flush *f, char *sql, struct error *err)
{
    bool ok = session_execute(f->session, err, sql);

    free(sql);
    return ok;
}

/* New rows take the values that are made once per row from the shadow's own sequence, also in the overlay. */
static bool
give_sequence(struct flush *f, const char *column, struct error *err)
{
    struct result res = {0};
    bool ok =
        session_row(f->session, &res, err, "SELECT pg_catalog.pg_get_serial_sequence($1, $2) AS sequence", 2,
                    f->plan->names.shadow_sql, column);

    if (ok && !row_null(&res, 0, "sequence"))
        ok = flush_run(f, statement_overlay_sequence(&f->temp, column, row_text(&res, 0, "sequence")), err);
    result_free(&res);
    return ok;
}

bool
flush_overlay(struct flush *f, struct error *err)
{
    bool ok = flush_run(f, statement_overlay_create(&f->temp, f->plan), err);

    for (int i = 0; ok && i < f->plan->rows.column_count; i++) {
        if (f->plan->rows.columns[i].origin == COLUMN_DEFAULT && f->plan->target->columns[i].identity != '\0')
            ok = give_sequence(f, f->plan->rows.columns[i].name, err);
    }
    f->overlay = ok;
    return ok;
}

const char *
flush_target(const struct flush *f)
{
    return f->overlay ? f->temp.overlay : f->plan->names.shadow_sql;
}

/*
 * Apply a mask to the items of the insert list: keep[i] is set where everything that the item depends on was
 * left unchanged. False when an item depends on changed and on unchanged columns: then the row's values must
 * be read.
 */
static bool
find_kept(const struct flush *f, const bool *unchanged, bool *keep)
{
    const struct plan *plan = f->plan;
    bool separable = plan->filter == NULL; /* a row that is kept from now on is not there yet */

    for (int i = 0; i < plan->rows.insert_count; i++) {
        const struct plan_column *column =
            plan->rows.insert_origin[i] >= 0 ? &plan->rows.columns[plan->rows.insert_origin[i]] : NULL;
        const bool *depends = column != NULL && !column->kept ? column->depends_on : NULL;
        bool any_kept = false, any_changed = false;

        for (int c = 0; depends != NULL && c < plan->source->column_count; c++)
            any_changed = any_changed || (depends[c] && plan->source->columns[c].generated != '\0');
        for (int c = 0; depends != NULL && c < f->columns.count; c++) {
            if (depends[f->columns.source[c]]) {
                any_kept = any_kept || unchanged[c];
                any_changed = any_changed || !unchanged[c];
            }
        }
        keep[i] = any_kept && !any_changed;
        separable = separable && !(any_kept && any_changed);
    }
    return separable;
}

static bool
check_none_missing(struct flush *f, int mask, const char *groups, struct error *err)
{
    char *sql = statement_find_missing(&f->temp, f->plan, mask, groups);
    struct result res = {0};
    bool ok = session_transport(f->session, err) && session_query(f->session, &res, err, sql, 0) &&
              session_evaluate(f->session, err);

    if (ok && result_rows(&res) > 0) {
        char *bytes = encoding_unhex(row_text(&res, 0, "key"));
        char *key = encoding_shown(session_encoding(f->session), bytes, strlen(bytes));

        ok = error_set(err, ERROR_PARITY, "the row with the key %s is missing in %s", key,
                       f->plan->names.shadow_sql);
        free(key);
        free(bytes);
        error_detail(err,
                     "An update of it came through the stream after the copy was complete. The original is "
                     "untouched.");
    }
    result_free(&res);
    free(sql);
    return ok;
}

/*
 * Leave rows of the mask alone that the source no longer has, and that must not be deleted for that reason.
 */
static bool
leave_missing(struct flush *f, const struct batch *b, int mask, struct error *err)
{
    struct buffer gone = {0};
    struct result res = {0};
    char *sql;
    bool ok;

    buffer_add_char(&gone, '{');
    for (int i = 0; f->gone != NULL && i < b->entry_count; i++) {
        if (f->gone[i])
            buffer_printf(&gone, "%s%d", gone.len > 1 ? "," : "", i);
    }
    buffer_add_char(&gone, '}');
    sql = statement_leave(&f->temp, mask, gone.data);
    ok = session_query(f->session, &res, err, sql, 0);
    for (int i = 0; ok && i < result_rows(&res); i++)
        f->left[row_int(&res, i, "pgrecast_seq")] = true;
    result_free(&res);
    free(sql);
    buffer_free(&gone);
    return ok;
}

/* Read the values, and note the keys of the rows that have them now. */
static bool
fill(struct flush *f, const struct batch *b, char *sql, struct error *err)
{
    struct result res = {0};
    bool ok = session_query(f->session, &res, err, sql, 0);

    for (int i = 0; ok && i < result_rows(&res); i++) {
        const struct batch_entry *e = &b->entries[row_int(&res, i, "pgrecast_seq")];

        keyset_add(&f->distrusted, e->key, e->key_len);
    }
    result_free(&res);
    free(sql);
    return ok;
}

/*
 * Read the values left unchanged from the source. A row that the source does not have was deleted since.
 * number: the number of the mask in the stage.
 */
static bool
read_source(struct flush *f, const struct batch *b, int mask, int number, bool all, const char *groups,
            struct error *err)
{
    f->filled = true;
    return await_visible(f, err) &&
           fill(f, b,
                statement_fill(&f->temp, f->plan, &f->columns, number, batch_mask(b, mask), all, groups),
                err) &&
           (f->left == NULL || leave_missing(f, b, number, err)) &&
           flush_run(f, statement_forget(&f->temp, number, all, groups), err);
}

/*
 * Write rows with unchanged values. These values come from the row that is replaced, unless an expression
 * combines them with changed values. (The shadow's rows may be newer than the batch, and may even belong to
 * another row that has taken the key since. Then the unchanged values have been read from the source before.)
 */
static bool
write_masked(struct flush *f, const struct batch *b, int mask, enum flush_trust trust, const char *groups,
             struct error *err)
{
    bool *keep = mem_alloc((size_t)f->plan->rows.insert_count * sizeof(*keep) + 1);
    bool read_all = !find_kept(f, batch_mask(b, mask), keep);
    bool ok;

    if (trust == TRUST_EXACT && !read_all)
        ok = check_none_missing(f, mask, groups, err);
    else
        ok = read_source(f, b, mask, mask, read_all, groups, err);
    ok = ok && (read_all ||
                flush_run(f, statement_insert_keeping(&f->temp, f->plan, flush_target(f), mask, keep, groups),
                          err));
    free(keep);
    return ok;
}

static void
flush_add_statement(struct buffer *sql, char *statement)
{
    buffer_add_text(sql, statement);
    buffer_add_text(sql, ";\n");
    free(statement);
}

static bool
run_buffer(struct flush *f, struct buffer *sql, struct error *err)
{
    bool ok = session_execute(f->session, err, sql->data);

    buffer_free(sql);
    return ok;
}

bool
flush_write(struct flush *f, const struct batch *b, enum flush_trust trust, const char *groups,
            struct error *err)
{
    int masks = trust == TRUST_NEWER ? 1 : b->mask_count;
    struct buffer sql = {0};

    if (groups != NULL)
        buffer_add_text(&sql, FLUSH_SAVEPOINT ";\n");
    flush_add_statement(&sql, f->keeps_defaults || masks > 1
                                  ? statement_delete_saving(&f->temp, f->plan, flush_target(f), groups)
                                  : statement_delete(&f->temp, f->plan, flush_target(f), groups));
    if (masks > 1 && !run_buffer(f, &sql, err))
        return false;
    for (int mask = 1; mask < masks; mask++) {
        if (!write_masked(f, b, mask, trust, groups, err))
            return false;
    }
    if (f->keeps_defaults)
        flush_add_statement(&sql,
                            statement_insert_keeping(&f->temp, f->plan, flush_target(f), 0, NULL, groups));
    flush_add_statement(&sql,
                        statement_insert(&f->temp, f->plan, flush_target(f), f->keeps_defaults, groups));
    if (groups != NULL)
        buffer_add_text(&sql, FLUSH_RELEASE);
    return run_buffer(f, &sql, err);
}

/*
 * Remove the rows of the last batch. Temporary tables with ON COMMIT DELETE ROWS would cost each commit some
 * milliseconds, also the swap's, because the tables, their TOAST tables and their indexes get new storage.
 * TRUNCATE costs the same, so a few rows are deleted instead. The space of deleted rows is not used again
 * until the next TRUNCATE.
 */
bool
flush_clear(struct flush *f, struct error *err)
{
    bool few = f->staged + f->deleted <= FEW_ROWS;

    if (f->staged == 0)
        return true;
    if (!session_executef(f->session, err, few ? "DELETE FROM %s; DELETE FROM %s" : "TRUNCATE %s, %s",
                          f->temp.stage, f->temp.saved))
        return false;
    f->deleted = few ? f->deleted + f->staged : 0;
    f->staged = 0;
    return true;
}

void
flush_transaction_ended(struct flush *f)
{
    f->overlay = false;
}

enum stage_outcome
flush_try_stage(struct flush *f, const struct batch *b, const bool *left_out, struct error *failure,
                struct error *err)
{
    bool fits;

    if (!session_execute(f->session, err, "SAVEPOINT pgrecast_try"))
        return STAGE_ERROR;
    f->left_out = left_out;
    fits = flush_fill_stage(f, b, NULL, failure);
    f->left_out = NULL;
    if (!session_execute(f->session, err,
                         "ROLLBACK TO SAVEPOINT pgrecast_try; RELEASE SAVEPOINT pgrecast_try"))
        return STAGE_ERROR;
    if (fits)
        return STAGE_FITS;
    if (error_is_of_a_row(failure))
        return STAGE_FAILS;
    error_move(err, failure);
    return STAGE_ERROR;
}

static void
find_reread(struct flush *f, const struct batch *b)
{
    f->reread = mem_array(f->reread, (size_t)b->entry_count + 1, sizeof(*f->reread));
    for (int i = 0; i < b->entry_count; i++) {
        const struct batch_entry *e = &b->entries[i];
        const struct batch_entry *base = e->base == BATCH_NO_BASE ? NULL : &b->entries[e->base];

        f->reread[i] = e->row && e->mask > 0 &&
                       (b->only_in_source != NULL || (f->distrusted.count > 0 && base != NULL &&
                                                      keyset_has(&f->distrusted, base->key, base->key_len)));
    }
}

void
flush_start(struct flush *f, struct batch *b, const uint64_t *xids, int xid_count)
{
    f->filled = false;
    f->gone = NULL;
    f->left = NULL;
    f->xids = xids;
    f->xid_count = xid_count;
    f->awaited = false;
    batch_close(b);
    find_reread(f, b);
}

void
flush_passed(struct flush *f, lsn_t position)
{
    if (f->distrusted.count > 0 && position >= f->distrusted_until)
        keyset_clear(&f->distrusted);
}

bool
flush_truncate(struct flush *f, struct error *err)
{
    return session_executef(f->session, err, "TRUNCATE %s%s", table_only(f->plan->target),
                            f->plan->names.shadow_sql) &&
           (!f->overlay || session_executef(f->session, err, "TRUNCATE %s", f->temp.overlay));
}

static bool
any_reread(const struct flush *f, const struct batch *b, int mask)
{
    for (int i = 0; i < b->entry_count; i++) {
        if (f->reread[i] && b->entries[i].mask == mask)
            return true;
    }
    return false;
}

bool
flush_stage(struct flush *f, const struct batch *b, enum flush_trust trust, const int *group_of,
            struct error *err)
{
    bool newer = trust == TRUST_NEWER, ok;

    if (newer)
        memset(f->reread, 0, (size_t)b->entry_count * sizeof(*f->reread));
    ok = flush_clear(f, err) && flush_fill_stage(f, b, group_of, err) &&
         (!f->overlay || flush_run(f, statement_overlay_take(&f->temp, f->plan), err));
    /* Or as many rows as before, where the transaction fails: in any case not zero. */
    f->staged = b->entry_count;
    for (int mask = 1; ok && mask < b->mask_count; mask++) {
        if (newer)
            ok = read_source(f, b, mask, mask, true, NULL, err);
        else if (any_reread(f, b, mask))
            ok = read_source(f, b, mask, reread_number(b, mask), true, NULL, err);
    }
    return ok;
}

bool
flush_batch(struct flush *f, const struct batch *b, enum flush_trust trust, struct error *err)
{
    bool ok =
        (!b->truncated || flush_truncate(f, err)) &&
        (b->entry_count == 0 || (flush_stage(f, b, trust, NULL, err) && flush_write(f, b, trust, NULL, err)));

    if (!ok)
        error_redact(err);
    return ok;
}

bool
flush_merge(struct flush *f, struct error *err)
{
    if (!f->overlay)
        return true;
    if (!flush_run(f, statement_overlay_merge(&f->temp, f->plan), err)) {
        error_redact(err);
        return false;
    }
    f->overlay = false;
    return true;
}
