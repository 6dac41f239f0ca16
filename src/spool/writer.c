#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "frame.h"
#include "state.h"

/* Pending bytes above this are written without a call of spool_flush(). */
#define PENDING_MAX ((size_t)256 * 1024)
#define PENDING_KEEP ((size_t)1024 * 1024)
#define HUGE_RECORD ((size_t)256 * 1024) /* larger records are written to the file without a copy in memory */

static bool
write_error(struct spool *s, const char *what, int error_number, struct error *err)
{
    char name[SEGMENT_NAME_SIZE];

    return segment_io_error(s->directory, segment_name(s->number, name), what, error_number, err);
}

/* Write len bytes at an offset of the last segment. *done: how many were written, also on failure. */
static bool
write_at(struct spool *s, const char *data, size_t len, uint64_t offset, size_t *done, struct error *err)
{
    *done = 0;
    while (*done < len) {
        ssize_t count = pwrite(s->fd, data + *done, len - *done, (off_t)(offset + *done));

        if (count > 0)
            *done += (size_t)count;
        else if (count == 0 || errno != EINTR)
            return write_error(s, "write", count == 0 ? ENOSPC : errno, err);
    }
    return true;
}

/* After a failed write: cut the file after the last complete frame. */
static void
cut_partial_frame(struct spool *s)
{
    if (ftruncate(s->fd, (off_t)s->written) != 0)
        s->broken = true;
}

bool
writer_write(struct spool *s, struct error *err)
{
    size_t done;
    bool ok;

    if (s->pending.len == 0)
        return true;
    ok = write_at(s, s->pending.data, s->pending.len, s->written, &done, err);
    if (ok) {
        s->written += done;
        buffer_shrink(&s->pending, PENDING_KEEP);
    } else {
        size_t whole = frame_whole(s->pending.data, done);

        s->written += whole;
        s->pending.len -= whole;
        memmove(s->pending.data, s->pending.data + whole, s->pending.len);
        cut_partial_frame(s);
    }
    shared_publish(&s->shared, s->written);
    return ok;
}

/* A record that is written to the file in pieces. Small pieces are collected in the spool's empty buffer. */
struct huge_record {
    struct spool *spool;
    struct error *err;
    uint64_t offset;
    bool failed;
};

static void
huge_write(struct huge_record *huge, const char *data, size_t len)
{
    size_t done = 0;

    if (!huge->failed)
        huge->failed = !write_at(huge->spool, data, len, huge->offset, &done, huge->err);
    huge->offset += done;
}

static void
huge_flush(struct huge_record *huge)
{
    struct buffer *gathered = &huge->spool->pending;

    if (gathered->len > 0)
        huge_write(huge, gathered->data, gathered->len);
    buffer_reset(gathered);
}

static void
huge_piece(void *context, const void *data, size_t len)
{
    struct huge_record *huge = context;

    if (len < PENDING_MAX)
        buffer_add(&huge->spool->pending, data, len);
    if (len >= PENDING_MAX || huge->spool->pending.len >= PENDING_MAX)
        huge_flush(huge);
    if (len >= PENDING_MAX)
        huge_write(huge, data, len);
}

static void
sum_piece(void *context, const void *data, size_t len)
{
    frame_sum_add(context, data, len);
}

static bool
huge_head(struct spool *s, size_t size, unsigned char head[FRAME_HEAD_SIZE], struct error *err)
{
    XXH3_state_t *sum = XXH3_createState();

    if (sum == NULL)
        return error_set(err, ERROR_FAILED, "out of memory");
    frame_sum_begin(sum, s->sequence, (uint32_t)size);
    record_stream(s->packer, sum_piece, sum);
    frame_sum_end(sum, head, s->sequence, (uint32_t)size);
    XXH3_freeState(sum);
    return true;
}

/*
 * Write the prepared record directly from the message to the file, in two passes: one for the checksum, one
 * to write.
 */
static bool
put_huge(struct spool *s, size_t size, struct error *err)
{
    struct huge_record huge = {.spool = s, .err = err};
    unsigned char head[FRAME_HEAD_SIZE];

    if (!writer_write(s, err) || !huge_head(s, size, head, err))
        return false;
    huge.offset = s->written;
    huge_piece(&huge, head, sizeof(head));
    record_stream(s->packer, huge_piece, &huge);
    huge_flush(&huge);
    if (huge.failed) {
        cut_partial_frame(s);
        return false;
    }
    s->written = huge.offset;
    s->sequence++;
    shared_publish(&s->shared, s->written);
    return true;
}

/* Room for a frame at the end of the pending ones; frame_put() completes the frame. */
static unsigned char *
frame_room(struct spool *s, size_t size)
{
    return (unsigned char *)buffer_reserve(&s->pending, FRAME_HEAD_SIZE + size) + FRAME_HEAD_SIZE;
}

static void
frame_put(struct spool *s, unsigned char *payload, size_t size)
{
    frame_seal(payload - FRAME_HEAD_SIZE, s->sequence++, (uint32_t)size);
    s->pending.len += FRAME_HEAD_SIZE + size;
}

static bool
put_prepared(struct spool *s, size_t size, struct error *err)
{
    unsigned char *payload;

    if (size > FRAME_PAYLOAD_MAX)
        return error_set(err, ERROR_FAILED, "a change of %zu bytes is too large for the spool", size);
    if (size >= HUGE_RECORD)
        return put_huge(s, size, err);
    payload = frame_room(s, size);
    record_write(s->packer, payload);
    frame_put(s, payload, size);
    return true;
}

static void
put_definition(struct spool *s, struct definition *definition)
{
    unsigned char *payload = frame_room(s, definition->record.len);

    memcpy(payload, definition->record.data, definition->record.len);
    frame_put(s, payload, definition->record.len);
    definition->segment = s->number;
}

static void
repeat_types(struct spool *s, const struct definition *relation)
{
    for (size_t i = 0; i < relation->type_count; i++) {
        struct definition *type = definitions_find(&s->definitions, false, relation->types[i]);

        if (type != NULL && type->segment != s->number)
            put_definition(s, type);
    }
}

/*
 * A segment must be readable by itself, so every definition that a change needs comes before the change in
 * the segment.
 */
static bool
repeat_relation(struct spool *s, uint32_t oid, struct error *err)
{
    struct definition *relation = definitions_find(&s->definitions, true, oid);

    if (relation == NULL)
        return error_set(err, ERROR_FAILED, "a change of relation %" PRIu32 " came before its definition",
                         oid);
    if (relation->segment == s->number)
        return true;
    repeat_types(s, relation);
    put_definition(s, relation);
    return true;
}

static bool
put_new_definition(struct spool *s, const struct message *m, lsn_t lsn, struct error *err)
{
    struct definition *definition = definitions_put(&s->definitions, m);
    size_t size = record_prepare(s->packer, m, lsn);

    if (size > FRAME_PAYLOAD_MAX)
        return error_set(err, ERROR_FAILED, "a definition of %zu bytes is too large for the spool", size);
    buffer_reset(&definition->record);
    record_write(s->packer, buffer_reserve(&definition->record, size));
    definition->record.len = size;
    if (definition->is_relation)
        repeat_types(s, definition);
    put_definition(s, definition);
    return true;
}

static bool
put_change(struct spool *s, const struct message *m, lsn_t lsn, struct error *err)
{
    switch (m->kind) {
    case MESSAGE_RELATION:
    case MESSAGE_TYPE:
        return put_new_definition(s, m, lsn, err);
    case MESSAGE_INSERT:
    case MESSAGE_UPDATE:
    case MESSAGE_DELETE:
        if (!repeat_relation(s, m->row.relation, err))
            return false;
        break;
    case MESSAGE_TRUNCATE:
        for (uint32_t i = 0; i < m->truncate.relation_count; i++) {
            if (!repeat_relation(s, message_truncate_relation(m, i), err))
                return false;
        }
        break;
    default:
        break;
    }
    return put_prepared(s, record_prepare(s->packer, m, lsn), err);
}

bool
writer_check(const struct spool *s, struct error *err)
{
    if (!s->broken)
        return true;
    return error_set(err, ERROR_FAILED, "the spool in \"%s\" has failed before and has to be opened again",
                     s->directory);
}

/* Transactions must be complete, in the order of their commits, and never repeated. */
static bool
check_order(const struct spool *s, const struct message *m, struct error *err)
{
    char lsn[LSN_TEXT_SIZE], end[LSN_TEXT_SIZE];

    switch (m->kind) {
    case MESSAGE_BEGIN:
        if (s->in_transaction)
            return error_set(err, ERROR_FAILED, "a transaction began within a transaction");
        if (m->begin.final_lsn >= spool_end_lsn(s))
            return true;
        return error_set(err, ERROR_FAILED,
                         "the transaction committed at %s came after the spool had reached %s",
                         lsn_format(m->begin.final_lsn, lsn), lsn_format(spool_end_lsn(s), end));
    case MESSAGE_COMMIT:
        if (!s->in_transaction)
            return error_set(err, ERROR_FAILED, "a commit came outside of a transaction");
        if (m->commit.commit_lsn == s->final_lsn && m->commit.end_lsn > s->final_lsn)
            return true;
        return error_set(err, ERROR_FAILED,
                         "the commit at %s does not belong to the transaction that ends at %s",
                         lsn_format(m->commit.commit_lsn, lsn), lsn_format(s->final_lsn, end));
    case MESSAGE_RELATION:
    case MESSAGE_TYPE:
        return true;
    case MESSAGE_LOGICAL:
        if (s->in_transaction || !m->logical.transactional)
            return true;
        break;
    default:
        if (s->in_transaction)
            return true;
        break;
    }
    return error_set(err, ERROR_FAILED, "a change came outside of a transaction");
}

/*
 * A segment above its size ends between two transactions. Inside a long transaction it ends a quarter later.
 */
static bool
segment_is_full(const struct spool *s)
{
    uint64_t size = s->written + s->pending.len;
    uint64_t slack = s->in_transaction ? s->segment_bytes / 4 : 0;

    return size > SEGMENT_HEADER_SIZE && size >= s->segment_bytes && size - s->segment_bytes >= slack;
}

/* Done before the append itself, so that a failed append has appended nothing. */
static bool
make_room(struct spool *s, struct error *err)
{
    if (segment_is_full(s))
        return spool_sync(s, err) && spool_start_segment(s, err);
    return s->pending.len < PENDING_MAX || writer_write(s, err);
}

static void
note_appended(struct spool *s, const struct message *m, struct spool_position at)
{
    switch (m->kind) {
    case MESSAGE_BEGIN:
        s->in_transaction = true;
        s->begin = at;
        atomic_store(&s->shared.open_segment, at.segment);
        s->final_lsn = m->begin.final_lsn;
        break;
    case MESSAGE_COMMIT:
        s->in_transaction = false;
        atomic_store(&s->shared.open_segment, 0);
        s->committed = m->commit.end_lsn;
        atomic_store(&s->end_lsn, m->commit.end_lsn);
        break;
    case MESSAGE_INSERT:
    case MESSAGE_UPDATE:
    case MESSAGE_DELETE:
    case MESSAGE_TRUNCATE:
        atomic_fetch_add(&s->changes, 1);
        break;
    default:
        break;
    }
}

bool
spool_append(struct spool *s, const struct message *m, lsn_t lsn, struct error *err)
{
    struct spool_position at;

    if (!record_has_form(m->kind))
        return true;
    if (!writer_check(s, err) || !check_order(s, m, err) || !make_room(s, err))
        return false;
    at.segment = s->number;
    at.offset = s->written + s->pending.len;
    if (!put_change(s, m, lsn, err))
        return false;
    note_appended(s, m, at);
    return true;
}

bool
spool_append_progress(struct spool *s, lsn_t lsn, struct error *err)
{
    if (!writer_check(s, err))
        return false;
    if (s->in_transaction)
        return error_set(err, ERROR_FAILED, "progress was reported within a transaction");
    if (lsn <= spool_end_lsn(s))
        return true;
    if (!make_room(s, err) || !put_prepared(s, record_prepare_progress(s->packer, lsn), err))
        return false;
    atomic_store(&s->end_lsn, lsn);
    return true;
}
