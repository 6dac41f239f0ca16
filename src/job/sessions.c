#include "sessions.h"

#include <limits.h>
#include <stdlib.h>

#include "core/count.h"
#include "core/log.h"
#include "core/mem.h"
#include "sql/sql.h"

/*
 * One each for control, stream, apply, and vacuum or validation; two for snapshots; and one for a command of
 * the user.
 */
#define SESSIONS_FIXED 7

int
sessions_apply_workers(int jobs)
{
    return jobs - 1 < APPLY_WORKERS_MOST ? jobs - 1 : APPLY_WORKERS_MOST;
}

/* The largest number of sessions at one time: during a verification, while changes are applied. */
static int
sessions_needed(int jobs)
{
    return SESSIONS_FIXED + jobs + sessions_apply_workers(jobs);
}

struct room {
    int64_t free;
    char *limit; /* what sets the limit, for people, and how to raise it */
};

static void
room_narrow(struct room *room, const struct result *r, const char *column, char *limit)
{
    if (row_null(r, 0, column) || row_int(r, 0, column) >= room->free) {
        free(limit);
        return;
    }
    free(room->limit);
    *room = (struct room){row_int(r, 0, column), limit};
}

static bool
room_read(struct session *s, struct room *room, struct error *err)
{
    struct result r = {0};
    bool ok = session_row(s, &r, err, sql_sessions_free, 0);

    *room = (struct room){INT_MAX, NULL};
    if (ok) {
        room_narrow(room, &r, "role_free",
                    mem_printf("the connection limit of role %s (ALTER ROLE \"%s\" CONNECTION LIMIT n)",
                               row_text(&r, 0, "role"), row_text(&r, 0, "role")));
        room_narrow(
            room, &r, "database_free",
            mem_printf("the connection limit of database %s (ALTER DATABASE \"%s\" CONNECTION LIMIT n)",
                       row_text(&r, 0, "database"), row_text(&r, 0, "database")));
        room_narrow(room, &r, "server_free", mem_strdup("max_connections of the server"));
        room->free++; /* the asking session is one of them */
    }
    result_free(&r);
    return ok;
}

bool
sessions_fit(struct session *s, int *jobs, char **why, struct error *err)
{
    struct room room;
    int wanted = *jobs;

    *why = NULL;
    if (!room_read(s, &room, err))
        return false;
    while (*jobs > 1 && sessions_needed(*jobs) > room.free)
        --*jobs;
    if (sessions_needed(*jobs) > room.free)
        *why = mem_printf("A job needs up to %d sessions, and only %lld %s free: see %s.",
                          sessions_needed(*jobs), (long long)room.free, count_word(room.free, "is", "are"),
                          room.limit);
    else if (*jobs < wanted)
        log_info("--jobs=%d instead of %d: only %lld %s free, see %s", *jobs, wanted, (long long)room.free,
                 count_word(room.free, "session is", "sessions are"), room.limit);
    free(room.limit);
    return *why == NULL;
}

bool
sessions_refuse(const char *reasons, struct error *err)
{
    error_set(err, ERROR_REFUSED, "the server is not ready for this");
    return error_detail(err, "%s", reasons);
}
