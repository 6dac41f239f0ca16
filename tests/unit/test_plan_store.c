/* A plan set as JSON and back (src/plan/store.c, src/core/fields.c): nothing lost, nothing strange let in. */
#include "support.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "catalog/fields.h"
#include "core/mem.h"
#include "plan/plan.h"
#include "store.h"

/*
 * A set whose fields all have a value of their own. The fields tell what there is to fill, so that a new one
 * is tested without a line here.
 */
struct filler {
    int items; /* of each list */
    int next;  /* the next value */
};

static void fill_struct(struct filler *filler, const struct shape *shape, const struct holder *in);

static void
fill_held(struct filler *filler, const struct field *f, void *object, const struct holder *in)
{
    fill_struct(filler, f->shape, &(struct holder){in, object, f->name, -1});
}

static void
fill_scalar(struct filler *filler, const struct field *f, enum field_kind kind, void *at)
{
    int value = filler->next++;

    if (kind == KIND_TEXT)
        *(char **)at = mem_printf("%s \"%d\"\n\x01 größer", f->name, value);
    else if (kind == KIND_BOOL)
        *(bool *)at = value % 3 == 0;
    else if (kind == KIND_CHAR)
        *(char *)at = (char)(value % 5 == 0 ? '\0' : 'a' + value % 26);
    else if (kind == KIND_INT)
        *(int *)at = value % 2 == 0 ? INT32_MAX - value : INT32_MIN + value;
    else if (kind == KIND_INT64)
        *(int64_t *)at = value % 2 == 0 ? INT64_MAX - value : INT64_MIN + value;
    else if (kind == KIND_UINT32)
        *(uint32_t *)at = UINT32_MAX - (uint32_t)value;
    else if (kind == KIND_ENUM)
        *(unsigned int *)at = f->names[1 + value % 3] != NULL ? 1U + (unsigned int)value % 3 : 0;
    else
        fail_msg("%s is of a kind that the test does not know", f->name);
}

static void
fill_list(struct filler *filler, const struct field *f, const struct holder *in)
{
    char *object = (char *)in->object;
    int count = f->count != NULL ? f->count(in) : filler->items;
    char *items = mem_alloc((size_t)count * f->item_size);

    memcpy(object + f->offset, &items, sizeof(items));
    if (f->count == NULL)
        *(int *)(object + f->link_at) = count;
    for (int i = 0; i < count; i++) {
        char *item = items + (size_t)i * f->item_size;

        if (f->item == KIND_STRUCT)
            fill_held(filler, f, item, in);
        else
            fill_scalar(filler, f, f->item, item);
    }
}

static void
fill_pointer(struct filler *filler, const struct field *f, void *at, const struct holder *in)
{
    int count = f->kind == KIND_CHAIN ? filler->items : 1;

    assert_int_equal(f->shape->size, f->item_size);
    for (int i = 0; i < count; i++) {
        char *object = mem_alloc(f->shape->size);

        memcpy(at, &object, sizeof(object));
        fill_held(filler, f, object, in);
        at = object + f->link_at;
    }
}

static void
fill_struct(struct filler *filler, const struct shape *shape, const struct holder *in)
{
    for (size_t i = 0; i < shape->field_count; i++) {
        const struct field *f = &shape->fields[i];
        char *at = (char *)in->object + f->offset;

        if (f->kind == KIND_LIST)
            fill_list(filler, f, in);
        else if (f->kind == KIND_STRUCT)
            fill_held(filler, f, at, in);
        else if (f->kind == KIND_POINTER || f->kind == KIND_CHAIN)
            fill_pointer(filler, f, at, in);
        else
            fill_scalar(filler, f, f->kind, at);
    }
}

/* Positions must exist. */
static void
fill_positions(struct plan *p)
{
    for (int i = 0; p != NULL && i < p->key_count; i++)
        p->key[i].source = p->source->column_count - 1 - i;
    for (int i = 0; p != NULL && i < p->rows.insert_count; i++)
        p->rows.insert_origin[i] = i == 0 ? p->rows.column_count - 1 : -i;
}

static struct plan_set *
set_filled(int items)
{
    struct plan_set *set = mem_alloc(sizeof(*set));
    struct filler filler = {.items = items, .next = 1};

    fill_struct(&filler, &plan_set_shape, &(struct holder){.object = set, .number = -1});
    set->first = items - 1;
    for (int i = 0; i < set->table_count; i++) {
        fill_positions(set->tables[i].forward);
        fill_positions(set->tables[i].back);
        fill_positions(set->tables[i].again);
        fill_positions(set->tables[i].proof);
    }
    return set;
}

/* The smallest set there is. */
static struct plan_set *
set_empty(void)
{
    struct plan_set *set = mem_alloc(sizeof(*set));

    struct plan *forward = mem_alloc(sizeof(*forward));

    forward->source = mem_alloc(sizeof(*forward->source));
    forward->target = mem_alloc(sizeof(*forward->target));
    set->table_count = 1;
    set->tables = mem_alloc(sizeof(*set->tables));
    set->tables[0].forward = forward;
    set->cutover = mem_alloc(sizeof(*set->cutover));
    return set;
}

static void
set_free(struct plan_set *set)
{
    fields_free(&plan_set_shape, set);
}

static struct plan_set *
set_read(const char *json)
{
    struct error err = {0};
    struct plan_set *set = plan_set_read(json, &err);

    assert_ok(set != NULL, &err);
    return set;
}

/* The text of the set, which is freed; it must be the text of what is read from it, too. */
static char *
text_of_set(struct plan_set *set)
{
    char *first = plan_set_write(set), *second;
    struct plan_set *again = set_read(first);

    second = plan_set_write(again);
    assert_string_equal(first, second);
    free(second);
    set_free(again);
    set_free(set);
    return first;
}

#define NOT_READ "the stored plan is not one that this version of the program reads: "

static struct error
refusal(const char *json, const char *why)
{
    struct error err = {0};

    if (plan_set_read(json, &err) != NULL)
        fail_msg("read, in spite of %s", why);
    assert_non_null(err.hint);
    return err;
}

static void
assert_refused(const char *json, const char *why)
{
    struct error err = refusal(json, why);

    assert_error(&err, NOT_READ "%s", why);
}

/* What follows is of the JSON library, or the type that was expected. */
static void
assert_refused_begins(const char *json, const char *why)
{
    struct error err = refusal(json, why);

    assert_error_begins(&err, NOT_READ "%s", why);
}

/* json, with something about it changed, must be refused with the path and what is wrong. */
static void
assert_damage(const json_t *json, const char *path, const char *why)
{
    char *text = json_dumps(json, JSON_ENCODE_ANY);
    char *what = mem_printf("%s %s", path, why);

    if (strcmp(why, "is not ") == 0)
        assert_refused_begins(text, what);
    else
        assert_refused(text, what);
    free(text);
    free(what);
}

static void
test_every_field_comes_back(void **state)
{
    struct plan_set *set = set_filled(3), *read;
    const struct plan_table *back, *was = &set->tables[2];
    const struct owned_sequence *sequence;
    char *text = plan_set_write(set);

    (void)state;
    read = set_read(text);
    back = &read->tables[2];
    sequence = back->proof->target->columns[2].sequence->next->next;
    assert_null(sequence->next);
    assert_string_equal(sequence->grants.items[2].grantee,
                        was->proof->target->columns[2].sequence->next->next->grants.items[2].grantee);
    assert_memory_equal(back->back->rows.columns[1].depends_on, was->back->rows.columns[1].depends_on,
                        3 * sizeof(bool));
    assert_int_equal(back->again->rows.insert_origin[2], -2);
    assert_int_equal(back->forward->source->bytes, was->forward->source->bytes);
    assert_int_equal(back->forward->rows.columns[2].origin, was->forward->rows.columns[2].origin);
    set_free(read);
    free(text_of_set(set));
    free(text);
}

static void
test_nothing_is_not_empty(void **state)
{
    struct plan_set *set = set_empty();
    struct plan *forward = set->tables[0].forward;
    char *text;

    (void)state;
    forward->sql = mem_strdup("");
    forward->rows.column_count = 2;
    forward->rows.columns = mem_alloc(2 * sizeof(*forward->rows.columns));
    forward->rows.columns[1].depends_on = mem_alloc(1);
    forward->target->column_count = 2;
    forward->target->columns = mem_alloc(2 * sizeof(*forward->target->columns));
    text = text_of_set(set);
    set = set_read(text);
    forward = set->tables[0].forward;
    assert_string_equal(forward->sql, "");
    assert_null(forward->names.old_sql);
    assert_null(set->tables[0].back);
    assert_null(forward->rows.columns[0].depends_on);
    assert_non_null(forward->rows.columns[1].depends_on);
    assert_null(forward->target->columns[0].sequence);
    assert_int_equal(forward->statements.swap.count, 0);
    assert_int_equal(forward->target->columns[0].generated, '\0');
    set_free(set);
    free(text);
}

/* jsonb does not keep the order of members. */
static void
test_the_order_of_members_means_nothing(void **state)
{
    char *text = text_of_set(set_filled(2));
    json_t *json = json_loads(text, 0, NULL);
    char *sorted = json_dumps(json, JSON_SORT_KEYS), *again;
    struct plan_set *set = set_read(sorted);

    (void)state;
    assert_string_not_equal(text, sorted);
    again = plan_set_write(set);
    assert_string_equal(text, again);
    set_free(set);
    json_decref(json);
    free(text);
    free(sorted);
    free(again);
}

static void damage(const json_t *root, json_t *json, const char *path);

/* The member missing, of another type, under another name, and what is wrong below it. */
static void
damage_member(const json_t *root, json_t *object, const char *name, const char *path)
{
    json_t *member = json_incref(json_object_get(object, name));
    char *at = mem_printf("%s.%s", path, name), *other = mem_printf("%s.%sx", path, name);
    char *other_name = mem_printf("%sx", name);

    json_object_del(object, name);
    assert_damage(root, at, "is missing");
    json_object_set_new(object, name, json_real(0.5));
    assert_damage(root, at, "is not ");
    json_object_set(object, name, member);
    json_object_set_new(object, other_name, json_null());
    assert_damage(root, other, "is unknown");
    json_object_del(object, other_name);
    if (strcmp(at, "plan.format") != 0)
        damage(root, member, at);
    json_decref(member);
    free(at);
    free(other);
    free(other_name);
}

static void
damage_item(const json_t *root, json_t *array, size_t i, const char *path)
{
    json_t *item = json_incref(json_array_get(array, i));
    char *at = mem_printf("%s[%zu]", path, i);

    json_array_set_new(array, i, json_real(0.5));
    assert_damage(root, at, "is not ");
    json_array_set(array, i, item);
    damage(root, item, at);
    json_decref(item);
    free(at);
}

static void
damage(const json_t *root, json_t *json, const char *path)
{
    json_t *names = json_array(); /* those there are now: what follows changes the object */

    for (void *at = json_object_iter(json); at != NULL; at = json_object_iter_next(json, at))
        json_array_append_new(names, json_string(json_object_iter_key(at)));
    for (size_t i = 0; i < json_array_size(names); i++)
        damage_member(root, json, json_string_value(json_array_get(names, i)), path);
    for (size_t i = 0; i < json_array_size(json); i++)
        damage_item(root, json, i, path);
    json_decref(names);
}

static void
test_every_field_is_checked(void **state)
{
    char *text = text_of_set(set_filled(1));
    json_t *json = json_loads(text, 0, NULL);
    json_t *table = json_array_get(json_object_get(json, "tables"), 0);

    (void)state;
    /* One plan stands for the four of them, and a short text is what thousands of damages have time for. */
    json_object_set_new(table, "forward", json_null());
    json_object_set(table, "forward", json_object_get(table, "back"));
    json_object_set_new(table, "back", json_null());
    json_object_set_new(table, "again", json_null());
    json_object_set_new(table, "proof", json_null());
    json_object_set_new(json, "rollback", json_null());
    json_object_set_new(json, "cutover_again", json_null());
    damage(json, json, "plan");
    json_decref(json);
    free(text);
}

/* The value at the path (names and positions, by '/') of a filled set. */
static void
assert_value_refused(const char *path, const char *value, const char *error)
{
    char *text = text_of_set(set_filled(2)), *copy = mem_strdup(path), *step, *rest = NULL;
    json_t *root = json_loads(text, 0, NULL), *json = root, *last = NULL;
    const char *name = NULL;

    for (step = strtok_r(copy, "/", &rest); step != NULL; step = strtok_r(NULL, "/", &rest)) {
        last = json;
        name = step;
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(step)) : json_object_get(json, step);
        assert_non_null(json);
    }
    json = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    if (json_is_array(last))
        json_array_set_new(last, (size_t)atoi(name), json);
    else
        json_object_set_new(last, name, json);
    free(text);
    text = json_dumps(root, 0);
    assert_refused(text, error);
    json_decref(root);
    free(text);
    free(copy);
}

static void
test_values_out_of_range(void **state)
{
    (void)state;
    assert_value_refused("format", "2", "plan.format is 2, expected 4");
    assert_value_refused("tables/1/back/rows/compare/count", "2147483648",
                         "plan.tables[1].back.rows.compare.count is out of range");
    assert_value_refused("tables/1/back/rows/compare/count", "-2147483649",
                         "plan.tables[1].back.rows.compare.count is out of range");
    assert_value_refused("tables/1/again/source/oid", "4294967296",
                         "plan.tables[1].again.source.oid is out of range");
    assert_value_refused("tables/1/again/source/oid", "-1",
                         "plan.tables[1].again.source.oid is out of range");
    assert_value_refused("tables/1/again/source/oid", "1.0",
                         "plan.tables[1].again.source.oid is not a whole number");
    assert_value_refused("tables/1/proof/source/relkind", "\"rr\"",
                         "plan.tables[1].proof.source.relkind is not a single character");
    assert_value_refused("tables/1/proof/source/relkind", "null",
                         "plan.tables[1].proof.source.relkind is not a single character");
    assert_value_refused("tables/1/back/rows/columns/1/origin", "\"Row\"",
                         "plan.tables[1].back.rows.columns[1].origin is not one of its names");
    assert_value_refused("tables/1/back/rows/columns/1/type", "5",
                         "plan.tables[1].back.rows.columns[1].type is not a text");
}

static void
test_lists_that_contradict_each_other(void **state)
{
    (void)state;
    assert_value_refused(
        "tables/1/back/rows/columns/1/depends_on", "[true]",
        "plan.tables[1].back.rows.columns[1].depends_on has not as many items as there must be");
    assert_value_refused(
        "tables/1/back/rows/columns/1/depends_on", "[true, false, true]",
        "plan.tables[1].back.rows.columns[1].depends_on has not as many items as there must be");
    assert_value_refused("tables/1/back/source/indexes/1/key_attnums", "[1]",
                         "plan.tables[1].back.source.indexes[1].keys has not as many items as there must be");
    assert_value_refused("tables/1/back/source/indexes", "null",
                         "plan.tables[1].back.source.indexes is not a list");
    assert_value_refused("tables/1/back/source/columns/0/sequence", "null",
                         "plan.tables[1].back.source.columns[0].sequence is not a list");
    assert_value_refused("tables/1/back/source/columns/1/sequence/1/grants/1/grantee", "[]",
                         "plan.tables[1].back.source.columns[1].sequence[1].grants[1].grantee is not a text");
    assert_value_refused("tables/1/back/key/1/source", "2",
                         "plan.tables[1].back.key[1].source is a position that does not exist");
    assert_value_refused("tables/1/back/key/1/source", "-1",
                         "plan.tables[1].back.key[1].source is a position that does not exist");
    assert_value_refused("tables/1/proof/rows/insert_origin/1", "2",
                         "plan.tables[1].proof.rows.insert_origin[1] is a position that does not exist");
    assert_value_refused("tables/1/proof/rows/insert_origin/1", "-3",
                         "plan.tables[1].proof.rows.insert_origin[1] is a position that does not exist");
    assert_value_refused("tables/1/forward/target/columns", "[]",
                         "plan.tables[1].forward.rows.columns has more columns than the target");
    assert_value_refused("tables/1/forward/target", "null", "plan.tables[1].forward.target is missing");
    assert_value_refused(
        "tables/1/again/source", "null",
        "plan.tables[1].again.rows.columns[0].depends_on has not as many items as there must be");
    assert_value_refused("tables/1/forward", "null", "plan.tables[1].forward is missing");
    assert_value_refused("tables/0/back", "null", "plan.tables[0] has not a plan for each direction");
    assert_value_refused("tables/1/again", "null", "plan.tables[1] has not a plan for each direction");
    assert_value_refused("rollback", "null", "plan.tables[0] has not a plan for each direction");
    assert_value_refused("cutover", "null", "plan.cutover is missing");
    assert_value_refused("tables", "[]", "plan.first is a position that does not exist");
    assert_value_refused("first", "2", "plan.first is a position that does not exist");
    assert_value_refused("first", "-1", "plan.first is a position that does not exist");
}

static void
test_texts_that_are_no_plan(void **state)
{
    struct buffer deep = {0};

    (void)state;
    assert_refused_begins("", "plan is not JSON: ");
    assert_refused_begins("null", "plan is not JSON: ");
    assert_refused("[]", "plan is not an object");
    assert_refused("{}", "plan.format is missing");
    assert_refused("{\"format\": 4}", "plan.first is missing");
    assert_refused_begins("{\"format\": 4, \"format\": 1}", "plan is not JSON: ");
    assert_refused_begins("{\"format\": 4} {}", "plan is not JSON: ");
    assert_refused_begins("{\"format\": 100000000000000000000}", "plan is not JSON: ");
    assert_refused_begins("{\"format\": 4, \"forward\": \"\\u0000\"}", "plan is not JSON: ");
    assert_refused_begins("{\"format\": 4, \"forward\": \"\xff\"}", "plan is not JSON: ");
    buffer_add_text(&deep, "{\"format\":");
    for (int i = 0; i < 1000000; i++)
        buffer_add_char(&deep, '[');
    assert_refused_begins(deep.data, "plan is not JSON: ");
    buffer_free(&deep);
}

/* Every prefix, and every byte changed: an error or another plan, never a crash. */
static void
test_any_byte_may_be_wrong(void **state)
{
    char *text = text_of_set(set_empty());
    struct error err = {0};

    (void)state;
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];

        text[i] = '\0';
        assert_refused_begins(text, "plan is not JSON: ");
        for (const char *other = "\"0{}[],:n\x80"; *other != '\0'; other++) {
            text[i] = *other;
            set_free(plan_set_read(text, &err));
            error_clear(&err);
        }
        text[i] = was;
    }
    free(text);
}

/* The content of struct NAME { … } in a header, without comments. */
static char *
struct_text(const char *header, const char *name)
{
    char *source = golden_text(header), *start = mem_printf("struct %s {", name);
    char *from, *to, *body = NULL;

    while ((from = strstr(source, "/*")) != NULL) {
        to = strstr(from, "*/") + 2;
        memmove(from, to, strlen(to) + 1);
    }
    if ((from = strstr(source, start)) != NULL)
        body = mem_strndup(from + strlen(start), (size_t)(strstr(from, "};") - from) - strlen(start));
    free(source);
    free(start);
    return body;
}

static bool
is_described(const struct shape *shape, const char *member)
{
    size_t len = strlen(member);

    for (size_t i = 0; i < shape->field_count; i++)
        if (strcmp(shape->fields[i].name, member) == 0)
            return true;
    return strcmp(member, "next") == 0 || (len > 6 && strcmp(member + len - 6, "_count") == 0);
}

/*
 * The headers are read, because sizeof cannot see a member that went into padding: it would be false after a
 * resume, without a word.
 */
static void
assert_complete(const struct shape *shape)
{
    char *text = struct_text("../../../include/plan_data/plan.h", shape->name), *rest = NULL;

    if (text == NULL)
        text = struct_text("../../../include/catalog/table.h", shape->name);
    assert_non_null(text);
    for (char *member = strtok_r(text, ";", &rest); member != NULL; member = strtok_r(NULL, ";", &rest)) {
        char *name = strrchr(member, ' ');

        if (strspn(member, " \n") == strlen(member)) /* behind the last one */
            continue;
        name += strspn(name, " *");
        if (strcspn(name, ",[(:") != strlen(name) || !is_described(shape, name))
            fail_msg("struct %s has \"%s\", which its table of fields lacks", shape->name, name);
    }
    free(text);
    for (size_t i = 0; i < shape->field_count; i++)
        if (shape->fields[i].shape != NULL) {
            assert_int_equal(shape->fields[i].shape->size, shape->fields[i].item_size);
            assert_complete(shape->fields[i].shape);
        }
}

static void
test_every_member_is_a_field(void **state)
{
    (void)state;
    assert_complete(&plan_set_shape);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_member_is_a_field),
        cmocka_unit_test(test_every_field_comes_back),
        cmocka_unit_test(test_nothing_is_not_empty),
        cmocka_unit_test(test_the_order_of_members_means_nothing),
        cmocka_unit_test(test_every_field_is_checked),
        cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_lists_that_contradict_each_other),
        cmocka_unit_test(test_texts_that_are_no_plan),
        cmocka_unit_test(test_any_byte_may_be_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
