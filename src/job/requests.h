/* Requests from the side of the instance: read at each tick, carried out where the phase can. */
#ifndef PGRECAST_JOB_REQUESTS_H
#define PGRECAST_JOB_REQUESTS_H

#include "engine.h"

/*
 * Requests of one kind with the same arguments as the oldest of that kind are carried
 * out as one.
 */
bool requests_read(struct engine *e, struct error *err); /* answers at once what can never be carried out */
bool requests_ask(struct engine *e, enum request_kind kind, const char *arguments,
                  struct error *err); /* a request that the job makes itself */
bool requests_any(const struct engine *e, enum request_kind kind);
char *requests_ids(const struct engine *e, enum request_kind kind); /* the caller frees it */
/* NULL: no request of that kind. */
const char *requests_arguments(const struct engine *e, enum request_kind kind);
/*
 * True where a rollback request has maps that are not in force yet: they must be put in force before the
 * rollback.
 */
bool requests_remap(const struct engine *e);
/* Answer the requests: carried out (reason NULL), or not, for that reason. result: JSON or NULL. */
bool requests_answer(struct engine *e, enum request_kind kind, const struct error *reason, const char *result,
                     struct error *err);
/* Answer the requests with these ids; some may have been answered or withdrawn already. */
bool requests_answer_ids(struct engine *e, const char *ids, const struct error *reason, const char *result,
                         struct error *err);
/*
 * The process ends: answer the open requests that nobody will carry them out, and why, if the server can be
 * reached.
 */
void requests_give_up(struct engine *e, const struct error *reason);

#endif
