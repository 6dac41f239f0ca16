/*
 * How many small row changes a second the spool takes and gives, each on one core: `meson test --benchmark`.
 * The rows are pgbench's accounts, twenty changes to a transaction.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "spool/spool.h"

#define TRANSACTIONS 100000
#define CHANGES 20

static void
fail(const struct error *err)
{
    fprintf(stderr, "bench_spool: %s\n", err->message);
    exit(1);
}

static void
append(struct spool *s, const struct message *m, lsn_t lsn)
{
    struct error err = {0};

    if (!spool_append(s, m, lsn, &err))
        fail(&err);
}

static void
append_relation(struct spool *s)
{
    struct relation_column columns[4] = {{true, "aid", 23, -1},
                                         {false, "bid", 23, -1},
                                         {false, "abalance", 23, -1},
                                         {false, "filler", 1042, 88}};
    struct message m = {.kind = MESSAGE_RELATION};

    m.relation.oid = 16400;
    m.relation.schema = "public";
    m.relation.name = "pgbench_accounts";
    m.relation.replica_identity = 'd';
    m.relation.column_count = 4;
    m.relation.columns = columns;
    append(s, &m, 1);
}

static void
append_transaction(struct spool *s, lsn_t lsn)
{
    static const char filler[84] = "filler";
    struct message m = {.kind = MESSAGE_BEGIN};
    struct value values[4] = {{VALUE_TEXT, "1234567", 7},
                              {VALUE_TEXT, "12", 2},
                              {VALUE_TEXT, "-4711", 5},
                              {VALUE_TEXT, filler, sizeof(filler)}};

    m.begin.final_lsn = lsn + 900;
    append(s, &m, lsn);
    if (lsn == 1000)
        append_relation(s);
    memset(&m, 0, sizeof(m));
    m.kind = MESSAGE_UPDATE;
    m.row.relation = 16400;
    m.row.new_row.count = 4;
    m.row.new_row.values = values;
    for (unsigned i = 0; i < CHANGES; i++)
        append(s, &m, lsn + i);
    memset(&m, 0, sizeof(m));
    m.kind = MESSAGE_COMMIT;
    m.commit.commit_lsn = lsn + 900;
    m.commit.end_lsn = lsn + 950;
    append(s, &m, lsn + 900);
}

static uint64_t
write_all(struct spool *s)
{
    struct error err = {0};

    for (unsigned i = 0; i < TRANSACTIONS; i++)
        append_transaction(s, (lsn_t)(i + 1) * 1000);
    if (!spool_sync(s, &err))
        fail(&err);
    return spool_changes(s);
}

static uint64_t
read_all(struct spool *s)
{
    struct error err = {0};
    struct spool_reader *r = spool_reader_open(s, 0, &err);
    enum spool_outcome outcome;
    struct spool_record record;
    uint64_t changes = 0;

    if (r == NULL)
        fail(&err);
    while ((outcome = spool_read(r, &record, &err)) == SPOOL_RECORD)
        changes += record.message.kind == MESSAGE_UPDATE;
    if (outcome == SPOOL_ERROR)
        fail(&err);
    spool_reader_close(r);
    return changes;
}

static void
report(const char *what, uint64_t changes, uint64_t bytes, int64_t started)
{
    double seconds = (double)(clock_us() - started) / 1e6;

    printf("%s: %" PRIu64 " changes, %.0f changes/s, %.0f MB/s\n", what, changes, (double)changes / seconds,
           (double)bytes / 1e6 / seconds);
}

int
main(void)
{
    struct spool_identity identity = {.system_identifier = 1, .timeline = 1, .job = "bench", .slot = "bench"};
    char directory[] = "/tmp/pgrecast-bench-XXXXXX";
    struct error err = {0};
    struct spool *s;
    int64_t started;
    uint64_t changes;

    if (mkdtemp(directory) == NULL)
        return 1;
    s = spool_open(directory, &identity, (uint64_t)64 * 1024 * 1024, &err);
    if (s == NULL)
        fail(&err);
    started = clock_us();
    changes = write_all(s);
    report("write", changes, spool_bytes(s), started);
    started = clock_us();
    changes = read_all(s);
    report("read ", changes, spool_bytes(s), started);
    spool_close(s);
    if (!spool_remove(directory, &err))
        fail(&err);
    return 0;
}
