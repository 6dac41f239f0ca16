#include "vacuum.h"

#include <stdlib.h>

#include "core/clock.h"
#include "core/list.h"
#include "core/mem.h"
#include "parallel.h"
#include "pg/redact.h"
#include "tables.h"

#define POLL_MS 50

struct vacuum {
    struct string_list sql;
    struct parallel *parallel;
};

/*
 * TRUNCATE off: otherwise VACUUM would wait up to five seconds for the readers of a verification, to give
 * back empty pages at the end of the table.
 */
struct vacuum *
vacuum_start(struct engine *e, int workers)
{
    struct vacuum *v = mem_alloc(sizeof(*v));

    for (int i = 0; i < e->table_count; i++)
        list_addf(&v->sql, "VACUUM (ANALYZE, TRUNCATE off) %s", e->tables[i].plan->names.shadow_sql);
    v->parallel = parallel_start(e->options.connection, "vacuum", (const char *const *)v->sql.items,
                                 v->sql.count, workers);
    return v;
}

bool
vacuum_finish(struct engine *e, struct vacuum *v, bool ok, struct error *err)
{
    struct error failed = {0};

    while (!parallel_done(v->parallel)) {
        if (ok) {
            ok = engine_apply(e, err);
        } else {
            parallel_cancel(v->parallel);
            clock_sleep(POLL_MS);
        }
    }
    if (!parallel_finish(v->parallel, &failed) && ok) {
        error_move(err, &failed);
        error_redact(err);
        ok = error_context(err, "vacuuming the new table%s", engine_plural(e));
    }
    error_clear(&failed);
    list_free(&v->sql);
    free(v);
    return ok;
}
