#include "state/request.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "fence.h"
#include "statements.h"

static const char *const kind_names[REQUEST_KINDS] = {"cutover", "rollback", "verify",
                                                      "finish",  "abort",    "release"};
static const char *const outcome_names[] = {"", "done", "failed", "not_taken", "withdrawn"};

const char *
request_kind_name(enum request_kind kind)
{
    return kind_names[kind];
}

char *
request_maps_write(int count, const char *const *maps, struct error *err)
{
    json_t *list = json_array(), *arguments = json_pack("{s:o}", "reverse_maps", list);
    char *dumped, *text = NULL;

    for (int i = 0; i < count; i++) {
        if (json_array_append_new(list, json_string(maps[i])) != 0)
            error_set(err, ERROR_USAGE, "--reverse-map number %d is not UTF-8", i + 1);
    }
    if (err->message == NULL) {
        dumped = json_dumps(arguments, JSON_COMPACT);
        text = mem_strdup(dumped);
        free(dumped);
    }
    json_decref(arguments);
    return text;
}

bool
request_maps_read(const char *arguments, struct string_list *maps, struct error *err)
{
    json_t *json = arguments != NULL ? json_loads(arguments, 0, NULL) : NULL;
    json_t *list = json_object_get(json, "reverse_maps"), *map;
    bool ok = json_is_array(list);
    size_t i;

    list_free(maps);
    json_array_foreach(list, i, map)
    {
        ok = ok && json_is_string(map);
        if (ok)
            list_add(maps, mem_strdup(json_string_value(map)));
    }
    json_decref(json);
    return ok || error_set(err, ERROR_USAGE,
                           "the arguments of the request are not {\"reverse_maps\": [text, ...]}");
}

bool
request_keeps(const char *arguments)
{
    json_t *json = arguments != NULL ? json_loads(arguments, 0, NULL) : NULL;
    bool keeps = json_is_true(json_object_get(json, "keep"));

    json_decref(json);
    return keeps;
}

bool
request_add(struct session *s, const struct job_state *job, enum request_kind kind, const char *arguments,
            int64_t *id, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_int(&p, job->id);
    params_text(&p, kind_names[kind]);
    params_text(&p, arguments);
    ok = session_row_with(s, &res, err, state_sql_request_add, &p);
    *id = ok ? row_int(&res, 0, "id") : 0;
    result_free(&res);
    return ok;
}

static void
take_reason(const struct result *res, struct error *reason)
{
    error_set(reason, (enum error_kind)row_int(res, 0, "exit_status"), "%s", row_text(res, 0, "message"));
    if (!row_null(res, 0, "detail"))
        error_detail(reason, "%s", row_text(res, 0, "detail"));
    if (!row_null(res, 0, "hint"))
        error_hint(reason, "%s", row_text(res, 0, "hint"));
}

bool
request_read(struct session *s, int64_t id, struct request_answer *answer, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    request_answer_clear(answer);
    params_int(&p, id);
    ok = session_row_with(s, &res, err, state_sql_request_read, &p);
    if (ok) {
        const char *outcome = row_null(&res, 0, "outcome") ? "" : row_text(&res, 0, "outcome");

        for (int i = REQUEST_PENDING; i <= REQUEST_WITHDRAWN; i++)
            if (strcmp(outcome_names[i], outcome) == 0)
                answer->outcome = (enum request_outcome)i;
        answer->ended = row_bool(&res, 0, "ended");
        answer->taken = row_bool(&res, 0, "taken");
        answer->job_ended = row_bool(&res, 0, "job_ended");
        answer->result = row_copy(&res, 0, "result");
        if (answer->outcome == REQUEST_REFUSED)
            take_reason(&res, &answer->reason);
    }
    result_free(&res);
    return ok;
}

void
request_answer_clear(struct request_answer *answer)
{
    error_clear(&answer->reason);
    free(answer->result);
    memset(answer, 0, sizeof(*answer));
}

bool
request_withdraw(struct session *s, int64_t id, struct error *err)
{
    struct params p = {0};

    params_int(&p, id);
    params_text(&p, outcome_names[REQUEST_WITHDRAWN]);
    return session_query_with(s, NULL, err, state_sql_request_withdraw, &p);
}

static bool
parse_kind(const char *name, enum request_kind *kind)
{
    for (int i = 0; i < REQUEST_KINDS; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            *kind = (enum request_kind)i;
            return true;
        }
    }
    return false;
}

/* A kind that this version does not know is answered at once, so that nobody waits for it. */
static bool
request_refuse_kind(struct session *s, const struct job_state *job, const struct result *res, int row,
                    struct error *err)
{
    struct error reason = {0};
    char *ids = mem_printf("{%s}", row_text(res, row, "id"));
    bool ok;

    error_set(&reason, ERROR_USAGE, "the instance that runs the job knows no request \"%s\"",
              row_text(res, row, "kind"));
    ok = request_end(s, job, ids, &reason, NULL, err);
    error_clear(&reason);
    free(ids);
    return ok;
}

bool
request_take(struct session *s, const struct job_state *job, struct request_list *list, struct error *err)
{
    struct result res = {0};
    struct params p = fence_params(job);
    bool ok = session_query_with(s, &res, err, state_sql_request_open, &p);

    request_list_free(list);
    if (ok && result_rows(&res) > 0)
        list->items = mem_array(NULL, (size_t)result_rows(&res), sizeof(*list->items));
    for (int i = 0; ok && i < result_rows(&res); i++) {
        struct request *r = &list->items[list->count];

        if (!parse_kind(row_text(&res, i, "kind"), &r->kind)) {
            ok = request_refuse_kind(s, job, &res, i, err);
            continue;
        }
        r->id = row_int(&res, i, "id");
        r->arguments = row_copy(&res, i, "arguments");
        list->count++;
    }
    result_free(&res);
    return ok;
}

void
request_list_free(struct request_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i].arguments);
    free(list->items);
    memset(list, 0, sizeof(*list));
}

static bool
request_same_text(const char *a, const char *b)
{
    return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

char *
request_ids(const struct request_list *list, enum request_kind kind)
{
    const struct request *first = NULL;
    struct buffer ids = {0};

    buffer_add_char(&ids, '{');
    for (int i = 0; i < list->count; i++) {
        const struct request *r = &list->items[i];

        if (r->kind != kind || (first != NULL && !request_same_text(r->arguments, first->arguments)))
            continue;
        buffer_printf(&ids, "%s%" PRId64, first != NULL ? "," : "", r->id);
        first = first != NULL ? first : r;
    }
    buffer_add_char(&ids, '}');
    return buffer_take(&ids);
}

bool
request_end(struct session *s, const struct job_state *job, const char *ids, const struct error *reason,
            const char *result, struct error *err)
{
    struct params p = fence_params(job);

    params_text(&p, ids);
    params_text(&p, outcome_names[reason != NULL ? REQUEST_REFUSED : REQUEST_DONE]);
    if (reason != NULL)
        params_int(&p, (int64_t)reason->kind);
    else
        params_null(&p);
    params_text(&p, reason != NULL ? reason->message : NULL);
    params_text(&p, reason != NULL ? reason->detail : NULL);
    params_text(&p, reason != NULL ? reason->hint : NULL);
    params_text(&p, result);
    return fence_run(s, NULL, err, state_sql_request_end, &p);
}
