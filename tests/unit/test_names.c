/* Names that have to fit, and to differ from those that are taken. */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "objects/names.h"

static void
test_names_fit_and_differ(void **state)
{
    struct string_list taken = {0};
    char *name;

    (void)state;
    name = name_with_suffix("ääääääääääääääääääääääääääääää", "_pgrecast_new"); /* 60 bytes */
    assert_int_equal(strlen(name), 63);
    free(name);
    name = name_with_suffix("xääääääääääääääääääääääääääääää", "_pgrecast_new");
    assert_int_equal(strlen(name), 62); /* not within a character */
    free(name);
    name = name_unlike("t", "_new", &taken);
    assert_string_equal(name, "t_new");
    free(name);
    name = name_unlike("t", "_new", &taken);
    assert_string_equal(name, "t_new2");
    free(name);
    list_free(&taken);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names_fit_and_differ)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
