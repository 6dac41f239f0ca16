/* What sessions pin (src/pg/settings.c). */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "settings_pin.h"

static void
assert_names(const char *options, const char *expected)
{
    char *names = settings_option_names(options);

    assert_string_equal(names, expected);
    free(names);
}

static void
test_names_in_options(void **state)
{
    (void)state;
    assert_names(NULL, "{}");
    assert_names("", "{}");
    assert_names("-c app.tenant=5", "{app.tenant}");
    assert_names("-capp.tenant=5 --work_mem=1MB", "{app.tenant,work_mem}");
    assert_names("-c a.b=x\\ -c\\ c.d=y -c  e.f=", "{a.b,e.f}");
    assert_names("-e -c nothing -c \"a\"=1 -c TimeZone=UTC", "{TimeZone}");
    assert_names("-c a.b=\\", "{a.b}");
}

/* An operator would be looked for in a search_path that may be another's. */
static void
test_no_operator_before_the_search_path(void **state)
{
    static const struct session_limits none = {0},
                                       limits = {.lock_ms = 100, .idle_ms = 5000, .transaction_ms = 15000};
    char *sql = settings_pin_sql(18, "UTF8", "{\"TimeZone\": \"it's\"}", &limits);

    (void)state;
    assert_non_null(strstr(sql, "set_config('client_encoding', 'UTF8', false)"));
    assert_non_null(strstr(sql, "set_config('transaction_timeout', '15000', false)"));
    assert_non_null(strstr(sql, "set_config('lock_timeout', '100', false)"));
    assert_non_null(strstr(sql, "set_config('statement_timeout', '0', false)"));
    assert_non_null(strstr(sql, "set_config('idle_in_transaction_session_timeout', '5000', false)"));
    assert_non_null(strstr(sql, "'{\"TimeZone\": \"it''s\"}'::pg_catalog.jsonb"));
    assert_null(strstr(sql, "DateStyle"));
    assert_null(strstr(sql, " = "));
    free(sql);
    sql = settings_pin_sql(14, "LATIN1", NULL, &none);
    assert_non_null(strstr(sql, "set_config('DateStyle', 'ISO', false)"));
    assert_null(strstr(sql, "transaction_timeout'"));
    free(sql);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_in_options),
        cmocka_unit_test(test_no_operator_before_the_search_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
