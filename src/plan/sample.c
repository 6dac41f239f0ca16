#include "sample.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/buffer.h"
#include "core/count.h"
#include "core/list.h"

#define SAMPLE_BYTES (8.0 * 1024 * 1024)

/* "(1, abc)" of a row */
static void
add_key_text(struct buffer *sql, const struct plan *p)
{
    buffer_add_text(sql, "pg_catalog.concat('(', pg_catalog.concat_ws(', '");
    for (int i = 0; i < p->key_count; i++) {
        buffer_add_text(sql, ", pgrecast_src.");
        buffer_add_identifier(sql, p->key[i].source_name);
    }
    buffer_add_text(sql, "), ')')");
}

/* rows: how many were read; n1, n2, …: how many differ in a column; k1, k2, …: the key of one that differs */
static char *
sample_select(const struct plan *p)
{
    double percent = p->source->heap_bytes > 0 ? SAMPLE_BYTES / (double)p->source->heap_bytes * 100 : 100;
    struct buffer sql = {0};

    buffer_add_text(&sql, "SELECT pg_catalog.count(*) AS rows");
    for (int i = 1; i <= p->rows.compare.stored.count; i++)
        buffer_printf(
            &sql,
            ", pg_catalog.count(*) FILTER (WHERE d%d) AS n%d, pg_catalog.min(key) FILTER (WHERE d%d) "
            "AS k%d",
            i, i, i, i);
    buffer_add_text(&sql, " FROM (SELECT pgrecast_new.*, ");
    add_key_text(&sql, p);
    buffer_printf(&sql,
                  " AS key FROM ONLY %s AS pgrecast_src TABLESAMPLE SYSTEM (%.6f) CROSS JOIN LATERAL (%s) "
                  "AS pgrecast_new) AS looked_at",
                  p->names.source_sql, percent < 100 ? percent : 100, p->rows.compare.stored_differ);
    return buffer_take(&sql);
}

static void
note_sample(struct plan *p, const struct result *r)
{
    for (int i = 0; i < p->rows.compare.stored.count; i++) {
        char count[16], key[16];

        snprintf(count, sizeof(count), "n%d", i + 1);
        snprintf(key, sizeof(key), "k%d", i + 1);
        if (row_int(r, 0, count) == 0)
            continue;
        list_addf(
            &p->advice.notes,
            "generated column \"%s\" holds other values than its expression gives now: in %lld of %lld %s "
            "looked at, one of them %s. ALTER TABLE keeps the old values, which a new table cannot have: a "
            "job refuses before its cutover, unless --recompute-generated says that the new ones are wanted",
            p->rows.compare.stored.items[i], (long long)row_int(r, 0, count),
            (long long)row_int(r, 0, "rows"), count_word(row_int(r, 0, "rows"), "row", "rows"),
            row_text(r, 0, key));
    }
}

bool
sample_ask(struct session *s, const char *sql, const char *limit, bool texts_differ, struct result *r,
           bool *asked, struct error *err)
{
    struct error failed = {0};
    bool ok =
        session_executef(s, err, "SAVEPOINT pgrecast_sample; SET LOCAL statement_timeout TO '%s'", limit) &&
        (!texts_differ || session_make_text_function(s, err)) && session_evaluate(s, err);

    *asked = ok && session_row(s, r, &failed, sql, 0);
    if (failed.connection_lost || failed.stopped) {
        error_move(err, &failed);
        ok = false;
    }
    ok = ok &&
         session_execute(s, err, "ROLLBACK TO SAVEPOINT pgrecast_sample; RELEASE SAVEPOINT pgrecast_sample");
    error_clear(&failed);
    return ok;
}

bool
sample_generated(struct session *s, struct plan *p, struct error *err)
{
    struct result r = {0};
    char *sql;
    bool ok, asked;

    if (p->rows.compare.stored_differ == NULL)
        return true;
    if (p->code.foreign && !list_has(&p->code.trusted, p->source->owner)) {
        list_addf(&p->advice.notes, "whether generated columns hold what their expressions give now was not "
                                    "sampled: the table belongs to another role");
        return true;
    }
    sql = sample_select(p);
    ok = sample_ask(s, sql, "2s", p->rows.compare.texts_differ, &r, &asked, err);
    if (asked)
        note_sample(p, &r);
    else if (ok)
        list_addf(&p->advice.notes,
                  "whether generated columns hold what their expressions give now could not be "
                  "sampled within two seconds");
    result_free(&r);
    free(sql);
    return ok;
}
