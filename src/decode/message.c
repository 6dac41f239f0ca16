#include "decode/message.h"

#include <stdlib.h>
#include <string.h>

#include "core/cursor.h"
#include "core/mem.h"

/* logicalproto.h */
#define RELATION_COLUMN_IS_KEY 1
#define TRUNCATE_CASCADE 1
#define TRUNCATE_RESTART_IDENTITY 2
#define LOGICAL_TRANSACTIONAL 1

struct value_array {
    struct value *items;
    size_t room;
};

struct decoder {
    struct value_array old_values;
    struct value_array new_values;
    struct relation_column *columns;
    size_t column_room;
};

/* A message that is being read. The first error found stays in .wrong. */
struct reading {
    struct decoder *decoder;
    struct cursor cur;
    const char *wrong;
};

struct decoder *
decoder_new(void)
{
    return mem_alloc(sizeof(struct decoder));
}

void
decoder_free(struct decoder *d)
{
    if (d == NULL)
        return;
    free(d->old_values.items);
    free(d->new_values.items);
    free(d->columns);
    free(d);
}

static bool
wrong(struct reading *r, const char *what)
{
    if (r->wrong == NULL)
        r->wrong = what;
    return false;
}

/*
 * Make room for count items. False where the rest of the message is too short for so many; this is checked
 * before anything is allocated.
 */
static bool
values_reserve(struct reading *r, struct value_array *array, size_t count)
{
    if (count > cursor_left(&r->cur))
        return wrong(r, "more columns than bytes");
    if (count > array->room) {
        array->items = mem_array(array->items, count, sizeof(*array->items));
        array->room = count;
    }
    return true;
}

static bool
read_value(struct reading *r, struct value *out)
{
    uint8_t kind = cursor_u8(&r->cur);

    out->data = NULL;
    out->len = 0;
    switch (kind) {
    case VALUE_NULL:
    case VALUE_UNCHANGED:
        break;
    case VALUE_TEXT:
    case VALUE_BINARY:
        out->len = cursor_u32(&r->cur);
        out->data = cursor_bytes(&r->cur, out->len);
        break;
    default:
        return wrong(r, "unknown kind of value");
    }
    out->kind = (enum value_kind)kind;
    return !cursor_failed(&r->cur);
}

/* TupleData */
static bool
message_read_tuple(struct reading *r, struct value_array *array, struct tuple *out)
{
    out->count = cursor_u16(&r->cur);
    if (cursor_failed(&r->cur) || !values_reserve(r, array, out->count))
        return false;
    out->values = array->items;
    for (uint16_t i = 0; i < out->count; i++) {
        if (!read_value(r, &out->values[i]))
            return false;
    }
    return true;
}

static bool
read_begin(struct reading *r, struct message *out)
{
    out->kind = MESSAGE_BEGIN;
    out->begin.final_lsn = cursor_u64(&r->cur);
    out->begin.commit_time = (int64_t)cursor_u64(&r->cur);
    out->begin.xid = cursor_u32(&r->cur);
    return true;
}

static bool
read_commit(struct reading *r, struct message *out)
{
    out->kind = MESSAGE_COMMIT;
    if (cursor_u8(&r->cur) != 0)
        return wrong(r, "unknown flags");
    out->commit.commit_lsn = cursor_u64(&r->cur);
    out->commit.end_lsn = cursor_u64(&r->cur);
    out->commit.commit_time = (int64_t)cursor_u64(&r->cur);
    return true;
}

static bool
read_origin(struct reading *r, struct message *out)
{
    out->kind = MESSAGE_ORIGIN;
    out->origin.lsn = cursor_u64(&r->cur);
    out->origin.name = cursor_string(&r->cur);
    return true;
}

static bool
message_read_column(struct reading *r, struct relation_column *out)
{
    uint8_t flags = cursor_u8(&r->cur);

    if ((flags & ~RELATION_COLUMN_IS_KEY) != 0)
        return wrong(r, "unknown flags of a column");
    out->key = flags == RELATION_COLUMN_IS_KEY;
    out->name = cursor_string(&r->cur);
    out->type_oid = cursor_u32(&r->cur);
    out->typmod = (int32_t)cursor_u32(&r->cur);
    return !cursor_failed(&r->cur);
}

static bool
read_relation(struct reading *r, struct message *out)
{
    struct decoder *d = r->decoder;
    uint16_t count;

    out->kind = MESSAGE_RELATION;
    out->relation.oid = cursor_u32(&r->cur);
    out->relation.schema = cursor_string(&r->cur);
    out->relation.name = cursor_string(&r->cur);
    out->relation.replica_identity = (char)cursor_u8(&r->cur);
    count = cursor_u16(&r->cur);
    if (cursor_failed(&r->cur))
        return false;
    if (out->relation.replica_identity == '\0' || strchr("dnfi", out->relation.replica_identity) == NULL)
        return wrong(r, "unknown replica identity");
    if (count > cursor_left(&r->cur))
        return wrong(r, "more columns than bytes");
    if (count > d->column_room) {
        d->columns = mem_array(d->columns, count, sizeof(*d->columns));
        d->column_room = count;
    }
    out->relation.column_count = count;
    out->relation.columns = d->columns;
    for (uint16_t i = 0; i < count; i++) {
        if (!message_read_column(r, &d->columns[i]))
            return false;
    }
    return true;
}

static bool
read_type(struct reading *r, struct message *out)
{
    out->kind = MESSAGE_TYPE;
    out->type.oid = cursor_u32(&r->cur);
    out->type.schema = cursor_string(&r->cur);
    out->type.name = cursor_string(&r->cur);
    return true;
}

/* The byte before a tuple must be the expected one. */
static bool
expect_new_tuple(struct reading *r, uint8_t kind, struct message *out)
{
    if (kind != 'N')
        return wrong(r, "no new row where one must be");
    return message_read_tuple(r, &r->decoder->new_values, &out->row.new_row);
}

static bool
read_old_tuple(struct reading *r, uint8_t kind, struct message *out)
{
    out->row.has_old = true;
    out->row.old_is_full = kind == 'O';
    return message_read_tuple(r, &r->decoder->old_values, &out->row.old_row);
}

/*
 * A value that the update left unchanged is taken from the old row, where that is sent. A key that is stored
 * out of line is complete in the old key, although it has not changed (ExtractReplicaIdentity(), heapam.c),
 * and "unchanged" in the new row. With REPLICA IDENTITY FULL this holds for every column. The columns outside
 * of an old key are NULL there.
 */
static void
take_unchanged_from_old(struct message *out)
{
    const struct tuple *old = &out->row.old_row;
    struct tuple *row = &out->row.new_row;

    for (uint16_t i = 0; i < row->count && i < old->count; i++) {
        if (row->values[i].kind == VALUE_UNCHANGED && old->values[i].kind != VALUE_NULL)
            row->values[i] = old->values[i];
    }
}

static bool
read_insert(struct reading *r, struct message *out)
{
    out->kind = MESSAGE_INSERT;
    out->row.relation = cursor_u32(&r->cur);
    return expect_new_tuple(r, cursor_u8(&r->cur), out);
}

static bool
read_update(struct reading *r, struct message *out)
{
    uint8_t kind;

    out->kind = MESSAGE_UPDATE;
    out->row.relation = cursor_u32(&r->cur);
    kind = cursor_u8(&r->cur);
    if (kind == 'K' || kind == 'O') {
        if (!read_old_tuple(r, kind, out))
            return false;
        kind = cursor_u8(&r->cur);
    }
    if (!expect_new_tuple(r, kind, out))
        return false;
    if (out->row.has_old)
        take_unchanged_from_old(out);
    return true;
}

static bool
read_delete(struct reading *r, struct message *out)
{
    uint8_t kind;

    out->kind = MESSAGE_DELETE;
    out->row.relation = cursor_u32(&r->cur);
    kind = cursor_u8(&r->cur);
    if (kind != 'K' && kind != 'O')
        return wrong(r, "no old row where one must be");
    return read_old_tuple(r, kind, out);
}

static bool
read_truncate(struct reading *r, struct message *out)
{
    uint32_t count = cursor_u32(&r->cur);
    uint8_t flags = cursor_u8(&r->cur);

    out->kind = MESSAGE_TRUNCATE;
    if ((flags & ~(TRUNCATE_CASCADE | TRUNCATE_RESTART_IDENTITY)) != 0)
        return wrong(r, "unknown flags");
    out->truncate.cascade = (flags & TRUNCATE_CASCADE) != 0;
    out->truncate.restart_identity = (flags & TRUNCATE_RESTART_IDENTITY) != 0;
    out->truncate.relation_count = count;
    out->truncate.relations = cursor_bytes(&r->cur, (size_t)count * 4);
    return true;
}

static bool
read_logical(struct reading *r, struct message *out)
{
    uint8_t flags = cursor_u8(&r->cur);

    out->kind = MESSAGE_LOGICAL;
    if ((flags & ~LOGICAL_TRANSACTIONAL) != 0)
        return wrong(r, "unknown flags");
    out->logical.transactional = flags == LOGICAL_TRANSACTIONAL;
    out->logical.lsn = cursor_u64(&r->cur);
    out->logical.prefix = cursor_string(&r->cur);
    out->logical.len = cursor_u32(&r->cur);
    out->logical.content = cursor_bytes(&r->cur, out->logical.len);
    return true;
}

/*
 * STREAM ABORT belongs to protocol 2. But version 18 is reported to send it to a client of protocol 1 as
 * well, about a transaction that was never streamed: xid and subxid, and with parallel streaming an LSN and a
 * time.
 */
static bool
read_stream_abort(struct reading *r, struct message *out)
{
    out->kind = MESSAGE_IGNORED;
    cursor_u32(&r->cur);
    cursor_u32(&r->cur);
    if (cursor_left(&r->cur) > 0) {
        cursor_u64(&r->cur);
        cursor_u64(&r->cur);
    }
    return true;
}

struct message_row {
    uint8_t code;
    const char *name;
    bool (*read)(struct reading *r, struct message *out);
};

static const struct message_row message_table[] = {
    {'B', "BEGIN", read_begin},
    {'C', "COMMIT", read_commit},
    {'O', "ORIGIN", read_origin},
    {'R', "RELATION", read_relation},
    {'Y', "TYPE", read_type},
    {'I', "INSERT", read_insert},
    {'U', "UPDATE", read_update},
    {'D', "DELETE", read_delete},
    {'T', "TRUNCATE", read_truncate},
    {'M', "MESSAGE", read_logical},
    {'A', "STREAM ABORT", read_stream_abort},
};

static const struct message_row *
message_row_find(uint8_t code)
{
    for (size_t i = 0; i < sizeof(message_table) / sizeof(message_table[0]); i++) {
        if (message_table[i].code == code)
            return &message_table[i];
    }
    return NULL;
}

bool
decoder_decode(struct decoder *d, const void *data, size_t len, struct message *out, struct error *err)
{
    struct reading r = {.decoder = d, .cur = cursor_over(data, len)};
    const struct message_row *row;
    uint8_t code = cursor_u8(&r.cur);

    if (cursor_failed(&r.cur))
        return error_set(err, ERROR_FAILED, "pgoutput sent an empty message");
    row = message_row_find(code);
    if (row == NULL)
        return error_set(err, ERROR_FAILED, "pgoutput sent a message of unknown kind 0x%02x", code);
    memset(out, 0, sizeof(*out));
    if (row->read(&r, out) && cursor_done(&r.cur))
        return true;
    if (cursor_failed(&r.cur))
        r.wrong = "it ends too early";
    else if (r.wrong == NULL)
        r.wrong = "bytes left at its end";
    return error_set(err, ERROR_FAILED, "pgoutput sent a malformed %s message: %s (offset %zu of %zu)",
                     row->name, r.wrong, (size_t)(r.cur.next - (const unsigned char *)data), len);
}

uint32_t
message_truncate_relation(const struct message *m, uint32_t i)
{
    struct cursor cur = cursor_over(m->truncate.relations + (size_t)i * 4, 4);

    return cursor_u32(&cur);
}
