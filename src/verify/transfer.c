#include "transfer.h"

#include "verify/copy_reader.h"

#define ROWS_A_REPORT 1024

struct transfer {
    struct copy_reader reader;
    struct reading_part *part;
    const struct row_watch *watch;
    int64_t told;
};

static bool
take_tuple(void *arg, const void *tuple, size_t len, struct error *err)
{
    return reading_part_row(arg, tuple, len, err);
}

static bool
tell(struct transfer *t, struct error *err)
{
    int64_t more = t->reader.tuples - t->told;

    t->told = t->reader.tuples;
    return t->watch->rows == NULL || t->watch->rows(t->watch->arg, more, err);
}

static bool
take_data(void *arg, const char *data, size_t len, struct error *err)
{
    struct transfer *t = arg;

    if (!copy_reader_feed(&t->reader, data, len, err))
        return false;
    return t->reader.tuples - t->told < ROWS_A_REPORT || tell(t, err);
}

bool
transfer_rows(struct session *s, const char *copy_sql, struct reading_part *part,
              const struct row_watch *watch, struct error *err)
{
    struct transfer t = {.part = part, .watch = watch};
    bool ok;

    copy_reader_init(&t.reader, take_tuple, part);
    ok =
        session_copy_out(s, err, copy_sql, take_data, &t) && copy_reader_end(&t.reader, err) && tell(&t, err);
    copy_reader_free(&t.reader);
    return ok;
}
