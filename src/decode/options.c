#include "decode/message.h"

#include "core/buffer.h"

/*
 * What the pgoutput of a major version accepts in addition to protocol 1 with messages (pgoutput.c,
 * parse_output_parameters).
 */
struct major_row {
    int major;
    bool has_origin;
};

static const struct major_row majors[] = {
    {14, false}, {15, false}, {16, true}, {17, true}, {18, true},
};

/*
 * A major version that is not in the table is newer than this program, and gets the options of the newest
 * one.
 */
static const struct major_row *
major_find(int major)
{
    size_t count = sizeof(majors) / sizeof(majors[0]);

    for (size_t i = 0; i < count; i++) {
        if (majors[i].major >= major)
            return &majors[i];
    }
    return &majors[count - 1];
}

/*
 * A string of the replication grammar (repl_scanner.l): quotes are doubled, and no other character is
 * special. The E'' form that buffer_add_literal() uses for backslashes does not exist there.
 */
static void
add_replication_string(struct buffer *buf, const char *text)
{
    buffer_add_char(buf, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            buffer_add_char(buf, '\'');
        buffer_add_char(buf, *text);
    }
    buffer_add_char(buf, '\'');
}

char *
pgoutput_options(int major, const char *publication, bool any_origin)
{
    struct buffer names = {0}, out = {0};

    /* The value is a list of identifiers, so it is quoted twice. */
    buffer_add_identifier(&names, publication);
    buffer_add_text(&out, "proto_version '1', publication_names ");
    add_replication_string(&out, names.data);
    buffer_add_text(&out, ", messages 'true'");
    if (major_find(major)->has_origin)
        buffer_add_text(&out, any_origin ? ", origin 'any'" : ", origin 'none'");
    buffer_free(&names);
    return buffer_take(&out);
}
