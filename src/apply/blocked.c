#include "blocked.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "core/mem.h"

/* Job and number as parameters. */
struct owner_text {
    char job[24];
    char number[16];
};

static struct owner_text
owner_text(struct apply_owner owner)
{
    struct owner_text text;

    snprintf(text.job, sizeof(text.job), "%" PRId64, owner.job_id);
    snprintf(text.number, sizeof(text.number), "%d", owner.number);
    return text;
}

static bool
run_load(struct session *s, struct result *res, struct apply_owner owner, int key_count, struct error *err)
{
    struct owner_text id = owner_text(owner);
    struct buffer sql = {0};
    bool ok;

    buffer_add_text(&sql, "SELECT ");
    for (int i = 0; i < key_count; i++)
        buffer_printf(&sql, "%skey_values[%d]", i > 0 ? ", " : "", i + 1);
    buffer_printf(
        &sql,
        " FROM pgrecast.blocked WHERE job_id = $1 AND table_number = $2 AND "
        "pg_catalog.array_position(key_values, NULL) IS NULL AND pg_catalog.cardinality(key_values) = %d",
        key_count);
    ok = session_query(s, res, err, sql.data, 2, id.job, id.number);
    buffer_free(&sql);
    return ok ? true : error_context(err, "reading which rows are set aside");
}

bool
blocked_load(struct blocked *b, struct session *s, struct apply_owner owner, int key_count, struct error *err)
{
    char **values = mem_array(NULL, (size_t)key_count, sizeof(*values));
    struct result res = {0};
    struct buffer key = {0};
    bool ok = run_load(s, &res, owner, key_count, err);

    blocked_free(b);
    for (int i = 0; ok && i < result_rows(&res); i++) {
        for (int k = 0; k < key_count; k++)
            values[k] = (char *)result_text(&res, i, k);
        buffer_reset(&key);
        batch_encode_key(values, key_count, &key);
        keyset_add(&b->keys, key.data, (uint32_t)key.len);
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

/* An element of an array in SQL's text form; the closing brace is still to come. */
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
    char *text = batch_key_text(key, key_count);
    struct buffer array = {0};

    batch_key_values(key, key_count, values);
    for (int i = 0; i < key_count; i++)
        add_element(&array, values[i].data, values[i].len);
    buffer_add_char(&array, '}');
    keyset_add(&list->keys, key, len);
    add_element(&list->texts, text, strlen(text));
    add_element(&list->values, array.data, array.len);
    if (error != NULL)
        add_element(&list->errors, error, strlen(error));
    buffer_free(&array);
    free(text);
    free(values);
}

void
blocked_list_free(struct blocked_list *list)
{
    keyset_clear(&list->keys);
    buffer_free(&list->texts);
    buffer_free(&list->values);
    buffer_free(&list->errors);
}

static char *
closed(const struct buffer *array)
{
    return mem_printf("%s}", array->data);
}

bool
blocked_enter(struct blocked *b, const struct blocked_list *list, struct session *s, struct apply_owner owner,
              struct error *err)
{
    struct owner_text id = owner_text(owner);
    char *texts, *values, *errors;
    const char *key;
    uint32_t len;
    size_t at = 0;
    bool ok;

    if (list->keys.count == 0)
        return true;
    texts = closed(&list->texts);
    values = closed(&list->values);
    errors = closed(&list->errors);
    ok = session_query(s, NULL, err,
                       "INSERT INTO pgrecast.blocked AS b (job_id, table_number, key, key_values, error) "
                       "SELECT $1, $5, k, v::pg_catalog.text[], e FROM ROWS FROM ("
                       "pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[]), "
                       "pg_catalog.unnest($4::pg_catalog.text[])) AS u (k, v, e) "
                       "ON CONFLICT (job_id, table_number, key_values) DO UPDATE SET error = excluded.error "
                       "WHERE b.error <> excluded.error",
                       5, id.job, texts, values, errors, id.number);
    while (ok && keyset_next(&list->keys, &at, &key, &len))
        keyset_add(&b->keys, key, len);
    free(texts);
    free(values);
    free(errors);
    return ok ? true : error_context(err, "setting rows aside");
}

/* Nothing is known of these keys from an earlier look. */
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
               struct apply_owner owner, struct error *err)
{
    struct owner_text id = owner_text(owner);
    char *values;
    bool ok;

    if (list->keys.count == 0)
        return true;
    values = closed(&list->values);
    ok = session_query(
        s, NULL, err,
        "DELETE FROM pgrecast.blocked AS b USING pg_catalog.unnest($2::pg_catalog.text[]) AS u (v) "
        "WHERE b.job_id = $1 AND b.table_number = $3 AND b.key_values = u.v::pg_catalog.text[]",
        3, id.job, values, id.number);
    free(values);
    if (!ok)
        return error_context(err, "taking back rows that were set aside");
    keyset_remove_all(&b->keys, &list->keys, &b->at);
    forget(b, &list->keys);
    return true;
}

bool
blocked_remove_all(struct blocked *b, struct session *s, struct apply_owner owner, struct error *err)
{
    struct owner_text id = owner_text(owner);

    if (b->keys.count == 0)
        return true;
    if (!session_query(s, NULL, err, "DELETE FROM pgrecast.blocked WHERE job_id = $1 AND table_number = $2",
                       2, id.job, id.number))
        return error_context(err, "taking back rows that were set aside");
    blocked_free(b);
    return true;
}
