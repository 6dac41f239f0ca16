#include "notice.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/mem.h"

/* The server's source files whose warnings are about the server, a collation or a slot, never about a row. */
static const char *const of_the_server[] = {
    "postinit.c", "pg_locale.c", "pg_locale_icu.c",   "pg_locale_libc.c", "pg_locale_builtin.c",
    "crypt.c",    "auth.c",      "publicationcmds.c", "slot.c",           "logical.c",
};

static bool
is_of_the_server(const PGresult *notice)
{
    const char *file = PQresultErrorField(notice, PG_DIAG_SOURCE_FILE);

    if (file == NULL || PQresultErrorField(notice, PG_DIAG_CONTEXT) != NULL)
        return false;
    for (size_t i = 0; i < sizeof(of_the_server) / sizeof(of_the_server[0]); i++) {
        if (strcmp(file, of_the_server[i]) == 0)
            return true;
    }
    return false;
}

static enum log_level
level_of(const PGresult *notice)
{
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

    if (severity == NULL || strcmp(severity, "WARNING") == 0)
        return LOG_WARNING;
    return strcmp(severity, "NOTICE") == 0 || strcmp(severity, "INFO") == 0 ? LOG_INFO : LOG_DEBUG;
}

void
notice_log(const PGresult *notice)
{
    const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);
    char *text;

    if (message == NULL || !is_of_the_server(notice))
        return;
    text = mem_printf("the server warns: %s", message);
    log_once(level_of(notice), text);
    free(text);
}
