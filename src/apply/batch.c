#include "batch.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "core/count.h"
#include "core/encoding.h"
#include "core/mem.h"

#define ARENA_BLOCK (1024 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    char data[];
};

static void *
arena_get(struct batch *b, size_t len)
{
    size_t need = (len + 7) & ~(size_t)7;
    struct arena_block *block = b->arena;
    void *at;

    if (block == NULL || block->size - block->used < need) {
        size_t size = need > ARENA_BLOCK ? need : ARENA_BLOCK;

        block = mem_realloc(NULL, sizeof(*block) + size);
        block->used = 0;
        block->size = size;
        block->next = b->arena;
        b->arena = block;
    }
    at = block->data + block->used;
    block->used += need;
    b->bytes += need;
    return at;
}

/*
 * Keep one block of ordinary size for the next batch, so that a stream of small batches needs no allocation.
 */
static void
arena_reset(struct batch *b)
{
    struct arena_block *keep = NULL;

    while (b->arena != NULL) {
        struct arena_block *next = b->arena->next;

        if (keep == NULL && b->arena->size == ARENA_BLOCK) {
            keep = b->arena;
            keep->next = NULL;
            keep->used = 0;
        } else {
            free(b->arena);
        }
        b->arena = next;
    }
    b->arena = keep;
}

void
batch_init(struct batch *b, int column_count, int key_count, const int *key_positions)
{
    memset(b, 0, sizeof(*b));
    b->column_count = column_count;
    b->key_count = key_count;
    b->key_positions = key_positions;
    b->masks = mem_alloc((size_t)column_count);
    b->mask_count = 1;
}

void
batch_leave_to_source(struct batch *b, const bool *columns)
{
    bool any = false;

    for (int i = 0; i < b->column_count; i++)
        any = any || columns[i];
    b->only_in_source = any ? columns : NULL;
}

void
batch_reset(struct batch *b)
{
    arena_reset(b);
    b->entry_count = 0;
    b->truncated = false;
    b->changes = 0;
    b->bytes = 0;
    b->mask_count = 1;
    if (b->slots != NULL)
        memset(b->slots, 0, b->slot_count * sizeof(*b->slots));
}

void
batch_free(struct batch *b)
{
    batch_reset(b);
    free(b->arena);
    free(b->entries);
    free(b->slots);
    free(b->masks);
    memset(b, 0, sizeof(*b));
}

void
batch_truncate(struct batch *b)
{
    uint64_t changes = b->changes + 1;

    batch_reset(b);
    b->truncated = true;
    b->changes = changes;
}

/*
 * Append the bytes of a row's key to the arena. False where a key column has no value: then the row has no
 * key.
 */
static bool
encode_key(struct batch *b, const struct tuple *row, char **key, uint32_t *len)
{
    size_t size = 0;
    char *at;

    for (int i = 0; i < b->key_count; i++) {
        const struct value *v = &row->values[b->key_positions[i]];

        if (v->kind != VALUE_TEXT)
            return false;
        size += 1 + sizeof(v->len) + v->len;
    }
    *key = at = arena_get(b, size);
    *len = (uint32_t)size;
    for (int i = 0; i < b->key_count; i++) {
        const struct value *v = &row->values[b->key_positions[i]];

        *at++ = (char)v->kind;
        memcpy(at, &v->len, sizeof(v->len));
        memcpy(at + sizeof(v->len), v->data, v->len);
        at += sizeof(v->len) + v->len;
    }
    return true;
}

void
batch_key_values(const char *key, int key_count, struct value *values)
{
    for (int i = 0; i < key_count; i++) {
        values[i].kind = (enum value_kind)key[0];
        memcpy(&values[i].len, key + 1, sizeof(values[i].len));
        values[i].data = key + 1 + sizeof(values[i].len);
        key = values[i].data + values[i].len;
    }
}

void
batch_encode_key(char *const *values, int key_count, struct buffer *key)
{
    for (int i = 0; i < key_count; i++) {
        uint32_t len = (uint32_t)strlen(values[i]);

        buffer_add_char(key, VALUE_TEXT);
        buffer_add(key, &len, sizeof(len));
        buffer_add(key, values[i], len);
    }
}

char *
batch_key_text(const char *key, int key_count, const char *encoding)
{
    struct value *values = mem_array(NULL, (size_t)key_count, sizeof(*values));
    struct buffer text = {0};
    char *shown;

    batch_key_values(key, key_count, values);
    buffer_add_char(&text, '(');
    for (int i = 0; i < key_count; i++) {
        if (i > 0)
            buffer_add_text(&text, ", ");
        buffer_add(&text, values[i].data, values[i].len);
    }
    buffer_add_char(&text, ')');
    shown = encoding_shown(encoding, text.data, text.len);
    buffer_free(&text);
    free(values);
    return shown;
}

static size_t
batch_find_slot(const struct batch *b, uint64_t hash, const char *key, uint32_t len)
{
    size_t mask = b->slot_count - 1, slot = hash & mask;

    for (; b->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct batch_entry *e = &b->entries[b->slots[slot] - 1];

        if (e->hash == hash && e->key_len == len && memcmp(e->key, key, len) == 0)
            break;
    }
    return slot;
}

static void
batch_grow(struct batch *b)
{
    free(b->slots);
    b->slot_count = b->slot_count > 0 ? b->slot_count * 2 : 4096;
    b->slots = mem_alloc(b->slot_count * sizeof(*b->slots));
    for (int i = 0; i < b->entry_count; i++) {
        const struct batch_entry *e = &b->entries[i];

        b->slots[batch_find_slot(b, e->hash, e->key, e->key_len)] = i + 1;
    }
}

/* Find the entry of the row's key, or make it. -1 when the row has no key. */
static int
find_entry(struct batch *b, const struct tuple *row, bool *fresh)
{
    struct batch_entry *e;
    uint64_t hash;
    uint32_t len;
    size_t slot;
    char *key;

    if (!encode_key(b, row, &key, &len))
        return -1;
    if ((size_t)b->entry_count * 2 >= b->slot_count)
        batch_grow(b);
    hash = XXH3_64bits(key, len);
    slot = batch_find_slot(b, hash, key, len);
    *fresh = b->slots[slot] == 0;
    if (!*fresh)
        return b->slots[slot] - 1;
    if (b->entry_count == b->entry_cap) {
        b->entry_cap = b->entry_cap > 0 ? b->entry_cap * 2 : 1024;
        b->entries = mem_array(b->entries, (size_t)b->entry_cap, sizeof(*b->entries));
    }
    b->slots[slot] = b->entry_count + 1;
    e = &b->entries[b->entry_count];
    *e = (struct batch_entry){.hash = hash, .key = key, .key_len = len, .base = b->entry_count};
    return b->entry_count++;
}

/* Copy the row's values. Values left unchanged come from the image before, where the batch has one. */
static struct value *
copy_values(struct batch *b, const struct tuple *row, const struct value *before)
{
    struct value *values = arena_get(b, (size_t)b->column_count * sizeof(*values));

    for (int i = 0; i < b->column_count; i++) {
        values[i] = row->values[i];
        if (b->only_in_source != NULL && b->only_in_source[i])
            values[i] = (struct value){.kind = VALUE_UNCHANGED};
        if (values[i].kind == VALUE_UNCHANGED && before != NULL) {
            values[i] = before[i];
        } else if (values[i].kind == VALUE_TEXT) {
            char *data = arena_get(b, values[i].len);

            memcpy(data, row->values[i].data, values[i].len);
            values[i].data = data;
        }
    }
    return values;
}

static bool
no_key(struct error *err)
{
    return error_set(err, ERROR_FAILED,
                     "a change in the stream has no key: was the replica identity changed?");
}

static bool
add_insert(struct batch *b, const struct tuple *row, struct error *err)
{
    bool fresh;
    int at = find_entry(b, row, &fresh);

    if (at < 0)
        return no_key(err);
    b->entries[at].values = copy_values(b, row, NULL);
    b->entries[at].row = true;
    b->entries[at].base = BATCH_NO_BASE;
    return true;
}

static bool
add_delete(struct batch *b, const struct tuple *old_row, struct error *err)
{
    bool fresh;
    int at = find_entry(b, old_row, &fresh);

    if (at < 0)
        return no_key(err);
    b->entries[at].values = NULL;
    b->entries[at].row = false;
    b->entries[at].base = at;
    return true;
}

static bool
add_update(struct batch *b, const struct message *m, struct error *err)
{
    bool fresh_from = false, fresh_to;
    int from = -1, to, base;
    const struct value *before = NULL;

    if (m->row.has_old) {
        from = find_entry(b, &m->row.old_row, &fresh_from);
        if (from < 0)
            return no_key(err);
    }
    to = find_entry(b, &m->row.new_row, &fresh_to);
    if (to < 0)
        return no_key(err);
    if (from < 0)
        from = to;
    if (b->entries[from].row)
        before = b->entries[from].values;
    base = b->entries[from].base;
    if (from != to) {
        b->entries[from].row = false;
        b->entries[from].base = from;
    }
    b->entries[to].values = copy_values(b, &m->row.new_row, before);
    b->entries[to].row = true;
    b->entries[to].base = base;
    if (from != to)
        b->entries[from].values = NULL;
    return true;
}

bool
batch_add(struct batch *b, const struct message *m, struct error *err)
{
    bool has_new = m->kind != MESSAGE_DELETE;

    if ((has_new && m->row.new_row.count != b->column_count) ||
        (m->row.has_old && m->row.old_row.count != b->column_count))
        return error_set(err, ERROR_FAILED, "a change in the stream does not have the table's %d %s",
                         b->column_count, count_word(b->column_count, "column", "columns"));
    b->changes++;
    switch (m->kind) {
    case MESSAGE_INSERT:
        return add_insert(b, &m->row.new_row, err);
    case MESSAGE_UPDATE:
        return add_update(b, m, err);
    case MESSAGE_DELETE:
        return m->row.has_old ? add_delete(b, &m->row.old_row, err) : no_key(err);
    default:
        return error_set(err, ERROR_FAILED, "not a row change (message %d)", (int)m->kind);
    }
}

static int
find_mask(struct batch *b, const bool *unchanged)
{
    size_t width = (size_t)b->column_count;

    for (int i = 0; i < b->mask_count; i++) {
        if (memcmp(b->masks + (size_t)i * width, unchanged, width) == 0)
            return i;
    }
    b->masks = mem_array(b->masks, (size_t)b->mask_count + 1, width);
    memcpy(b->masks + (size_t)b->mask_count * width, unchanged, width);
    return b->mask_count++;
}

void
batch_close(struct batch *b)
{
    bool *unchanged = mem_alloc((size_t)b->column_count);

    for (int i = 0; i < b->entry_count; i++) {
        struct batch_entry *e = &b->entries[i];

        e->mask = 0;
        if (!e->row)
            continue;
        for (int c = 0; c < b->column_count; c++)
            unchanged[c] = e->values[c].kind == VALUE_UNCHANGED;
        e->mask = find_mask(b, unchanged);
    }
    free(unchanged);
}

/*
 * The mask includes the key columns: a table may have no others, and each row must be looked for in the
 * source.
 */
void
batch_read_all(struct batch *b)
{
    bool *all = mem_alloc((size_t)b->column_count);
    int mask;

    memset(all, true, (size_t)b->column_count);
    mask = find_mask(b, all);
    for (int i = 0; i < b->entry_count; i++) {
        if (b->entries[i].row)
            b->entries[i].mask = mask;
    }
    free(all);
}

const bool *
batch_mask(const struct batch *b, int mask)
{
    return b->masks + (size_t)mask * (size_t)b->column_count;
}
