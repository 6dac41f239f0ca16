#include "core/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/mem.h"

/* The process has one standard error, so it has one log. */
static struct {
    pthread_mutex_t lock;
    enum log_format format;
    enum log_level least;
    char *live;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .format = LOG_TEXT, .least = LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void
log_configure(enum log_format format, enum log_level least)
{
    state.format = format;
    state.least = least;
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
    char stamp[32];

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
    strftime(stamp, sizeof(stamp), "%H:%M:%S", &tm);
    fprintf(stderr, "%s  %s%s%s\n", stamp, level == LOG_INFO ? "" : level_names[level],
            level == LOG_INFO ? "" : ": ", text);
}

void
log_line(enum log_level level, const char *fmt, ...)
{
    va_list args;
    char *text;

    if (level < state.least)
        return;
    va_start(args, fmt);
    text = mem_vprintf(fmt, args);
    va_end(args);
    pthread_mutex_lock(&state.lock);
    if (state.live != NULL)
        fputs("\r\033[K", stderr);
    print_line(level, text);
    if (state.live != NULL)
        fputs(state.live, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&state.lock);
    free(text);
}

void
log_live(const char *text)
{
    pthread_mutex_lock(&state.lock);
    if (state.live != NULL || text != NULL)
        fputs("\r\033[K", stderr);
    free(state.live);
    state.live = mem_strdup(text);
    if (text != NULL)
        fputs(text, stderr);
    fflush(stderr);
    pthread_mutex_unlock(&state.lock);
}
