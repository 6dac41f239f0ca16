/* Removes an object that a job has made, by its kind. Internal to the state. */
#ifndef PGRECAST_STATE_UNDO_H
#define PGRECAST_STATE_UNDO_H

#include "state/ledger.h"

struct undo_object {
    enum ledger_kind kind;
    const char *name;
    uint32_t oid; /* 0: not known */
    bool named;   /* the oid alone is no proof: the name must match too */
};

/*
 * It is no failure if there is nothing to remove. job: the job that made the object, or NULL where it is not
 * known. A job may have come here with a dump or a copy (.here is false). Then only an object with both the
 * oid and the name is removed, because the oid may be another object's. A spool is removed only if its own
 * header says that it is this job's. Otherwise it is left, and named in the error.
 */
bool undo_object(struct session *s, const struct job_state *job, const struct undo_object *object,
                 struct error *err);

#endif
