#include "spool/record.h"

#include <stdlib.h>
#include <string.h>

#include "change.pb-c.h"
#include "core/mem.h"
#include "arena.h"

struct record_unpacker {
    struct arena arena;
    ProtobufCAllocator allocator;
};

struct record_unpacker *
record_unpacker_new(void)
{
    struct record_unpacker *u = mem_alloc(sizeof(*u));

    u->allocator = arena_allocator(&u->arena);
    return u;
}

void
record_unpacker_free(struct record_unpacker *u)
{
    if (u == NULL)
        return;
    arena_free(&u->arena);
    free(u);
}

void
record_unpacker_reset(struct record_unpacker *u)
{
    arena_reset(&u->arena);
}

static const char *
value_take(const Pgrecast__Value *value, struct value *out)
{
    const ProtobufCBinaryData *bytes = NULL;

    out->data = NULL;
    out->len = 0;
    switch (value->kind_case) {
    case PGRECAST__VALUE__KIND_NULL:
        out->kind = VALUE_NULL;
        return value->null ? NULL : "a null that is none";
    case PGRECAST__VALUE__KIND_UNCHANGED:
        out->kind = VALUE_UNCHANGED;
        return value->unchanged ? NULL : "an unchanged value that is none";
    case PGRECAST__VALUE__KIND_TEXT:
        out->kind = VALUE_TEXT;
        bytes = &value->text;
        break;
    case PGRECAST__VALUE__KIND_BINARY:
        out->kind = VALUE_BINARY;
        bytes = &value->binary;
        break;
    default:
        return "unknown kind of value";
    }
    if (bytes->len > UINT32_MAX)
        return "a value that is too long";
    out->data = bytes->data != NULL ? (const char *)bytes->data : "";
    out->len = (uint32_t)bytes->len;
    return NULL;
}

static const char *
tuple_take(struct record_unpacker *u, const Pgrecast__Tuple *tuple, struct tuple *out)
{
    const char *why = NULL;

    if (tuple == NULL)
        return "a row is missing";
    if (tuple->n_values > UINT16_MAX)
        return "too many columns";
    out->count = (uint16_t)tuple->n_values;
    out->values = arena_alloc(&u->arena, tuple->n_values * sizeof(*out->values));
    for (size_t i = 0; i < tuple->n_values && why == NULL; i++)
        why = value_take(tuple->values[i], &out->values[i]);
    return why;
}

/* '\0' where there is no such replica identity. */
static char
identity_letter(Pgrecast__ReplicaIdentity identity)
{
    switch (identity) {
    case PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_DEFAULT:
        return 'd';
    case PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_NOTHING:
        return 'n';
    case PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_FULL:
        return 'f';
    case PGRECAST__REPLICA_IDENTITY__REPLICA_IDENTITY_INDEX:
        return 'i';
    default:
        return '\0';
    }
}

static const char *
relation_take(struct record_unpacker *u, const Pgrecast__Relation *relation, struct message *out)
{
    out->kind = MESSAGE_RELATION;
    out->relation.oid = relation->oid;
    out->relation.schema = relation->schema;
    out->relation.name = relation->name;
    out->relation.replica_identity = identity_letter(relation->replica_identity);
    if (out->relation.replica_identity == '\0')
        return "unknown replica identity";
    if (relation->n_columns > UINT16_MAX)
        return "too many columns";
    out->relation.column_count = (uint16_t)relation->n_columns;
    out->relation.columns = arena_alloc(&u->arena, relation->n_columns * sizeof(*out->relation.columns));
    for (size_t i = 0; i < relation->n_columns; i++) {
        const Pgrecast__Column *column = relation->columns[i];
        struct relation_column *to = &out->relation.columns[i];

        to->key = column->key;
        to->name = column->name;
        to->type_oid = column->type_oid;
        to->typmod = column->typmod;
    }
    return NULL;
}

static const char *
insert_take(struct record_unpacker *u, const Pgrecast__Insert *insert, struct message *out)
{
    out->kind = MESSAGE_INSERT;
    out->row.relation = insert->relation;
    return tuple_take(u, insert->new_row, &out->row.new_row);
}

static const char *
update_take(struct record_unpacker *u, const Pgrecast__Update *update, struct message *out)
{
    const char *why = NULL;

    out->kind = MESSAGE_UPDATE;
    out->row.relation = update->relation;
    out->row.has_old = update->old_case != PGRECAST__UPDATE__OLD__NOT_SET;
    out->row.old_is_full = update->old_case == PGRECAST__UPDATE__OLD_OLD_ROW;
    /* Reads old_row too, which is in the same union. */
    if (out->row.has_old)
        why = tuple_take(u, update->old_key, &out->row.old_row);
    return why != NULL ? why : tuple_take(u, update->new_row, &out->row.new_row);
}

static const char *
delete_take(struct record_unpacker *u, const Pgrecast__Delete *delete_, struct message *out)
{
    out->kind = MESSAGE_DELETE;
    out->row.relation = delete_->relation;
    if (delete_->old_case == PGRECAST__DELETE__OLD__NOT_SET)
        return "a row is missing";
    out->row.has_old = true;
    out->row.old_is_full = delete_->old_case == PGRECAST__DELETE__OLD_OLD_ROW;
    /* Reads old_row too, which is in the same union. */
    return tuple_take(u, delete_->old_key, &out->row.old_row);
}

static const char *
truncate_take(struct record_unpacker *u, const Pgrecast__Truncate *truncate, struct message *out)
{
    unsigned char *oids = arena_alloc(&u->arena, truncate->n_relations * 4);

    out->kind = MESSAGE_TRUNCATE;
    out->truncate.relation_count = (uint32_t)truncate->n_relations;
    out->truncate.relations = oids;
    out->truncate.cascade = truncate->cascade;
    out->truncate.restart_identity = truncate->restart_identity;
    for (size_t i = 0; i < truncate->n_relations; i++) {
        for (int byte = 0; byte < 4; byte++)
            oids[i * 4 + (size_t)byte] = (unsigned char)(truncate->relations[i] >> (24 - byte * 8));
    }
    return NULL;
}

static const char *
logical_take(const Pgrecast__LogicalMessage *message, struct message *out)
{
    out->kind = MESSAGE_LOGICAL;
    out->logical.transactional = message->transactional;
    out->logical.lsn = message->lsn;
    out->logical.prefix = message->prefix;
    if (message->content.len > UINT32_MAX)
        return "a value that is too long";
    out->logical.content = message->content.data != NULL ? (const char *)message->content.data : "";
    out->logical.len = (uint32_t)message->content.len;
    return NULL;
}

static const char *
change_take(struct record_unpacker *u, const Pgrecast__Change *change, struct message *out)
{
    switch (change->kind_case) {
    case PGRECAST__CHANGE__KIND_BEGIN:
        out->kind = MESSAGE_BEGIN;
        out->begin.final_lsn = change->begin->final_lsn;
        out->begin.commit_time = change->begin->commit_time;
        out->begin.xid = change->begin->xid;
        return NULL;
    case PGRECAST__CHANGE__KIND_COMMIT:
        out->kind = MESSAGE_COMMIT;
        out->commit.commit_lsn = change->commit->commit_lsn;
        out->commit.end_lsn = change->commit->end_lsn;
        out->commit.commit_time = change->commit->commit_time;
        return NULL;
    case PGRECAST__CHANGE__KIND_TYPE:
        out->kind = MESSAGE_TYPE;
        out->type.oid = change->type->oid;
        out->type.schema = change->type->schema;
        out->type.name = change->type->name;
        return NULL;
    case PGRECAST__CHANGE__KIND_RELATION:
        return relation_take(u, change->relation, out);
    case PGRECAST__CHANGE__KIND_INSERT:
        return insert_take(u, change->insert, out);
    case PGRECAST__CHANGE__KIND_UPDATE:
        return update_take(u, change->update, out);
    case PGRECAST__CHANGE__KIND_DELETE:
        return delete_take(u, change->delete_, out);
    case PGRECAST__CHANGE__KIND_TRUNCATE:
        return truncate_take(u, change->truncate, out);
    case PGRECAST__CHANGE__KIND_MESSAGE:
        return logical_take(change->message, out);
    default:
        return "unknown kind of change";
    }
}

enum record_outcome
record_unpack(struct record_unpacker *u, const void *data, size_t len, struct message *message, lsn_t *lsn,
              const char **why)
{
    Pgrecast__Change *change;

    arena_reset(&u->arena);
    change = pgrecast__change__unpack(&u->allocator, len, data);
    if (change == NULL) {
        *why = "no valid protobuf message";
        return RECORD_BAD;
    }
    *lsn = change->lsn;
    if (change->kind_case == PGRECAST__CHANGE__KIND_PROGRESS)
        return RECORD_PROGRESS;
    memset(message, 0, sizeof(*message));
    *why = change_take(u, change, message);
    return *why == NULL ? RECORD_CHANGE : RECORD_BAD;
}
