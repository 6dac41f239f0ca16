#include "state/published.h"

#include <stdlib.h>

#include "core/mem.h"
#include "fence.h"
#include "statements.h"

#define STATEMENT_PUBLISHED "pgrecast_published" /* name of the prepared statement */

static bool
read_published(struct session *s, const struct job_state *job, struct result *res, struct error *err)
{
    struct params p = {0};

    params_int(&p, job->id);
    return session_row_with(s, res, err, state_sql_published, &p);
}

bool
published_note(struct session *s, struct job_state *job, struct error *err)
{
    struct params p = fence_params(job);
    struct result res = {0};
    bool ok = read_published(s, job, &res, err);

    if (ok && !row_null(&res, 0, "odd")) {
        ok = error_set(err, ERROR_FAILED, "publication %s is not as it was made", row_text(&res, 0, "odd"));
        error_detail(err, "An event trigger, or somebody else, has changed what it publishes.");
    }
    if (ok) {
        params_text(&p, row_text(&res, 0, "published"));
        ok = fence_run(s, NULL, err, state_sql_published_note, &p);
    }
    if (ok) {
        free(job->published);
        job->published = row_copy(&res, 0, "published");
    }
    result_free(&res);
    return ok;
}

char *
published_read(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    char *published = read_published(s, job, &res, err) ? row_copy(&res, 0, "published") : NULL;

    if (published == NULL && err->message == NULL)
        published = mem_strdup("{}");
    result_free(&res);
    return published;
}

bool
published_prepare(struct session *s, struct error *err)
{
    return session_prepare(s, err, STATEMENT_PUBLISHED, state_sql_published);
}

void
published_add(struct pipeline *p, const struct job_state *job)
{
    struct params params = {0};

    params_int(&params, job->id);
    pipeline_add_prepared_with(p, STATEMENT_PUBLISHED, &params);
}

const char *
published_of(const struct result *res)
{
    return result_rows(res) == 1 && !row_null(res, 0, "published") ? row_text(res, 0, "published") : "{}";
}
