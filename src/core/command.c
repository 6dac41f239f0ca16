#include "core/command.h"

#include <string.h>

#define HARMLESS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,"

void
command_add_word(struct buffer *out, const char *text)
{
    if (*text != '\0' && text[strspn(text, HARMLESS)] == '\0') {
        buffer_add_text(out, text);
        return;
    }
    buffer_add_char(out, '\'');
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '\'')
            buffer_add_text(out, "'\\''");
        else
            buffer_add_char(out, *c);
    }
    buffer_add_char(out, '\'');
}

void
command_add_option(struct buffer *out, const char *option, const char *value)
{
    if (value == NULL)
        return;
    buffer_printf(out, " %s", option);
    if (option[strlen(option) - 1] != '=')
        buffer_add_char(out, ' ');
    command_add_word(out, value);
}

static void
add_job(struct buffer *out, const char *name, size_t len)
{
    struct buffer word = {0};

    if (len > 0) {
        buffer_add(&word, name, len);
        buffer_add_text(out, *name == '-' ? " -- " : " "); /* otherwise it would be an option */
        command_add_word(out, word.data);
    }
    buffer_free(&word);
}

char *
command_expand(const char *text, const char *connection)
{
    struct buffer out = {0};
    const char *open, *end;

    while ((open = strstr(text, COMMAND_OPEN)) != NULL && (end = strstr(open, COMMAND_CLOSE)) != NULL) {
        buffer_add(&out, text, (size_t)(open - text));
        if (connection != NULL)
            buffer_add_text(&out, connection);
        add_job(&out, open + 1, (size_t)(end - open) - 1);
        text = end + 1;
    }
    buffer_add_text(&out, text);
    return buffer_take(&out);
}

bool
command_name_valid(const char *name)
{
    const char *c = name;

    while ((unsigned char)*c >= 0x20 && *c != 0x7f)
        c++;
    return c != name && *c == '\0';
}
