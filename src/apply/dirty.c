#include "dirty.h"

#include <stdlib.h>
#include <string.h>

#include "apply/apply.h"
#include "core/mem.h"
#include "flush.h"
#include "pg/redact.h"

#define COPY_PIECE (1024 * 1024)
#define FEW_KEYS 500

void
dirty_start(struct dirty *d)
{
    dirty_clear(d);
    d->recording = true;
}

void
dirty_clear(struct dirty *d)
{
    keyset_clear(&d->keys);
    keyset_clear(&d->loaded);
    memset(d, 0, sizeof(*d));
}

void
dirty_record(struct dirty *d, const struct batch *b)
{
    if (!d->recording)
        return;
    d->truncated = d->truncated || b->truncated;
    for (int i = 0; i < b->entry_count; i++)
        keyset_add(&d->keys, b->entries[i].key, b->entries[i].key_len);
}

void
dirty_move(struct dirty *to, struct dirty *from)
{
    const char *key;
    uint32_t len;
    size_t at = 0;

    to->recording = to->recording || from->recording;
    to->truncated = to->truncated || from->truncated;
    while (keyset_next(&from->keys, &at, &key, &len))
        keyset_add(&to->keys, key, len);
    dirty_clear(from);
}

bool
dirty_has(const struct dirty *d, int key_count, char *const *values)
{
    struct buffer key = {0};
    bool found;

    batch_encode_key(values, key_count, &key);
    found = keyset_has(&d->keys, key.data, (uint32_t)key.len);
    buffer_free(&key);
    return found;
}

void
dirty_add(struct dirty *d, int key_count, char *const *values)
{
    struct buffer key = {0};

    batch_encode_key(values, key_count, &key);
    keyset_add(&d->keys, key.data, (uint32_t)key.len);
    buffer_free(&key);
}

/* The first keys become the loaded ones, the others stay. */
static void
take_slice(struct dirty *d, int64_t most)
{
    struct keyset rest = {0};
    const char *key;
    uint32_t len;
    size_t at = 0;

    keyset_clear(&d->loaded);
    while (keyset_next(&d->keys, &at, &key, &len))
        keyset_add((int64_t)d->loaded.count < most ? &d->loaded : &rest, key, len);
    keyset_clear(&d->keys);
    d->keys = rest;
}

static void
dirty_add_line(struct buffer *text, const struct value *values, int key_count)
{
    for (int i = 0; i < key_count; i++) {
        if (i > 0)
            buffer_add_char(text, '\t');
        flush_add_value(text, &values[i]);
    }
    buffer_add_char(text, '\n');
}

static bool
copy_loaded(const struct dirty *d, struct session *s, int key_count, struct error *err)
{
    struct value *values = mem_array(NULL, (size_t)key_count, sizeof(*values));
    struct buffer text = {0};
    const char *key;
    uint32_t len;
    size_t at = 0;
    bool ok = true;

    while (ok && keyset_next(&d->loaded, &at, &key, &len)) {
        batch_key_values(key, key_count, values);
        dirty_add_line(&text, values, key_count);
        if (text.len >= COPY_PIECE) {
            ok = session_copy_in_data(s, err, text.data, text.len);
            buffer_reset(&text);
        }
    }
    ok = ok && (text.len == 0 || session_copy_in_data(s, err, text.data, text.len));
    buffer_free(&text);
    free(values);
    return ok;
}

bool
dirty_load(struct dirty *d, struct session *s, const char *table, int key_count, int64_t most,
           struct error *err)
{
    struct buffer copy = {0};
    bool ok;

    buffer_printf(&copy, "COPY %s FROM STDIN", table);
    statement_add_copy_options(&copy, session_encoding(s));
    take_slice(d, most);
    ok = session_copy_in_begin(s, err, copy.data);
    if (ok) {
        ok = copy_loaded(d, s, key_count, err);
        ok = session_copy_in_end(s, err, !ok) && ok;
    }
    if (!ok)
        error_redact(err);
    buffer_free(&copy);
    return ok;
}

/* For few rows DELETE is used, because TRUNCATE gives the table new storage, which costs more. */
bool
dirty_unload(const struct dirty *d, struct session *s, const char *table, struct error *err)
{
    return session_executef(s, err, d->loaded.count <= FEW_KEYS ? "DELETE FROM %s" : "TRUNCATE %s", table);
}

void
dirty_restore(struct dirty *d)
{
    const char *key;
    uint32_t len;
    size_t at = 0;

    while (keyset_next(&d->loaded, &at, &key, &len))
        keyset_add(&d->keys, key, len);
    keyset_clear(&d->loaded);
}
