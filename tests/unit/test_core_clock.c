#include "support.h"

#include "core/clock.h"

static void
test_durations(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } rows[] = {
        {0, "0 ms"},         {0.0123, "12 ms"},   {0.999, "999 ms"},       {1, "1.0 s"},
        {61.26, "61.3 s"},   {100, "1 min 40 s"}, {250, "4 min 10 s"},     {3599, "59 min 59 s"},
        {3600, "1 h 0 min"}, {7500, "2 h 5 min"}, {360000, "100 h 0 min"},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(clock_format_duration(rows[i].seconds, text), rows[i].text);
}

static void
test_backoff_grows_to_its_limit(void **state)
{
    struct backoff b = {.first_ms = 10, .most_ms = 100};
    int64_t ceiling = 10;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        int64_t ms = backoff_next(&b);

        assert_in_range(ms, 1, ceiling);
        ceiling = ceiling * 2 > 100 ? 100 : ceiling * 2;
    }
    b.attempt = 0;
    assert_in_range(backoff_next(&b), 1, 10);
}

static void
test_sleep_takes_its_time(void **state)
{
    int64_t started = clock_ms();

    (void)state;
    assert_true(clock_sleep(30));
    assert_true(clock_ms() - started >= 30);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_backoff_grows_to_its_limit),
        cmocka_unit_test(test_sleep_takes_its_time),
    };

    return cmocka_run_group_tests_name("core/clock", tests, NULL, NULL);
}
