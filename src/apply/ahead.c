#include "ahead.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

bool
ahead_has(const struct ahead *x, lsn_t commit)
{
    if (commit >= x->until)
        return false;
    for (int i = 0; i < x->count; i++) {
        if (x->held[i] == commit)
            return false;
    }
    return true;
}

void
ahead_hold(struct ahead *x, lsn_t commit)
{
    x->held = mem_array(x->held, (size_t)x->count + 1, sizeof(*x->held));
    x->held[x->count++] = commit;
}

void
ahead_free(struct ahead *x)
{
    free(x->held);
    memset(x, 0, sizeof(*x));
}

void
ahead_merge(const struct ahead *last, const struct ahead *now, lsn_t place, lsn_t read, struct ahead *out)
{
    memset(out, 0, sizeof(*out));
    if (last->until <= place && now->until <= place)
        return;
    out->until = last->until > now->until ? last->until : now->until;
    for (int i = 0; i < now->count; i++)
        ahead_hold(out, now->held[i]);
    for (int i = 0; i < last->count; i++) {
        if (last->held[i] >= read) /* else it was applied by now, or is held back again */
            ahead_hold(out, last->held[i]);
    }
}

void
ahead_write(const struct ahead *x, struct buffer *array)
{
    char text[LSN_TEXT_SIZE];

    buffer_add_char(array, '{');
    for (int i = 0; i < x->count; i++)
        buffer_printf(array, "%s%s", i > 0 ? "," : "", lsn_format(x->held[i], text));
    buffer_add_char(array, '}');
}

bool
ahead_load(struct ahead *x, struct session *s, struct apply_owner owner, struct error *err)
{
    struct result res = {0};
    char job[24], number[16];
    bool ok;

    snprintf(job, sizeof(job), "%" PRId64, owner.job_id);
    snprintf(number, sizeof(number), "%d", owner.number);
    ok = session_query(s, &res, err,
                       "SELECT p.ahead_lsn, h.lsn FROM pgrecast.position AS p LEFT JOIN LATERAL "
                       "pg_catalog.unnest(p.held_lsns) AS h (lsn) ON true "
                       "WHERE p.job_id = $1 AND p.table_number = $2 AND p.ahead_lsn > p.applied_lsn",
                       2, job, number);
    for (int i = 0; ok && i < result_rows(&res); i++) {
        x->until = result_lsn(&res, i, 0);
        if (!result_null(&res, i, 1))
            ahead_hold(x, result_lsn(&res, i, 1));
    }
    result_free(&res);
    return ok ? true : error_context(err, "reading what is applied already");
}
