/* How the options of a connection are shown in commands: as the user gave them, without passwords. */
#include "support.h"

#include <string.h>

#include "pg/session.h"

/* The order of the keywords is libpq's own. */
static const struct {
    const char *dbname, *host, *port, *user, *text;
} shown[] = {
    {NULL, NULL, NULL, NULL, " -w"},
    {"shop", NULL, NULL, NULL, " -d shop -w"},
    {"a shop's", "/run/pg 1", "5433", "deploy", " -d 'a shop'\\''s' -h '/run/pg 1' -p 5433 -U deploy -w"},
    {"host=h dbname=shop", NULL, NULL, NULL, " -d 'host=h dbname=shop' -w"},
    {"host=h password=secret dbname=shop", NULL, NULL, NULL,
     " -d 'dbname='\\''shop'\\'' host='\\''h'\\''' -w"},
    {"password=secret dbname='a\\'b'", NULL, NULL, NULL, " -d 'dbname='\\''a\\'\\''b'\\''' -w"},
    {"postgresql://deploy@h:5433/shop", NULL, NULL, NULL, " -d postgresql://deploy@h:5433/shop -w"},
    {"postgresql://deploy:secret@h:5433/shop", NULL, NULL, NULL,
     " -d 'user='\\''deploy'\\'' dbname='\\''shop'\\'' host='\\''h'\\'' port='\\''5433'\\''' -w"},
    {"postgresql://h/shop?sslpassword=secret", NULL, NULL, NULL,
     " -d 'dbname='\\''shop'\\'' host='\\''h'\\''' -w"},
    {"password=secret nonsense", "h", NULL, NULL, " -h h -w"},
};

static void
test_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        struct connection_options options = {.dbname = (char *)shown[i].dbname,
                                             .host = (char *)shown[i].host,
                                             .port = (char *)shown[i].port,
                                             .user = (char *)shown[i].user,
                                             .password = (char *)"secret",
                                             .no_password = true};
        struct buffer text = {0};

        connection_add_options(&options, &text);
        assert_string_equal(text.data, shown[i].text);
        buffer_free(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_options)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
