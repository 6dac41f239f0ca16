/*
 * Log lines on standard error, as text or JSON. Thread-safe. Messages are lower case without a period. They
 * never contain credentials, nor values of a row other than its key.
 */
#ifndef PGRECAST_CORE_LOG_H
#define PGRECAST_CORE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

void log_configure(enum log_format format, enum log_level least);

/*
 * The options of the connection, for the commands in the lines of the log (core/command.h). The text is not
 * copied; NULL: none.
 */
void log_connection(const char *options);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, unless this process has written that text before: a warning that the server sends to each session. */
void log_once(enum log_level level, const char *text);

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)

/*
 * A status line at the bottom of a terminal: it is erased before a log line is written, and drawn again after
 * it. NULL removes it. Only one thread draws. What does not fit into the terminal's width, as it is at that
 * moment, is left out.
 */
void log_live(const char *text);

/* Columns of the terminal on standard error; 80 where that cannot be found out. */
int log_columns(void);

/*
 * The number of bytes of a UTF-8 text that fit into so many columns. Characters from U+1100 on count as two
 * columns each, because some of them are that wide.
 */
size_t log_fit(const char *text, int columns);

#endif
