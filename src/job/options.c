/* The options that stay with a job, as JSON. */
#include <jansson.h>

#include "core/mem.h"
#include "options.h"

char *
job_options_write(const struct job_options *o)
{
    json_t *json = json_pack("{s:i, s:I, s:i, s:i, s:b, s:b, s:b, s:i, s:I, s:i}", "workers", o->workers,
                             "chunk_bytes", (json_int_t)o->chunk_bytes, "lock_timeout_ms", o->lock_timeout_ms,
                             "cutover_attempts", o->cutover_attempts, "hold", (int)o->hold, "verify",
                             (int)o->verify, "keep_original", (int)o->keep_original, "start_timeout_s",
                             o->start_timeout_s, "window_s", (json_int_t)o->window_s, "exit", (int)o->exit);
    char *dumped = json_dumps(json, JSON_COMPACT), *text = mem_strdup(dumped);

    free(dumped);
    json_decref(json);
    return text;
}

char *
job_maps_write(int count, const char *const *maps, struct error *err)
{
    json_t *json = json_array();
    char *dumped, *text = NULL;

    for (int i = 0; i < count; i++) {
        if (json_array_append_new(json, json_string(maps[i])) != 0)
            error_set(err, ERROR_USAGE, "--reverse-map number %d is not UTF-8", i + 1);
    }
    if (err->message == NULL) {
        dumped = json_dumps(json, JSON_COMPACT);
        text = mem_strdup(dumped);
        free(dumped);
    }
    json_decref(json);
    return text;
}

bool
job_options_read(struct job_options *o, const char *text, struct error *err)
{
    json_error_t at;
    json_t *json = text != NULL ? json_loads(text, 0, &at) : NULL;
    json_int_t chunk_bytes = 0, window_s = 0;
    int hold = 0, verify = 0, keep_original = 0, end = 0;
    bool ok =
        json != NULL &&
        json_unpack(json, "{s:i, s:I, s:i, s:i, s:b, s:b, s:b, s:i, s:I, s:i}", "workers", &o->workers,
                    "chunk_bytes", &chunk_bytes, "lock_timeout_ms", &o->lock_timeout_ms, "cutover_attempts",
                    &o->cutover_attempts, "hold", &hold, "verify", &verify, "keep_original", &keep_original,
                    "start_timeout_s", &o->start_timeout_s, "window_s", &window_s, "exit", &end) == 0;

    if (ok) {
        o->chunk_bytes = chunk_bytes;
        o->window_s = window_s;
        o->hold = hold != 0;
        o->verify = verify != 0;
        o->keep_original = keep_original != 0;
        o->exit = (enum job_exit)end;
    } else {
        error_set(err, ERROR_FAILED, "the options stored with the job cannot be read");
    }
    json_decref(json);
    return ok;
}
