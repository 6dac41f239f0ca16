/*
 * Requests to a job that another process runs. A request is a row with an id of its own. The process that
 * makes the request waits for that id. The instance takes the open requests, carries them out, and ends each
 * row with the outcome. So two processes that make a request at the same time never get each other's answer.
 * The rows remain as a history.
 *
 * A request is withdrawn when the process that made it stops waiting. It ends as not taken when the instance
 * that could
 * have taken it has ended.
 */
#ifndef PGRECAST_STATE_REQUEST_H
#define PGRECAST_STATE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/list.h"
#include "pg/session.h"
#include "state/job.h"

enum request_kind {
    REQUEST_CUTOVER,
    REQUEST_ROLLBACK, /* arguments: {"reverse_maps": [text, …]}, or none */
    REQUEST_VERIFY,   /* result: {"lsn", "rows", "mismatches", "hash"} */
    REQUEST_FINISH,   /* arguments: {"keep": true}, or none */
    REQUEST_ABORT,
    REQUEST_RELEASE, /* lets a job continue that a test has held */
    REQUEST_KINDS,
};

const char *request_kind_name(enum request_kind kind);

/*
 * Makes the arguments of a rollback request: maps "column=expression". The caller frees the text. ERROR_USAGE
 * where one is not UTF-8.
 */
char *request_maps_write(int count, const char *const *maps, struct error *err);
bool request_maps_read(const char *arguments, struct string_list *maps, struct error *err);

/* The arguments of a finish request that keeps the inactive table. */
#define REQUEST_KEEP "{\"keep\": true}"
bool request_keeps(const char *arguments);

/* Make a request. arguments: JSON or NULL. */
bool request_add(struct session *s, const struct job_state *job, enum request_kind kind,
                 const char *arguments, int64_t *id, struct error *err);

enum request_outcome {
    REQUEST_PENDING,
    REQUEST_DONE,
    REQUEST_REFUSED,   /* not carried out: .reason says why */
    REQUEST_NOT_TAKEN, /* the instance ended, or was replaced, before it took the request */
    REQUEST_WITHDRAWN,
};

/* What became of a request. Zero-initialise; release with request_answer_clear(). */
struct request_answer {
    enum request_outcome outcome;
    bool ended;     /* false with REQUEST_DONE: it was carried out, but its figures are not written yet */
    bool taken;     /* an instance has read it */
    bool job_ended; /* the job has ended, so nobody will answer */
    struct error reason;
    char *result; /* JSON, or NULL */
};
bool request_read(struct session *s, int64_t id, struct request_answer *answer, struct error *err);
void request_answer_clear(struct request_answer *answer);

/*
 * Withdraw a request, because nobody waits for it any more. Does nothing where it was carried out meanwhile.
 */
bool request_withdraw(struct session *s, int64_t id, struct error *err);

/* For the instance: the open requests, oldest first. What the instance reads counts as taken. */
struct request {
    int64_t id;
    enum request_kind kind;
    char *arguments; /* JSON, or NULL */
};
struct request_list {
    int count;
    struct request *items;
};
bool request_take(struct session *s, const struct job_state *job, struct request_list *list,
                  struct error *err);
void request_list_free(struct request_list *list);

/*
 * The ids of the requests in the list that are of that kind and have the same arguments as the first of
 * these: an array in SQL's text form, which the caller frees.
 */
char *request_ids(const struct request_list *list, enum request_kind kind);

/*
 * End the requests with these ids: carried out (reason NULL, result JSON or NULL), or not. Each is also an
 * event.
 */
bool request_end(struct session *s, const struct job_state *job, const char *ids, const struct error *reason,
                 const char *result, struct error *err);

#endif
