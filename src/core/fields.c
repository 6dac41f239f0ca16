#include "core/fields.h"

#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/encoding.h"
#include "core/mem.h"

/* Where a value is: a field, or the item of that number in a list (-1: the field itself). */
struct slot {
    const struct field *field;
    enum field_kind kind;
    void *at;
    int number;
    const struct holder *in;
};

static struct slot
slot_of_field(const struct holder *in, const struct field *f)
{
    return (struct slot){f, f->kind, (char *)in->object + f->offset, -1, in};
}

static struct slot
slot_of_item(const struct slot *list, void *items, int number)
{
    const struct field *f = list->field;

    return (struct slot){f, f->item, (char *)items + (size_t)number * f->item_size, number, list->in};
}

static struct holder
holder_of(const struct slot *slot, const void *object)
{
    return (struct holder){slot->in, object, slot->field->name, slot->number};
}

/* Pointers of any type are read and written as bytes, because of the aliasing rules. */
static void *
pointer_at(const void *at)
{
    void *pointer;

    memcpy(&pointer, at, sizeof(pointer));
    return pointer;
}

static void
pointer_set(void *at, void *pointer)
{
    memcpy(at, &pointer, sizeof(pointer));
}

/* The next struct of a chain. */
static void *
link_of(const struct field *f, const void *object)
{
    return pointer_at((const char *)object + f->link_at);
}

static int
list_count(const struct slot *list)
{
    const struct field *f = list->field;

    return f->count != NULL ? f->count(list->in)
                            : *(const int *)((const char *)list->in->object + f->link_at);
}

/* Writing. */

static json_t *slot_json(const struct slot *slot);

static void
member_add(json_t *object, const char *name, json_t *value)
{
    if (json_object_set_new(object, name, mem_checked(value)) != 0)
        mem_checked(NULL);
}

static void
item_add(json_t *array, json_t *item)
{
    if (json_array_append_new(array, mem_checked(item)) != 0)
        mem_checked(NULL);
}

/*
 * A text that JSON cannot hold because it is no UTF-8, or that begins like one written in this form: its
 * bytes as hexadecimal digits.
 */
#define DIGITS_MARK '\1'

static json_t *
text_json(const char *text)
{
    json_t *json = text == NULL ? json_null() : text[0] != DIGITS_MARK ? json_string(text) : NULL;
    struct buffer digits = {0};

    if (json != NULL)
        return json;
    buffer_add_char(&digits, DIGITS_MARK);
    encoding_add_hex(&digits, text, strlen(text));
    json = json_string(digits.data);
    buffer_free(&digits);
    return json;
}

static json_t *
struct_json(const struct shape *shape, const struct holder *in)
{
    json_t *object = mem_checked(json_object());

    for (size_t i = 0; i < shape->field_count; i++) {
        struct slot slot = slot_of_field(in, &shape->fields[i]);

        member_add(object, shape->fields[i].name, slot_json(&slot));
    }
    return object;
}

static json_t *
held_json(const struct slot *slot, const void *object)
{
    struct holder holder = holder_of(slot, object);

    return object == NULL ? json_null() : struct_json(slot->field->shape, &holder);
}

static json_t *
list_json(const struct slot *list)
{
    void *items = pointer_at(list->at);
    json_t *array;

    if (items == NULL && list->field->count != NULL)
        return json_null();
    array = mem_checked(json_array());
    for (int i = 0; items != NULL && i < list_count(list); i++) {
        struct slot item = slot_of_item(list, items, i);

        item_add(array, slot_json(&item));
    }
    return array;
}

static json_t *
chain_json(const struct slot *slot)
{
    json_t *array = mem_checked(json_array());

    for (void *object = pointer_at(slot->at); object != NULL; object = link_of(slot->field, object))
        item_add(array, held_json(slot, object));
    return array;
}

static json_t *
slot_json(const struct slot *slot)
{
    switch (slot->kind) {
    case KIND_TEXT:
        return text_json(*(char *const *)slot->at);
    case KIND_BOOL:
        return json_boolean(*(const bool *)slot->at);
    case KIND_CHAR:
        return text_json((char[]){*(const char *)slot->at, '\0'});
    case KIND_INT:
        return json_integer(*(const int *)slot->at);
    case KIND_INT64:
        return json_integer(*(const int64_t *)slot->at);
    case KIND_UINT32:
        return json_integer(*(const uint32_t *)slot->at);
    case KIND_ENUM:
        return json_string(slot->field->names[*(const unsigned int *)slot->at]);
    case KIND_STRUCT:
        return held_json(slot, slot->at);
    case KIND_POINTER:
        return held_json(slot, pointer_at(slot->at));
    case KIND_CHAIN:
        return chain_json(slot);
    case KIND_LIST:
        return list_json(slot);
    }
    return NULL;
}

char *
fields_write(const struct shape *shape, int format, const void *object)
{
    json_t *json = struct_json(shape, &(struct holder){.object = object, .number = -1});
    char *text;

    if (format != FIELDS_NO_FORMAT)
        member_add(json, "format", json_integer(format));
    text = mem_checked(json_dumps(json, JSON_COMPACT));
    json_decref(json);
    return text;
}

/*
 * Reading. Whatever is allocated is stored in its place at once, so that fields_free() finds what was read by
 * half.
 */

static bool slot_read(const struct slot *slot, const json_t *json, struct error *err);

/* The path of the value that up holds under the name, and in a list under the number. */
static void
add_path(struct buffer *path, const struct holder *up, const char *name, int number)
{
    if (up != NULL) {
        add_path(path, up->up, up->name, up->number);
        buffer_add_char(path, '.');
    }
    buffer_printf(path, "%.64s", name); /* the name may come from the input */
    if (number >= 0)
        buffer_printf(path, "[%d]", number);
}

static bool
fields_refuse(const struct holder *up, const char *name, int number, const char *what, struct error *err)
{
    struct buffer path = {0};

    add_path(&path, up, name, number);
    error_set(err, ERROR_FAILED, "%s %s", path.data, what);
    buffer_free(&path);
    return false;
}

static bool
slot_refuse(const struct slot *slot, const char *what, struct error *err)
{
    return fields_refuse(slot->in, slot->field->name, slot->number, what, err);
}

static bool
text_read(const struct slot *slot, const json_t *json, struct error *err)
{
    const char *text = json_string_value(json);

    if (!json_is_string(json) && !json_is_null(json))
        return slot_refuse(slot, "is not a text", err);
    *(char **)slot->at = text != NULL && text[0] == DIGITS_MARK ? encoding_unhex(text + 1) : mem_strdup(text);
    return true;
}

static bool
char_read(const struct slot *slot, const json_t *json, struct error *err)
{
    const char *text = json_string_value(json);

    if (text == NULL || strlen(text) > 1)
        return slot_refuse(slot, "is not a single character", err);
    *(char *)slot->at = text[0];
    return true;
}

static bool
bool_read(const struct slot *slot, const json_t *json, struct error *err)
{
    if (!json_is_boolean(json))
        return slot_refuse(slot, "is not true or false", err);
    *(bool *)slot->at = json_is_true(json);
    return true;
}

static bool
number_read(const struct slot *slot, const json_t *json, struct error *err)
{
    int64_t min = slot->kind == KIND_INT ? INT_MIN : slot->kind == KIND_UINT32 ? 0 : INT64_MIN;
    int64_t max = slot->kind == KIND_INT ? INT_MAX : slot->kind == KIND_UINT32 ? UINT32_MAX : INT64_MAX;
    int64_t value = json_integer_value(json);

    if (!json_is_integer(json))
        return slot_refuse(slot, "is not a whole number", err);
    if (value < min || value > max)
        return slot_refuse(slot, "is out of range", err);
    if (slot->kind == KIND_INT)
        *(int *)slot->at = (int)value;
    else if (slot->kind == KIND_UINT32)
        *(uint32_t *)slot->at = (uint32_t)value;
    else
        *(int64_t *)slot->at = value;
    return true;
}

static bool
enum_read(const struct slot *slot, const json_t *json, struct error *err)
{
    const char *const *names = slot->field->names;

    for (unsigned int i = 0; json_is_string(json) && names[i] != NULL; i++)
        if (strcmp(names[i], json_string_value(json)) == 0) {
            *(unsigned int *)slot->at = i;
            return true;
        }
    return slot_refuse(slot, "is not one of its names", err);
}

static bool
has_field(const struct shape *shape, const char *name)
{
    for (size_t i = 0; i < shape->field_count; i++)
        if (strcmp(shape->fields[i].name, name) == 0)
            return true;
    return false;
}

static bool
struct_read(const struct shape *shape, const struct holder *in, const json_t *json, struct error *err)
{
    void *members = json_object_iter((json_t *)json);

    if (!json_is_object(json))
        return fields_refuse(in->up, in->name, in->number, "is not an object", err);
    for (size_t i = 0; i < shape->field_count; i++) {
        struct slot slot = slot_of_field(in, &shape->fields[i]);
        const json_t *member = json_object_get(json, shape->fields[i].name);

        if (member == NULL)
            return slot_refuse(&slot, "is missing", err);
        if (!slot_read(&slot, member, err))
            return false;
    }
    for (; members != NULL; members = json_object_iter_next((json_t *)json, members))
        if (!has_field(shape, json_object_iter_key(members)))
            return fields_refuse(in, json_object_iter_key(members), -1, "is unknown", err);
    return true;
}

static bool
held_read(const struct slot *slot, void *object, const json_t *json, struct error *err)
{
    struct holder holder = holder_of(slot, object);

    return struct_read(slot->field->shape, &holder, json, err);
}

static bool
pointer_read(const struct slot *slot, const json_t *json, struct error *err)
{
    if (json_is_null(json))
        return true;
    pointer_set(slot->at, mem_alloc(slot->field->shape->size));
    return held_read(slot, pointer_at(slot->at), json, err);
}

static bool
chain_read(const struct slot *slot, const json_t *json, struct error *err)
{
    struct slot item = *slot;

    if (!json_is_array(json))
        return slot_refuse(slot, "is not a list", err);
    for (size_t i = 0; i < json_array_size(json); i++) {
        char *object = mem_alloc(slot->field->shape->size);

        pointer_set(item.at, object);
        item.number = (int)i;
        if (i >= FIELDS_LIST_MAX || !held_read(&item, object, json_array_get(json, i), err))
            return i < FIELDS_LIST_MAX ? false : slot_refuse(slot, "is too long", err);
        item.at = object + slot->field->link_at;
    }
    return true;
}

static bool
list_read(const struct slot *list, const json_t *json, struct error *err)
{
    const struct field *f = list->field;
    size_t count = json_array_size(json);
    void *items;

    if (json_is_null(json) && f->count != NULL)
        return true;
    if (!json_is_array(json))
        return slot_refuse(list, "is not a list", err);
    if (count > FIELDS_LIST_MAX)
        return slot_refuse(list, "is too long", err);
    if (f->count != NULL && (int)count != f->count(list->in))
        return slot_refuse(list, "has not as many items as there must be", err);
    items = mem_alloc(count * f->item_size);
    pointer_set(list->at, items);
    if (f->count == NULL)
        *(int *)((char *)list->in->object + f->link_at) = (int)count;
    for (int i = 0; i < (int)count; i++) {
        struct slot item = slot_of_item(list, items, i);

        if (!slot_read(&item, json_array_get(json, (size_t)i), err))
            return false;
    }
    return true;
}

static bool
slot_read(const struct slot *slot, const json_t *json, struct error *err)
{
    switch (slot->kind) {
    case KIND_TEXT:
        return text_read(slot, json, err);
    case KIND_BOOL:
        return bool_read(slot, json, err);
    case KIND_CHAR:
        return char_read(slot, json, err);
    case KIND_INT:
    case KIND_INT64:
    case KIND_UINT32:
        return number_read(slot, json, err);
    case KIND_ENUM:
        return enum_read(slot, json, err);
    case KIND_STRUCT:
        return held_read(slot, slot->at, json, err);
    case KIND_POINTER:
        return pointer_read(slot, json, err);
    case KIND_CHAIN:
        return chain_read(slot, json, err);
    case KIND_LIST:
        return list_read(slot, json, err);
    }
    return slot_refuse(slot, "is of no kind", err);
}

/* Whether it is an object of this format; the number is removed, since it is no member. */
static bool
format_read(json_t *json, int format, const char *name, struct error *err)
{
    const json_t *number = json_object_get(json, "format");

    if (!json_is_object(json))
        return fields_refuse(NULL, name, -1, "is not an object", err);
    if (format == FIELDS_NO_FORMAT)
        return true;
    if (!json_is_integer(number))
        return error_set(err, ERROR_FAILED, "%s.format is %s", name,
                         number == NULL ? "missing" : "not a whole number");
    if (json_integer_value(number) != format)
        return error_set(err, ERROR_FAILED, "%s.format is %" JSON_INTEGER_FORMAT ", expected %d", name,
                         json_integer_value(number), format);
    json_object_del(json, "format");
    return true;
}

void *
fields_read(const struct shape *shape, int format, const char *json, const char *name, struct error *err)
{
    json_error_t why;
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, &why);
    void *object = NULL;

    if (root == NULL) {
        error_set(err, ERROR_FAILED, "%s is not JSON: byte %d: %s", name, why.position, why.text);
        return NULL;
    }
    if (format_read(root, format, name, err)) {
        object = mem_alloc(shape->size);
        if (!struct_read(shape, &(struct holder){NULL, object, name, -1}, root, err)) {
            fields_free(shape, object);
            object = NULL;
        }
    }
    json_decref(root);
    return object;
}

/* Freeing. */

static void slot_free(const struct slot *slot);

/* Last first: the count of a list must still be there when the list is freed. */
static void
struct_free(const struct shape *shape, const struct holder *in)
{
    for (size_t i = shape->field_count; i-- > 0;) {
        struct slot slot = slot_of_field(in, &shape->fields[i]);

        slot_free(&slot);
    }
}

static void
held_free(const struct slot *slot, void *object)
{
    struct holder holder = holder_of(slot, object);

    if (object != NULL)
        struct_free(slot->field->shape, &holder);
}

static void
list_free(const struct slot *list)
{
    void *items = pointer_at(list->at);

    for (int i = 0; items != NULL && i < list_count(list); i++) {
        struct slot item = slot_of_item(list, items, i);

        slot_free(&item);
    }
    free(items);
}

static void
slot_free(const struct slot *slot)
{
    void *object, *next;

    switch (slot->kind) {
    case KIND_TEXT:
        free(*(char **)slot->at);
        break;
    case KIND_STRUCT:
        held_free(slot, slot->at);
        break;
    case KIND_POINTER:
        held_free(slot, pointer_at(slot->at));
        free(pointer_at(slot->at));
        break;
    case KIND_CHAIN:
        for (object = pointer_at(slot->at); object != NULL; object = next) {
            next = link_of(slot->field, object);
            held_free(slot, object);
            free(object);
        }
        break;
    case KIND_LIST:
        list_free(slot);
        break;
    default:
        break;
    }
}

void
fields_free(const struct shape *shape, void *object)
{
    if (object != NULL)
        struct_free(shape, &(struct holder){.object = object, .number = -1});
    free(object);
}

void *
fields_copy(const struct shape *shape, const void *object)
{
    struct error err = {0};
    char *text = fields_write(shape, 0, object);
    /* it reads what it has written */
    void *copy = mem_checked(fields_read(shape, 0, text, shape->name, &err));

    free(text);
    return copy;
}
