/*
 * Log lines on standard error, text or JSON. Thread-safe. Messages are lower case without a period; they
 * never hold credentials nor values of a row that are not its key.
 */
#ifndef PGRECAST_CORE_LOG_H
#define PGRECAST_CORE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

void log_configure(enum log_format format, enum log_level least);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)

/*
 * A live line at the bottom of a terminal: it is erased before a log line is written and drawn again after
 * it. NULL removes it. Only one thread draws.
 */
void log_live(const char *text);

#endif
