#include <stdlib.h>
#include <string.h>

#include "pg/redact.h"
#include "select.h"
#include "transfer.h"
#include "verify/comparison.h"
#include "verify/verify.h"

#define BUCKETS 4096

struct key_reader {
    struct session *session;
    const struct plan *plan;
    const char *keys_table_sql;
};

bool
verify_keys_prepare(struct session *s, struct error *err)
{
    return session_execute(
        s, err,
        "SET enable_nestloop = on; SET enable_indexscan = on; SET enable_hashjoin = off; "
        "SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_bitmapscan = off; "
        "SET enable_material = off; SET enable_memoize = off; "
        "SET max_parallel_workers_per_gather = 0");
}

static bool
read_side(struct key_reader *k, struct reading *r, enum verify_side side, struct error *err)
{
    const struct row_watch nobody = {0};
    char *sql = select_keys(k->plan, side, k->keys_table_sql, r->keeps_keys);
    struct reading_part part;
    bool ok;

    reading_part_init(&part, r, side);
    /* The user's expressions may have changed the session's settings, on the other side or before. */
    ok = session_pin(k->session, err) && transfer_rows(k->session, sql, &part, &nobody, err);
    if (ok)
        reading_part_hand_over(&part);
    else {
        error_redact(err);
        error_context(err, "comparing rows of %s", select_table(k->plan, side));
    }
    reading_part_free(&part);
    free(sql);
    return ok;
}

static bool
keys_read_both(void *arg, struct reading *r, struct error *err)
{
    return read_side(arg, r, SIDE_SOURCE, err) && read_side(arg, r, SIDE_SHADOW, err);
}

bool
verify_keys(struct session *s, const struct plan *plan, const char *keys_table_sql,
            struct verify_result *result, struct error *err)
{
    struct key_reader k = {.session = s, .plan = plan, .keys_table_sql = keys_table_sql};
    struct comparison c = {
        .key_count = plan->key_count,
        .field_count = plan->rows.compare.count,
        .bucket_count = BUCKETS,
        .encoding = plan->rows.compare.encoding,
        .limits = &comparison_limits,
        .read = keys_read_both,
        .arg = &k,
    };

    result->key_count = plan->key_count;
    return comparison_run(&c, result, err);
}
