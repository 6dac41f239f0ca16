#include "json_record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/encoding.h"
#include "core/mem.h"

/* A table as its last Relation message has described it. */
struct known_table {
    uint32_t oid;
    char *schema;
    char *name;
    int column_count;
    char **columns;
};

struct json_writer {
    FILE *out;
    const char *encoding; /* encoding of the current record */
    int count;
    struct known_table *tables;
};

struct json_writer *
json_writer_new(FILE *out)
{
    struct json_writer *w = mem_alloc(sizeof(*w));

    w->out = out;
    return w;
}

static void
clear_table(struct known_table *t)
{
    for (int i = 0; i < t->column_count; i++)
        free(t->columns[i]);
    free(t->columns);
    free(t->schema);
    free(t->name);
    memset(t, 0, sizeof(*t));
}

void
json_writer_free(struct json_writer *w)
{
    if (w == NULL)
        return;
    for (int i = 0; i < w->count; i++)
        clear_table(&w->tables[i]);
    free(w->tables);
    free(w);
}

static const struct known_table *
json_record_find_table(const struct json_writer *w, uint32_t oid)
{
    for (int i = 0; i < w->count; i++) {
        if (w->tables[i].oid == oid)
            return &w->tables[i];
    }
    return NULL;
}

static void
remember(struct json_writer *w, const struct message *m)
{
    struct known_table *t = (struct known_table *)json_record_find_table(w, m->relation.oid);

    if (t == NULL) {
        w->tables = mem_array(w->tables, (size_t)w->count + 1, sizeof(*w->tables));
        t = &w->tables[w->count++];
        memset(t, 0, sizeof(*t));
    }
    clear_table(t);
    t->oid = m->relation.oid;
    t->schema = mem_strdup(m->relation.schema);
    t->name = mem_strdup(m->relation.name);
    t->columns = mem_array(NULL, (size_t)m->relation.column_count + 1, sizeof(*t->columns));
    for (; t->column_count < m->relation.column_count; t->column_count++)
        t->columns[t->column_count] = mem_strdup(m->relation.columns[t->column_count].name);
}

static json_t *
lsn_json(lsn_t lsn)
{
    char text[LSN_TEXT_SIZE];

    return json_string(lsn_format(lsn, text));
}

/* A text that has no form in UTF-8 becomes an object: no other value is an object. */
static json_t *
bytes_json(const struct json_writer *w, const char *data, size_t len)
{
    struct buffer text = {0};
    json_t *json = NULL;

    if (w->encoding == NULL)
        json = json_stringn(data, len);
    else if (encoding_to_utf8(w->encoding, data, len, &text))
        json = json_stringn(text.len > 0 ? text.data : "", text.len);
    if (json == NULL) {
        buffer_reset(&text);
        buffer_add_text(&text, "");
        encoding_add_hex(&text, data, len);
        json = json_pack("{s:s}", "hex", text.data);
    }
    buffer_free(&text);
    return json;
}

/* Values by column. A value that an update left unchanged is omitted; its column is listed by name. */
static json_t *
tuple_json(const struct json_writer *w, const struct known_table *t, const struct tuple *row,
           json_t *unchanged)
{
    json_t *object = json_object();

    for (int i = 0; i < row->count; i++) {
        char number[16];
        const char *name = t != NULL && i < t->column_count ? t->columns[i] : number;
        const struct value *v = &row->values[i];

        snprintf(number, sizeof(number), "%d", i + 1);
        if (v->kind == VALUE_UNCHANGED)
            json_array_append_new(unchanged, json_string(name));
        else
            json_object_set_new_nocheck(object, name,
                                        v->kind == VALUE_NULL ? json_null() : bytes_json(w, v->data, v->len));
    }
    return object;
}

static void
add_row(const struct json_writer *w, json_t *object, const struct message *m)
{
    const struct known_table *t = json_record_find_table(w, m->row.relation);
    json_t *unchanged = json_array();

    if (t != NULL) {
        json_object_set_new(object, "schema", json_string(t->schema));
        json_object_set_new(object, "table", json_string(t->name));
    } else {
        json_object_set_new(object, "relation", json_integer(m->row.relation));
    }
    if (m->row.has_old)
        json_object_set_new(object, m->row.old_is_full ? "old_row" : "old_key",
                            tuple_json(w, t, &m->row.old_row, unchanged));
    if (m->kind != MESSAGE_DELETE)
        json_object_set_new(object, "new_row", tuple_json(w, t, &m->row.new_row, unchanged));
    if (json_array_size(unchanged) > 0)
        json_object_set(object, "unchanged", unchanged);
    json_decref(unchanged);
}

static void
json_record_add_relation(json_t *object, const struct message *m)
{
    json_t *columns = json_array();

    for (int i = 0; i < m->relation.column_count; i++) {
        const struct relation_column *c = &m->relation.columns[i];

        json_array_append_new(columns, json_pack("{s:s, s:I, s:i, s:b}", "name", c->name, "type_oid",
                                                 (json_int_t)c->type_oid, "typmod", (int)c->typmod, "key",
                                                 (int)c->key));
    }
    json_object_set_new(object, "oid", json_integer(m->relation.oid));
    json_object_set_new(object, "schema", json_string(m->relation.schema));
    json_object_set_new(object, "table", json_string(m->relation.name));
    json_object_set_new(object, "replica_identity", json_stringn(&m->relation.replica_identity, 1));
    json_object_set_new(object, "columns", columns);
}

static void
add_truncate(const struct json_writer *w, json_t *object, const struct message *m)
{
    json_t *tables = json_array();

    for (uint32_t i = 0; i < m->truncate.relation_count; i++) {
        const struct known_table *t = json_record_find_table(w, message_truncate_relation(m, i));

        json_array_append_new(tables, t == NULL
                                          ? json_integer(message_truncate_relation(m, i))
                                          : json_pack("{s:s, s:s}", "schema", t->schema, "table", t->name));
    }
    json_object_set_new(object, "tables", tables);
    json_object_set_new(object, "cascade", json_boolean(m->truncate.cascade));
    json_object_set_new(object, "restart_identity", json_boolean(m->truncate.restart_identity));
}

static void
add_logical(const struct json_writer *w, json_t *object, const struct message *m)
{
    json_object_set_new(object, "transactional", json_boolean(m->logical.transactional));
    json_object_set_new(object, "prefix", json_string(m->logical.prefix));
    json_object_set_new(object, "content", bytes_json(w, m->logical.content, m->logical.len));
}

void
json_writer_write(struct json_writer *w, const struct message *m, lsn_t lsn, const char *encoding)
{
    static const char *const kinds[] = {
        [MESSAGE_BEGIN] = "begin",       [MESSAGE_COMMIT] = "commit",   [MESSAGE_ORIGIN] = "origin",
        [MESSAGE_RELATION] = "relation", [MESSAGE_TYPE] = "type",       [MESSAGE_INSERT] = "insert",
        [MESSAGE_UPDATE] = "update",     [MESSAGE_DELETE] = "delete",   [MESSAGE_TRUNCATE] = "truncate",
        [MESSAGE_LOGICAL] = "message",   [MESSAGE_IGNORED] = "ignored",
    };
    json_t *object = json_pack("{s:s}", "kind", kinds[m->kind]);

    w->encoding = encoding;
    json_object_set_new(object, "lsn", lsn_json(lsn));
    switch (m->kind) {
    case MESSAGE_BEGIN:
        json_object_set_new(object, "xid", json_integer(m->begin.xid));
        json_object_set_new(object, "final_lsn", lsn_json(m->begin.final_lsn));
        json_object_set_new(object, "commit_time", json_integer(m->begin.commit_time));
        break;
    case MESSAGE_COMMIT:
        json_object_set_new(object, "commit_lsn", lsn_json(m->commit.commit_lsn));
        json_object_set_new(object, "end_lsn", lsn_json(m->commit.end_lsn));
        json_object_set_new(object, "commit_time", json_integer(m->commit.commit_time));
        break;
    case MESSAGE_RELATION:
        remember(w, m);
        json_record_add_relation(object, m);
        break;
    case MESSAGE_TYPE:
        json_object_set_new(object, "oid", json_integer(m->type.oid));
        json_object_set_new(object, "schema", json_string(m->type.schema));
        json_object_set_new(object, "name", json_string(m->type.name));
        break;
    case MESSAGE_INSERT:
    case MESSAGE_UPDATE:
    case MESSAGE_DELETE:
        add_row(w, object, m);
        break;
    case MESSAGE_TRUNCATE:
        add_truncate(w, object, m);
        break;
    case MESSAGE_LOGICAL:
        add_logical(w, object, m);
        break;
    case MESSAGE_ORIGIN:
    case MESSAGE_IGNORED:
        break;
    }
    json_dumpf(object, w->out, JSON_COMPACT | JSON_PRESERVE_ORDER);
    fputc('\n', w->out);
    json_decref(object);
}
