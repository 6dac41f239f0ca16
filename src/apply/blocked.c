#include "blocked.h"

#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "core/encoding.h"
#include "core/mem.h"
#include "state/blocked.h"

bool
blocked_load(struct blocked *b, struct session *s, struct state_table owner, int key_count, struct error *err)
{
    char **values = mem_array(NULL, (size_t)key_count, sizeof(*values));
    struct result res = {0};
    struct buffer key = {0};
    bool ok = state_blocked_keys(s, &owner, key_count, &res, err) ||
              error_context(err, "reading which rows are set aside");

    blocked_free(b);
    /* Read by position: the columns are those of the user's key, whose number varies. */
    for (int i = 0; ok && i < result_rows(&res); i++) {
        for (int k = 0; k < key_count; k++)
            values[k] = encoding_unhex(result_text(&res, i, k));
        buffer_reset(&key);
        batch_encode_key(values, key_count, &key);
        keyset_add(&b->keys, key.data, (uint32_t)key.len);
        for (int k = 0; k < key_count; k++)
            free(values[k]);
    }
    buffer_free(&key);
    result_free(&res);
    free(values);
    return ok;
}

void
blocked_free(struct blocked *b)
{
    keyset_clear(&b->keys);
    keyset_clear(&b->missing);
    keyset_clear(&b->gone);
    b->at = 0;
}

/* Add an element to an array in SQL's text form, without the closing brace. */
static void
add_element(struct buffer *array, const char *text, size_t len)
{
    buffer_add_text(array, array->len == 0 ? "{\"" : ",\"");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buffer_add_char(array, '\\');
        buffer_add_char(array, text[i]);
    }
    buffer_add_char(array, '"');
}

void
blocked_list_add(struct blocked_list *list, const char *key, uint32_t len, int key_count, const char *error)
{
    struct value *values = mem_array(NULL, (size_t)key_count, sizeof(*values));
    struct buffer array = {0}, digits = {0};

    batch_key_values(key, key_count, values);
    for (int i = 0; i < key_count; i++)
        add_element(&array, values[i].data, values[i].len);
    buffer_add_char(&array, '}');
    keyset_add(&list->keys, key, len);
    encoding_add_hex(&digits, array.data, array.len);
    add_element(&list->values, digits.data, digits.len);
    if (error != NULL)
        add_element(&list->errors, error, strlen(error));
    buffer_free(&array);
    buffer_free(&digits);
    free(values);
}

void
blocked_list_free(struct blocked_list *list)
{
    keyset_clear(&list->keys);
    buffer_free(&list->values);
    buffer_free(&list->errors);
}

static char *
closed(const struct buffer *array)
{
    return mem_printf("%s}", array->data);
}

bool
blocked_enter(struct blocked *b, const struct blocked_list *list, struct session *s, struct state_table owner,
              struct error *err)
{
    char *values, *errors;
    const char *key;
    uint32_t len;
    size_t at = 0;
    bool ok;

    if (list->keys.count == 0)
        return true;
    values = closed(&list->values);
    errors = closed(&list->errors);
    ok = state_blocked_enter(s, &owner, values, errors, err);
    while (ok && keyset_next(&list->keys, &at, &key, &len))
        keyset_add(&b->keys, key, len);
    free(values);
    free(errors);
    return ok ? true : error_context(err, "setting rows aside");
}

/* Forget what earlier lookups have found about these keys. */
static void
forget(struct blocked *b, const struct keyset *keys)
{
    size_t unused = 0;

    if (b->missing.count > 0)
        keyset_remove_all(&b->missing, keys, &unused);
    if (b->gone.count > 0)
        keyset_remove_all(&b->gone, keys, &unused);
}

void
blocked_look_begin(struct blocked *b, int64_t marker)
{
    const char *key;
    uint32_t len;
    size_t at = 0;

    if (marker <= b->looked)
        return;
    b->looked = marker;
    while (keyset_next(&b->missing, &at, &key, &len))
        keyset_add(&b->gone, key, len);
    keyset_clear(&b->missing);
}

bool
blocked_is_gone(const struct blocked *b, const char *key, uint32_t len)
{
    return keyset_has(&b->gone, key, len);
}

void
blocked_look_seen(struct blocked *b, const struct keyset *missing, const struct keyset *there)
{
    const char *key;
    uint32_t len;
    size_t at = 0;

    forget(b, there);
    while (keyset_next(missing, &at, &key, &len)) {
        if (!keyset_has(&b->gone, key, len))
            keyset_add(&b->missing, key, len);
    }
}

bool
blocked_remove(struct blocked *b, const struct blocked_list *list, struct session *s,
               struct state_table owner, struct error *err)
{
    char *values;
    bool ok;

    if (list->keys.count == 0)
        return true;
    values = closed(&list->values);
    ok = state_blocked_remove(s, &owner, values, err);
    free(values);
    if (!ok)
        return error_context(err, "taking back rows that were set aside");
    keyset_remove_all(&b->keys, &list->keys, &b->at);
    forget(b, &list->keys);
    return true;
}

bool
blocked_remove_all(struct blocked *b, struct session *s, struct state_table owner, struct error *err)
{
    if (b->keys.count == 0)
        return true;
    if (!state_blocked_remove(s, &owner, NULL, err))
        return error_context(err, "taking back rows that were set aside");
    blocked_free(b);
    return true;
}
