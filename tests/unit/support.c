#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"

const int golden_majors[GOLDEN_MAJOR_COUNT] = {14, 15, 16, 17, 18};

void
assert_error(struct error *err, const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    text = mem_vprintf(fmt, args);
    va_end(args);
    assert_int_equal(err->kind, ERROR_FAILED);
    assert_string_equal(err->message, text);
    error_clear(err);
    free(text);
}

void
assert_error_begins(struct error *err, const char *fmt, ...)
{
    va_list args;
    char *text;

    va_start(args, fmt);
    text = mem_vprintf(fmt, args);
    va_end(args);
    assert_int_equal(err->kind, ERROR_FAILED);
    if (strncmp(err->message, text, strlen(text)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", err->message, text);
    error_clear(err);
    free(text);
}

void
assert_error_ends(struct error *err, const char *fmt, ...)
{
    size_t len = strlen(err->message), end;
    va_list args;
    char *text;

    va_start(args, fmt);
    text = mem_vprintf(fmt, args);
    va_end(args);
    assert_int_equal(err->kind, ERROR_FAILED);
    end = strlen(text);
    if (len < end || strcmp(err->message + len - end, text) != 0)
        fail_msg("\"%s\" does not end with \"%s\"", err->message, text);
    error_clear(err);
    free(text);
}

char *
directory_make_temporary(void)
{
    const char *parent = getenv("TMPDIR");
    char *directory = mem_printf("%s/pgrecast-unit-XXXXXX", parent != NULL ? parent : "/tmp");

    assert_non_null(mkdtemp(directory));
    return directory;
}

void
directory_drop(char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir != NULL)
        closedir(dir);
    rmdir(directory);
    free(directory);
}

char *
golden_text(const char *name)
{
    char *path = mem_printf("%s/%s", GOLDEN_DIR, name);
    FILE *file = fopen(path, "r");
    struct buffer text = {0};
    size_t got;

    if (file == NULL)
        fail_msg("cannot open %s", path);
    while ((got = fread(buffer_reserve(&text, 65536), 1, 65536, file)) > 0)
        text.len += got;
    fclose(file);
    free(path);
    return buffer_take(&text);
}

static struct golden_message
parse_line(const char *line)
{
    struct golden_message message = {0};
    const char *space = strchr(line, ' ');
    char *lsn = mem_strndup(line, (size_t)(space - line));

    assert_true(lsn_parse(lsn, &message.lsn));
    free(lsn);
    message.len = strlen(space + 1) / 2;
    message.data = mem_alloc(message.len);
    for (size_t i = 0; i < message.len; i++) {
        char pair[3] = {space[1 + i * 2], space[2 + i * 2], '\0'};

        message.data[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    return message;
}

struct golden
golden_load(int major)
{
    char *name = mem_printf("pgoutput-%d.hex", major);
    char *text = golden_text(name);
    struct golden g = {0};
    char *rest = text;

    for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0'; line = strsep(&rest, "\n")) {
        g.messages = mem_array(g.messages, g.count + 1, sizeof(*g.messages));
        g.messages[g.count++] = parse_line(line);
    }
    assert_true(g.count > 0);
    free(text);
    free(name);
    return g;
}

void
golden_free(struct golden *g)
{
    for (size_t i = 0; i < g->count; i++)
        free(g->messages[i].data);
    free(g->messages);
}
