#include "core/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/command.h"
#include "core/list.h"
#include "core/mem.h"

#define MOST_ONCE 1000 /* texts that are remembered */

/* The process has one standard error, so it has one log. */
static struct {
    pthread_mutex_t lock;
    enum log_format format;
    enum log_level least;
    const char *connection;
    char *live;
    struct string_list once; /* what log_once() has written */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .format = LOG_TEXT, .least = LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void
log_configure(enum log_format format, enum log_level least)
{
    state.format = format;
    state.least = least;
}

void
log_connection(const char *options)
{
    state.connection = options;
}

int
log_columns(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

size_t
log_fit(const char *text, int columns)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t len = 0;

    while (c[len] != '\0') {
        size_t bytes = c[len] < 0xc0 ? 1 : c[len] < 0xe0 ? 2 : c[len] < 0xf0 ? 3 : 4, more = 1;
        int width = c[len] > 0xe1 || (c[len] == 0xe1 && c[len + 1] >= 0x84) ? 2 : 1;

        while (more < bytes && (c[len + more] & 0xc0) == 0x80)
            more++;
        columns -= width;
        if (columns < 0)
            break;
        len += more;
    }
    return len;
}

/* Not in the last column, after which some terminals begin a new line. */
static void
draw_live(void)
{
    if (state.live != NULL)
        fwrite(state.live, 1, log_fit(state.live, log_columns() - 1), stderr);
}

static void
print_json_string(const char *text)
{
    fputc('"', stderr);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(stderr, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(stderr, "\\u%04x", *c);
        else
            fputc(*c, stderr);
    }
    fputc('"', stderr);
}

static void
print_line(enum log_level level, const char *text)
{
    struct timespec now;
    struct tm tm;
    char stamp[64];

    clock_gettime(CLOCK_REALTIME, &now);
    if (state.format == LOG_JSON) {
        gmtime_r(&now.tv_sec, &tm);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        fprintf(stderr, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":", stamp, now.tv_nsec / 1000000,
                level_names[level]);
        print_json_string(text);
        fputs("}\n", stderr);
        return;
    }
    localtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S %Z", &tm);
    fprintf(stderr, "%s  %s%s%s\n", stamp, level == LOG_INFO ? "" : level_names[level],
            level == LOG_INFO ? "" : ": ", text);
}

void
log_line(enum log_level level, const char *fmt, ...)
{
    va_list args;
    char *marked, *text;

    if (level < state.least)
        return;
    va_start(args, fmt);
    marked = mem_vprintf(fmt, args);
    va_end(args);
    text = command_expand(marked, state.connection);
    free(marked);
    pthread_mutex_lock(&state.lock);
    if (state.live != NULL)
        fputs("\r\033[K", stderr);
    print_line(level, text);
    draw_live();
    fflush(stderr);
    pthread_mutex_unlock(&state.lock);
    free(text);
}

void
log_once(enum log_level level, const char *text)
{
    bool known;

    pthread_mutex_lock(&state.lock);
    known = list_has(&state.once, text);
    if (!known && state.once.count < MOST_ONCE)
        list_add(&state.once, mem_strdup(text));
    pthread_mutex_unlock(&state.lock);
    if (!known)
        log_line(level, "%s", text);
}

void
log_live(const char *text)
{
    pthread_mutex_lock(&state.lock);
    if (state.live != NULL || text != NULL)
        fputs("\r\033[K", stderr);
    free(state.live);
    state.live = mem_strdup(text);
    draw_live();
    fflush(stderr);
    pthread_mutex_unlock(&state.lock);
}
