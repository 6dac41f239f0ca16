/* Commands in messages: complete, and quoted for a shell. */
#include "support.h"

#include <stdlib.h>

#include "core/command.h"

static const struct {
    const char *job, *connection, *text;
} commands[] = {
    {"orders", "", "Run: pgrecast resume orders; then ask again."},
    {"orders", NULL, "Run: pgrecast resume orders; then ask again."},
    {"orders", " -d shop", "Run: pgrecast resume -d shop orders; then ask again."},
    {"sales.orders", " -d 'a b' -w", "Run: pgrecast resume -d 'a b' -w sales.orders; then ask again."},
    {"it's; a job", " -p 5", "Run: pgrecast resume -p 5 'it'\\''s; a job'; then ask again."},
    {"$(id)", "", "Run: pgrecast resume '$(id)'; then ask again."},
    {"-d", "", "Run: pgrecast resume -- -d; then ask again."},
    {"\u00fcber", "", "Run: pgrecast resume '\u00fcber'; then ask again."},
    {"~root", "", "Run: pgrecast resume '~root'; then ask again."},
};

static void
test_expand(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct buffer marked = {0};
        char *text;

        buffer_printf(&marked, "Run: " COMMAND("resume") "; then ask again.", commands[i].job);
        text = command_expand(marked.data, commands[i].connection);
        assert_string_equal(text, commands[i].text);
        free(text);
        buffer_free(&marked);
    }
}

static void
test_without_job(void **state)
{
    char *text = command_expand(COMMAND_PLAIN("jobs --all") "; " COMMAND_PLAIN("status"), " -d x");

    (void)state;
    assert_string_equal(text, "pgrecast jobs --all -d x; pgrecast status -d x");
    free(text);
}

/* A mark without its end, and a text without marks: as they are. */
static void
test_plain(void **state)
{
    static const char *const texts[] = {"", "pgrecast resume orders", "a " COMMAND_OPEN " b"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = command_expand(texts[i], " -d x");

        assert_string_equal(text, texts[i]);
        free(text);
    }
}

static void
test_name(void **state)
{
    (void)state;
    assert_true(command_name_valid("it's; a job"));
    assert_true(command_name_valid("\u00fcber"));
    assert_false(command_name_valid(""));
    assert_false(command_name_valid("a" COMMAND_CLOSE "; id"));
    assert_false(command_name_valid("a\nb"));
    assert_false(command_name_valid("a\x7f"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_without_job),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
