#include "locks.h"

#include <inttypes.h>

#include "core/count.h"
#include "core/buffer.h"
#include "job/job.h"
#include "pg/params.h"
#include "sql/sql.h"

int64_t
locks_of_partitions(const struct plan *plan)
{
    const struct table *t = plan->target;

    return (int64_t)t->partition_count * (3 + t->index_count);
}

bool
locks_fit(struct session *s, const char *oids, int64_t partitions, enum error_kind kind, struct error *err)
{
    struct params p = {0};
    struct result r = {0};
    bool ok;

    params_text(&p, oids);
    params_int(&p, partitions);
    ok = session_row_with(s, &r, err, sql_swap_locks, &p);
    if (ok && row_int(&r, 0, "needed") + row_int(&r, 0, "used") > row_int(&r, 0, "most")) {
        int64_t processes = row_int(&r, 0, "processes"),
                all = row_int(&r, 0, "needed") + row_int(&r, 0, "used");

        ok = error_set(err, kind, "the swap needs more locks than the server has room for");
        error_detail(
            err,
            "It needs about %s locks, for partitions and for %s foreign %s (each partition has one of its "
            "own); of %s there are %s in use.",
            row_text(&r, 0, "needed"), row_text(&r, 0, "keys"),
            count_word(row_int(&r, 0, "keys"), "key", "keys"), row_text(&r, 0, "most"),
            row_text(&r, 0, "used"));
        error_hint(
            err, "Set max_locks_per_transaction to at least %" PRId64 " (it is %s), and restart the server.",
            (all + all / 10) / processes + 1, row_text(&r, 0, "each"));
    }
    result_free(&r);
    return ok;
}

bool
job_check_locks(struct session *s, const struct plan_set *plans, struct error *err)
{
    struct buffer oids = {0};
    int64_t partitions = 0;
    bool ok;

    for (int i = 0; i < plans->table_count; i++) {
        const struct plan *plan = plans->tables[i].forward;

        buffer_printf(&oids, "%s%" PRIu32, i > 0 ? "," : "{", (uint32_t)plan->source->oid);
        partitions += locks_of_partitions(plan);
    }
    buffer_add_char(&oids, '}');
    ok = locks_fit(s, oids.data, partitions, ERROR_REFUSED, err);
    buffer_free(&oids);
    return ok;
}
