#include "ending.h"

#include "core/stop.h"
#include "engine.h"

bool
ending_finish(struct session *s, struct job_state *job, bool keep, struct error *err)
{
    bool ok;

    engine_kill_point("finish-begun");
    stop_hold(); /* the end must not be interrupted half-way */
    ok = (!keep || ledger_forget_kind(s, job, LEDGER_TABLE, err)) &&
         job_state_set_phase(s, job, PHASE_FINISHED, err) && ledger_undo(s, job, err);
    if (ok)
        engine_kill_point("finish-dropped");
    ok = ok && job_state_end(s, job, PHASE_FINISHED, NULL, err);
    stop_release();
    if (!ok) {
        error_context(err, "the swap is done, but the clean-up is not complete");
        error_hint(err, "Complete it with: pgrecast finish %s", job->name);
    }
    return ok;
}
