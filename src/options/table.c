/* Functions on all options of a table: defaults, freeing, and the JSON of the stored ones. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "options/option.h"
#include "value.h"

static bool
table_is_text(const struct option_spec *o)
{
    return o->kind == OPTION_TEXT || o->kind == OPTION_NAME || o->kind == OPTION_FILE ||
           o->kind == OPTION_DIRECTORY;
}

void
options_set_standard(const struct option_table *table, void *object)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *o = &table->options[i];

        if (!table_is_text(o) && o->kind != OPTION_TEXTS)
            option_put(o, option_standard(o), object);
    }
}

static void
texts_free(const struct option_spec *o, void *object)
{
    char *at = (char *)object + o->to.offset, **items;
    int *count = (int *)((char *)object + o->to.link_at);

    memcpy(&items, at, sizeof(items));
    for (int i = 0; i < *count; i++)
        free(items[i]);
    free(items);
    memset(at, 0, sizeof(items));
    *count = 0;
}

/* Two entries may have the same member, for commands that describe it differently. */
void
options_free(const struct option_table *table, void *object)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *o = &table->options[i];
        char **text = (char **)((char *)object + o->to.offset);

        if (o->kind == OPTION_TEXTS) {
            texts_free(o, object);
        } else if (table_is_text(o)) {
            free(*text);
            *text = NULL;
        }
    }
}

/*
 * The stored options as a struct described by data; its object is the whole struct. The caller frees .fields.
 */
static struct shape
stored_shape(const struct option_table *table)
{
    struct field *fields = mem_alloc((table->count + 1) * sizeof(*fields));
    size_t count = 0;

    for (size_t i = 0; i < table->count; i++) {
        if (table->options[i].stored)
            fields[count++] = table->options[i].to;
    }
    return (struct shape){.name = "options", .size = table->size, .fields = fields, .field_count = count};
}

char *
options_write(const struct option_table *table, const void *object)
{
    struct shape shape = stored_shape(table);
    char *text = fields_write(&shape, FIELDS_NO_FORMAT, object);

    free((void *)shape.fields);
    return text;
}

static bool
check_values(const struct option_table *table, const void *object, struct error *err)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct option_spec *o = &table->options[i];

        if (o->stored && !option_may_be(o, option_get(o, object)))
            return error_set(err, ERROR_FAILED, "options.%s is out of range", o->to.name);
    }
    return true;
}

bool
options_read(const struct option_table *table, void *object, const char *json, struct error *err)
{
    struct shape shape = stored_shape(table);
    void *read = fields_read(&shape, FIELDS_NO_FORMAT, json, shape.name, err);
    bool ok = read != NULL && check_values(table, read, err);

    for (size_t i = 0; ok && i < table->count; i++) {
        const struct option_spec *o = &table->options[i];

        if (o->stored)
            option_put(o, option_get(o, read), object);
    }
    fields_free(&shape, read);
    free((void *)shape.fields);
    return ok;
}
