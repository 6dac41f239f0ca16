#include "describe.h"

#include <inttypes.h>

static void
describe_bytes(const char *data, size_t len, struct buffer *out)
{
    buffer_printf(out, "%zu:", len);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];

        if (len > 100 && i == 10) {
            uint64_t sum = 0;

            for (size_t j = 0; j < len; j++)
                sum = sum * 31 + (unsigned char)data[j];
            buffer_printf(out, "..%" PRIx64, sum);
            break;
        }
        buffer_printf(out, c >= 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
    }
}

static void
describe_tuple(const char *name, const struct tuple *tuple, struct buffer *out)
{
    buffer_printf(out, " %s(", name);
    for (uint16_t i = 0; i < tuple->count; i++) {
        const struct value *value = &tuple->values[i];

        buffer_printf(out, "%s%c", i > 0 ? " " : "", value->kind);
        if (value->kind == VALUE_TEXT || value->kind == VALUE_BINARY)
            describe_bytes(value->data, value->len, out);
    }
    buffer_add_text(out, ")");
}

static void
describe_row(const char *name, const struct message *m, struct buffer *out)
{
    buffer_printf(out, "%s %" PRIu32, name, m->row.relation);
    if (m->row.has_old)
        describe_tuple(m->row.old_is_full ? "old" : "key", &m->row.old_row, out);
    if (m->kind != MESSAGE_DELETE)
        describe_tuple("new", &m->row.new_row, out);
}

static void
describe_relation(const struct message *m, struct buffer *out)
{
    buffer_printf(out, "RELATION %" PRIu32 " %s.%s %c", m->relation.oid, m->relation.schema, m->relation.name,
                  m->relation.replica_identity);
    for (uint16_t i = 0; i < m->relation.column_count; i++) {
        const struct relation_column *column = &m->relation.columns[i];

        buffer_printf(out, " (%s%s %" PRIu32 " %" PRId32 ")", column->key ? "*" : "", column->name,
                      column->type_oid, column->typmod);
    }
}

static void
describe_truncate(const struct message *m, struct buffer *out)
{
    buffer_add_text(out, "TRUNCATE");
    for (uint32_t i = 0; i < m->truncate.relation_count; i++)
        buffer_printf(out, " %" PRIu32, message_truncate_relation(m, i));
    buffer_printf(out, "%s%s", m->truncate.cascade ? " cascade" : "",
                  m->truncate.restart_identity ? " restart" : "");
}

static void
describe_logical(const struct message *m, struct buffer *out)
{
    char lsn[LSN_TEXT_SIZE];

    buffer_printf(out, "MESSAGE %s %s %s ", m->logical.transactional ? "within" : "outside",
                  lsn_format(m->logical.lsn, lsn), m->logical.prefix);
    describe_bytes(m->logical.content, m->logical.len, out);
}

void
message_describe(const struct message *m, struct buffer *out)
{
    char a[LSN_TEXT_SIZE], b[LSN_TEXT_SIZE];

    switch (m->kind) {
    case MESSAGE_BEGIN:
        buffer_printf(out, "BEGIN %s %" PRId64 " %" PRIu32, lsn_format(m->begin.final_lsn, a),
                      m->begin.commit_time, m->begin.xid);
        break;
    case MESSAGE_COMMIT:
        buffer_printf(out, "COMMIT %s %s %" PRId64, lsn_format(m->commit.commit_lsn, a),
                      lsn_format(m->commit.end_lsn, b), m->commit.commit_time);
        break;
    case MESSAGE_ORIGIN:
        buffer_printf(out, "ORIGIN %s %s", lsn_format(m->origin.lsn, a), m->origin.name);
        break;
    case MESSAGE_RELATION:
        describe_relation(m, out);
        break;
    case MESSAGE_TYPE:
        buffer_printf(out, "TYPE %" PRIu32 " %s.%s", m->type.oid, m->type.schema, m->type.name);
        break;
    case MESSAGE_INSERT:
        describe_row("INSERT", m, out);
        break;
    case MESSAGE_UPDATE:
        describe_row("UPDATE", m, out);
        break;
    case MESSAGE_DELETE:
        describe_row("DELETE", m, out);
        break;
    case MESSAGE_TRUNCATE:
        describe_truncate(m, out);
        break;
    case MESSAGE_LOGICAL:
        describe_logical(m, out);
        break;
    case MESSAGE_IGNORED:
        buffer_add_text(out, "IGNORED");
        break;
    }
    buffer_add_char(out, '\n');
}
