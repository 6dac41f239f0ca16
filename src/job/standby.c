#include "standby.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/stop.h"

#define SOON_MS 2000
#define MOST_MS 60000

/*
 * Whether this server has synchronous standbys. Most servers have none, and then no further session is
 * opened.
 */
static bool
any_standby(struct engine *e, bool *any, struct error *err)
{
    struct result res = {0};
    bool ok =
        session_row(e->control, &res, err,
                    "SELECT pg_catalog.current_setting('synchronous_standby_names') <> '' AS any_standby", 0);

    *any = ok && row_bool(&res, 0, "any_standby");
    result_free(&res);
    return ok;
}

/*
 * Commit a transaction of its own that writes. Its commit follows the swap's in the log, and waits as all
 * commits of the role do. A wait that is cancelled ends the commit without an error: so only the time shows
 * that it was cancelled.
 */
static bool
commit_waits(struct session *s, int most_ms, bool *confirmed, struct error *err)
{
    int64_t until = clock_ms() + most_ms;
    bool ok;

    ok = session_execute(s, err,
                         "BEGIN; SET LOCAL synchronous_commit TO DEFAULT; "
                         "SET LOCAL client_min_messages = error; "
                         "SELECT pg_catalog.pg_logical_emit_message(true, 'pgrecast standby', '')");
    session_set_deadline(s, until);
    ok = ok && session_commit(s, err);
    session_set_deadline(s, 0);
    *confirmed = ok && clock_ms() < until && !stop_requested();
    return ok;
}

bool
standby_await(struct engine *e, struct error *err)
{
    bool any, confirmed = false, ok = any_standby(e, &any, err);
    struct session *s;

    if (!ok || !any)
        return ok;
    s = session_open(e->options.connection, SESSION_SQL, "standby", err);
    ok = s != NULL && commit_waits(s, SOON_MS, &confirmed, err);
    if (ok && !confirmed && !stop_requested()) {
        log_info("the swap is committed; a synchronous standby has not confirmed it yet, and is waited for");
        ok = commit_waits(s, MOST_MS - SOON_MS, &confirmed, err);
        if (ok && !confirmed && !stop_requested())
            log_warning("no synchronous standby has confirmed the swap within %d s: the job continues",
                        MOST_MS / 1000);
        else if (ok && confirmed)
            log_info("the synchronous standbys have confirmed the swap");
    }
    session_close(s);
    return ok;
}
