#include "support.h"

#include <string.h>

#include "core/log.h"

static void
fits(const char *text, int columns, const char *wanted)
{
    assert_int_equal(log_fit(text, columns), strlen(wanted));
    assert_memory_equal(text, wanted, strlen(wanted));
}

static void
test_what_fits_into_a_line(void **state)
{
    (void)state;
    fits("copy", 20, "copy");
    fits("copy", 4, "copy");
    fits("copy", 3, "cop");
    fits("copy", 0, "");
    fits("copy", -1, "");
    fits("\u00e4\u00f6\u00fc", 2, "\u00e4\u00f6");
    fits("\u8868\u8868 a", 5, "\u8868\u8868 ");
    fits("\u8868\u8868 a", 3, "\u8868"); /* not half of a wide character */
    fits("\U0001f600x", 1, "");
    fits("\xe8\xa1", 2, "\xe8\xa1"); /* cut off in the middle of a character */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_fits_into_a_line)};

    return cmocka_run_group_tests_name("core/log", tests, NULL, NULL);
}
