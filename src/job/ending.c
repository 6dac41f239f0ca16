#include "ending.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/command.h"
#include "core/stop.h"
#include "engine.h"
#include "sql/sql.h"
#include "state/ledger.h"

/* How long to wait for the end of the statements that an instance has left running. */
#define ORPHANS_MOST_MS 60000
#define ORPHANS_POLL_MS 50

bool
ending_orphans(struct session *s, const struct job_state *job, struct error *err)
{
    int64_t until = clock_ms() + ORPHANS_MOST_MS;
    struct buffer oids = {0};
    bool ok = true, again = true;

    for (int i = 0; i < job->table_count; i++)
        buffer_printf(&oids, "%s%" PRIu32, i > 0 ? "," : "{", job_other_oid(job, i));
    buffer_add_char(&oids, '}');
    while (ok && again) {
        struct result res = {0};

        ok = session_query(s, &res, err, sql_job_orphans, 1, oids.data);
        again = ok && result_rows(&res) > 0;
        result_free(&res);
        if (again && clock_ms() > until)
            ok =
                error_set(err, ERROR_FAILED, "statements of the job's last instance still run on the server");
        if (ok && again && !clock_sleep(ORPHANS_POLL_MS)) {
            ok = error_set(err, ERROR_FAILED, "stopped while waiting for the job's last instance to end");
            err->stopped = true;
        }
    }
    buffer_free(&oids);
    return ok;
}

/* One transaction stores that the job ends and what becomes of the inactive table. */
bool
ending_begin(struct session *s, struct job_state *job, bool keep, struct error *err)
{
    bool ok;

    engine_kill_point("finish-begun");
    ok = session_execute(s, err, "BEGIN") && job_state_set_phase(s, job, PHASE_FINISHED, err) &&
         (!keep ||
          (ledger_forget_kind(s, job, LEDGER_TABLE, err) && ledger_forget_kind(s, job, LEDGER_VIEW, err))) &&
         session_commit(s, err);
    if (!ok)
        session_rollback(s);
    /*
     * The spools go first: the slot shows that they belong to this job, and not to one of which this database
     * is a copy.
     */
    return ok && ledger_undo_kind(s, job, LEDGER_SPOOL, err) &&
           ledger_undo_one(s, job, LEDGER_SLOT, job->slot_name, err);
}

bool
ending_finish(struct session *s, struct job_state *job, struct error *err)
{
    bool ok;

    stop_hold(); /* the end must not be interrupted */
    ok = ledger_undo(s, job, err);
    if (ok)
        engine_kill_point("finish-dropped");
    ok = ok && job_state_end(s, job, PHASE_FINISHED, NULL, err);
    stop_release();
    return ok;
}

bool
ending_incomplete(const struct job_state *job, struct error *err)
{
    error_context(err, "the swap is done, but the clean-up is not complete");
    return error_hint(err, "Complete it with: " COMMAND("finish"), job->name);
}
