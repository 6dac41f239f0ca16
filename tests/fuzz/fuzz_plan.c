/*
 * A stored plan: refused, or a plan that survives being written and read again. The input is any text, or,
 * when it begins with a byte that no JSON does, changes to a plan's own text: so that it gets past the first
 * missing field without a seed that would be out of date with the next one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "plan/plan.h"
#include "store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_roundtrip(const struct plan_set *set)
{
    struct error err = {0};
    char *text = plan_set_write(set), *again;
    struct plan_set *read = plan_set_read(text, &err);

    if (read == NULL)
        abort();
    again = plan_set_write(read);
    if (strcmp(text, again) != 0)
        abort();
    free(text);
    free(again);
    fields_free(&plan_set_shape, read);
}

/* The smallest plan set with its bytes changed: three bytes of the input are where (two) and to what. */
static char *
plan_changed(const uint8_t *changes, size_t size)
{
    struct table source = {0}, target = {0};
    struct plan forward = {.source = &source, .target = &target};
    struct plan_table table = {.forward = &forward};
    struct plan_swap cutover = {0};
    char *text = plan_set_write(&(struct plan_set){.table_count = 1, .tables = &table, .cutover = &cutover});
    size_t len = strlen(text);

    for (size_t i = 0; i + 3 <= size; i += 3)
        text[((size_t)changes[i] << 8 | changes[i + 1]) % len] = (char)changes[i + 2];
    return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = size > 0 && data[0] >= 0x80 ? plan_changed(data + 1, size - 1)
                                             : mem_strndup((const char *)data, size);
    struct error err = {0};
    struct plan_set *set = plan_set_read(text, &err);

    if (set != NULL)
        check_roundtrip(set);
    else if (err.message == NULL)
        abort();
    fields_free(&plan_set_shape, set);
    error_clear(&err);
    free(text);
    return 0;
}
