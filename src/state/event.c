#include "state/event.h"

#include <jansson.h>
#include <stdlib.h>

#include "core/mem.h"
#include "fence.h"
#include "statements.h"

static bool
event_add(struct session *s, const struct job_state *job, const char *kind, const char *message, json_t *data,
          struct error *err)
{
    struct params p = fence_params(job);
    char *text = mem_checked(json_dumps(data, JSON_COMPACT));
    bool ok;

    params_text(&p, kind);
    params_text(&p, message);
    params_text(&p, text);
    ok = fence_run(s, NULL, err, state_sql_event_add, &p);
    free(text);
    json_decref(data);
    return ok;
}

bool
event_attempt(struct session *s, const struct job_state *job, int attempt, const struct error *why,
              struct error *err)
{
    return event_add(s, job, "attempt", why->message,
                     json_pack("{s:i, s:s?}", "attempt", attempt, "blocker", why->detail), err);
}

bool
event_carried(struct session *s, const struct job_state *job, const char *message, json_t *changes,
              struct error *err)
{
    return event_add(s, job, "carried", message, json_pack("{s:O}", "changes", changes), err);
}
