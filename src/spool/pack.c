#include "spool/record.h"

#include <stdlib.h>
#include <string.h>

#include "change.pb-c.h"
#include "core/mem.h"

/* Memory to build a protobuf tuple from the values of a message. */
struct tuple_scratch {
    Pgrecast__Tuple tuple;
    Pgrecast__Value *values;
    Pgrecast__Value **pointers;
    size_t room;
};

struct record_packer {
    Pgrecast__Change change;
    union {
        Pgrecast__Begin begin;
        Pgrecast__Commit commit;
        Pgrecast__Relation relation;
        Pgrecast__Type type;
        Pgrecast__Insert insert;
        Pgrecast__Update update;
        Pgrecast__Delete delete_;
        Pgrecast__Truncate truncate;
        Pgrecast__LogicalMessage message;
        Pgrecast__Progress progress;
    };
    struct tuple_scratch old_row;
    struct tuple_scratch new_row;
    Pgrecast__Column *columns;
    Pgrecast__Column **column_pointers;
    size_t column_room;
    uint32_t *oids;
    size_t oid_room;
};

struct record_packer *
record_packer_new(void)
{
    return mem_alloc(sizeof(struct record_packer));
}

static void
tuple_scratch_free(struct tuple_scratch *scratch)
{
    free(scratch->values);
    free(scratch->pointers);
}

void
record_packer_free(struct record_packer *p)
{
    if (p == NULL)
        return;
    tuple_scratch_free(&p->old_row);
    tuple_scratch_free(&p->new_row);
    free(p->columns);
    free(p->column_pointers);
    free(p->oids);
    free(p);
}

bool
record_has_form(enum message_kind kind)
{
    return kind != MESSAGE_ORIGIN && kind != MESSAGE_IGNORED;
}

static void
value_build(Pgrecast__Value *out, const struct value *value)
{
    ProtobufCBinaryData bytes = {.len = value->len, .data = (uint8_t *)value->data};

    pgrecast__value__init(out);
    switch (value->kind) {
    case VALUE_NULL:
        out->kind_case = PGRECAST__VALUE__KIND_NULL;
        out->null = true;
        break;
    case VALUE_UNCHANGED:
        out->kind_case = PGRECAST__VALUE__KIND_UNCHANGED;
        out->unchanged = true;
        break;
    case VALUE_TEXT:
        out->kind_case = PGRECAST__VALUE__KIND_TEXT;
        out->text = bytes;
        break;
    case VALUE_BINARY:
        out->kind_case = PGRECAST__VALUE__KIND_BINARY;
        out->binary = bytes;
        break;
    }
}

static Pgrecast__Tuple *
tuple_build(struct tuple_scratch *scratch, const struct tuple *tuple)
{
    if (tuple->count > scratch->room) {
        scratch->room = tuple->count;
        scratch->values = mem_array(scratch->values, scratch->room, sizeof(*scratch->values));
        scratch->pointers = mem_array(scratch->pointers, scratch->room, sizeof(*scratch->pointers));
        for (size_t i = 0; i < scratch->room; i++)
            scratch->pointers[i] = &scratch->values[i];
    }
    for (size_t i = 0; i < tuple->count; i++)
        value_build(&scratch->values[i], &tuple->values[i]);
    pgrecast__tuple__init(&scratch->tuple);
    scratch->tuple.n_values = tuple->count;
    scratch->tuple.values = scratch->pointers;
    return &scratch->tuple;
}

static Pgrecast__ReplicaIdentity
identity_from_letter(char letter)
{
    switch (letter) {
    case 'd':
        return PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_DEFAULT;
    case 'n':
        return PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_NOTHING;
    case 'f':
        return PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_FULL;
    case 'i':
        return PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_INDEX;
    default:
        return PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_UNSPECIFIED;
    }
}

static void
relation_build(struct record_packer *p, const struct message *m)
{
    size_t count = m->relation.column_count;

    if (count > p->column_room) {
        p->column_room = count;
        p->columns = mem_array(p->columns, count, sizeof(*p->columns));
        p->column_pointers = mem_array(p->column_pointers, count, sizeof(*p->column_pointers));
        for (size_t i = 0; i < count; i++)
            p->column_pointers[i] = &p->columns[i];
    }
    for (size_t i = 0; i < count; i++) {
        const struct relation_column *column = &m->relation.columns[i];

        pgrecast__column__init(&p->columns[i]);
        p->columns[i].name = (char *)column->name;
        p->columns[i].type_oid = column->type_oid;
        p->columns[i].typmod = column->typmod;
        p->columns[i].key = column->key;
    }
    pgrecast__relation__init(&p->relation);
    p->relation.oid = m->relation.oid;
    p->relation.schema = (char *)m->relation.schema;
    p->relation.name = (char *)m->relation.name;
    p->relation.replica_identity = identity_from_letter(m->relation.replica_identity);
    p->relation.n_columns = count;
    p->relation.columns = p->column_pointers;
    p->change.kind_case = PGRECAST__CHANGE__KIND_RELATION;
    p->change.relation = &p->relation;
}

static void
insert_build(struct record_packer *p, const struct message *m)
{
    pgrecast__insert__init(&p->insert);
    p->insert.relation = m->row.relation;
    p->insert.new_row = tuple_build(&p->new_row, &m->row.new_row);
    p->change.kind_case = PGRECAST__CHANGE__KIND_INSERT;
    p->change.insert = &p->insert;
}

static void
update_build(struct record_packer *p, const struct message *m)
{
    pgrecast__update__init(&p->update);
    p->update.relation = m->row.relation;
    if (m->row.has_old) {
        p->update.old_case =
            m->row.old_is_full ? PGRECAST__UPDATE__OLD_OLD_ROW : PGRECAST__UPDATE__OLD_OLD_KEY;
        /* Sets old_row too, which is in the same union. */
        p->update.old_key = tuple_build(&p->old_row, &m->row.old_row);
    }
    p->update.new_row = tuple_build(&p->new_row, &m->row.new_row);
    p->change.kind_case = PGRECAST__CHANGE__KIND_UPDATE;
    p->change.update = &p->update;
}

static void
delete_build(struct record_packer *p, const struct message *m)
{
    pgrecast__delete__init(&p->delete_);
    p->delete_.relation = m->row.relation;
    p->delete_.old_case = m->row.old_is_full ? PGRECAST__DELETE__OLD_OLD_ROW : PGRECAST__DELETE__OLD_OLD_KEY;
    /* Sets old_row too, which is in the same union. */
    p->delete_.old_key = tuple_build(&p->old_row, &m->row.old_row);
    p->change.kind_case = PGRECAST__CHANGE__KIND_DELETE;
    p->change.delete_ = &p->delete_;
}

static void
truncate_build(struct record_packer *p, const struct message *m)
{
    size_t count = m->truncate.relation_count;

    if (count > p->oid_room) {
        p->oid_room = count;
        p->oids = mem_array(p->oids, count, sizeof(*p->oids));
    }
    for (uint32_t i = 0; i < count; i++)
        p->oids[i] = message_truncate_relation(m, i);
    pgrecast__truncate__init(&p->truncate);
    p->truncate.n_relations = count;
    p->truncate.relations = p->oids;
    p->truncate.cascade = m->truncate.cascade;
    p->truncate.restart_identity = m->truncate.restart_identity;
    p->change.kind_case = PGRECAST__CHANGE__KIND_TRUNCATE;
    p->change.truncate = &p->truncate;
}

static void
begin_build(struct record_packer *p, const struct message *m)
{
    pgrecast__begin__init(&p->begin);
    p->begin.final_lsn = m->begin.final_lsn;
    p->begin.commit_time = m->begin.commit_time;
    p->begin.xid = m->begin.xid;
    p->change.kind_case = PGRECAST__CHANGE__KIND_BEGIN;
    p->change.begin = &p->begin;
}

static void
commit_build(struct record_packer *p, const struct message *m)
{
    pgrecast__commit__init(&p->commit);
    p->commit.commit_lsn = m->commit.commit_lsn;
    p->commit.end_lsn = m->commit.end_lsn;
    p->commit.commit_time = m->commit.commit_time;
    p->change.kind_case = PGRECAST__CHANGE__KIND_COMMIT;
    p->change.commit = &p->commit;
}

static void
type_build(struct record_packer *p, const struct message *m)
{
    pgrecast__type__init(&p->type);
    p->type.oid = m->type.oid;
    p->type.schema = (char *)m->type.schema;
    p->type.name = (char *)m->type.name;
    p->change.kind_case = PGRECAST__CHANGE__KIND_TYPE;
    p->change.type = &p->type;
}

static void
logical_build(struct record_packer *p, const struct message *m)
{
    pgrecast__logical_message__init(&p->message);
    p->message.transactional = m->logical.transactional;
    p->message.lsn = m->logical.lsn;
    p->message.prefix = (char *)m->logical.prefix;
    p->message.content.data = (uint8_t *)m->logical.content;
    p->message.content.len = m->logical.len;
    p->change.kind_case = PGRECAST__CHANGE__KIND_MESSAGE;
    p->change.message = &p->message;
}

size_t
record_prepare(struct record_packer *p, const struct message *m, lsn_t lsn)
{
    pgrecast__change__init(&p->change);
    p->change.lsn = lsn;
    switch (m->kind) {
    case MESSAGE_BEGIN:
        begin_build(p, m);
        break;
    case MESSAGE_COMMIT:
        commit_build(p, m);
        break;
    case MESSAGE_RELATION:
        relation_build(p, m);
        break;
    case MESSAGE_TYPE:
        type_build(p, m);
        break;
    case MESSAGE_INSERT:
        insert_build(p, m);
        break;
    case MESSAGE_UPDATE:
        update_build(p, m);
        break;
    case MESSAGE_DELETE:
        delete_build(p, m);
        break;
    case MESSAGE_TRUNCATE:
        truncate_build(p, m);
        break;
    case MESSAGE_LOGICAL:
        logical_build(p, m);
        break;
    case MESSAGE_ORIGIN:
    case MESSAGE_IGNORED:
        break;
    }
    return pgrecast__change__get_packed_size(&p->change);
}

size_t
record_prepare_progress(struct record_packer *p, lsn_t lsn)
{
    pgrecast__change__init(&p->change);
    pgrecast__progress__init(&p->progress);
    p->change.lsn = lsn;
    p->change.kind_case = PGRECAST__CHANGE__KIND_PROGRESS;
    p->change.progress = &p->progress;
    return pgrecast__change__get_packed_size(&p->change);
}

void
record_write(struct record_packer *p, void *out)
{
    pgrecast__change__pack(&p->change, out);
}

struct piece_sink {
    ProtobufCBuffer base; /* must be the first member: protobuf-c knows only this part */
    void (*piece)(void *context, const void *data, size_t len);
    void *context;
};

static void
pack_sink_append(ProtobufCBuffer *buffer, size_t len, const uint8_t *data)
{
    struct piece_sink *sink = (struct piece_sink *)buffer;

    sink->piece(sink->context, data, len);
}

void
record_stream(struct record_packer *p, void (*piece)(void *context, const void *data, size_t len),
              void *context)
{
    struct piece_sink sink = {.base = {.append = pack_sink_append}, .piece = piece, .context = context};

    pgrecast__change__pack_to_buffer(&p->change, &sink.base);
}

void
record_add_delimited(struct record_packer *p, const struct message *m, lsn_t lsn, struct buffer *out)
{
    size_t size = record_prepare(p, m, lsn);

    for (size_t rest = size;; rest >>= 7) {
        buffer_add_char(out, (char)(rest > 0x7f ? rest | 0x80 : rest));
        if (rest <= 0x7f)
            break;
    }
    record_write(p, buffer_reserve(out, size));
    out->len += size;
    out->data[out->len] = '\0';
}
