/*
 * The undo ledger: everything that a job has made outside schema pgrecast. An entry is committed before its
 * object is made, and gets the object's oid in the transaction that makes it. So whatever a crash leaves
 * behind is named by `status` and removed by one command.
 *
 * Refuses to store SQL. An entry is a kind, a name and an oid. The statement that removes the object is built
 * here. It
 * removes only the object with that oid, never one that has only the name.
 */
#ifndef PGRECAST_STATE_LEDGER_H
#define PGRECAST_STATE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "pg/session.h"
#include "state/job.h"

enum ledger_kind {
    LEDGER_PUBLICATION,
    LEDGER_SLOT,  /* in this database; found by its name, which is unique in the cluster */
    LEDGER_SPOOL, /* a directory on this host, found by its path */
    LEDGER_TABLE, /* the inactive table; the name is quoted and qualified */
    LEDGER_VIEW,  /* a view over the inactive table; the name is quoted and qualified, and must match too */
    LEDGER_GUARD, /* the trigger on that table, with the name of the table; see guard.h */
};

/* Enter an object. An entry that exists already stays as it is. */
bool ledger_enter(struct session *s, const struct job_state *job, enum ledger_kind kind, const char *name,
                  struct error *err);

/* Set the oid of an entry, in the transaction that makes its object. */
bool ledger_made(struct session *s, const struct job_state *job, enum ledger_kind kind, const char *name,
                 uint32_t oid, struct error *err);

/* Forget all entries of a kind: the job does not remove these objects any more. */
bool ledger_forget_kind(struct session *s, const struct job_state *job, enum ledger_kind kind,
                        struct error *err);

/* Undo all entries of a kind and forget them. */
bool ledger_undo_kind(struct session *s, const struct job_state *job, enum ledger_kind kind,
                      struct error *err);

/* Undo one entry and forget it; nothing to do where there is none. */
bool ledger_undo_one(struct session *s, const struct job_state *job, enum ledger_kind kind, const char *name,
                     struct error *err);

/*
 * Undo all entries, last first; each is forgotten when it is undone. Continues after a failure; the first
 * failure is reported. A table is dropped only where it is the inactive table of the job.
 */
bool ledger_undo(struct session *s, const struct job_state *job, struct error *err);

/* The same for a job of an older format, see job_state_read_older(). */
bool ledger_undo_older(struct session *s, const struct job_state *job, struct error *err);

/*
 * The objects that the job itself has made, in the form that table_definition_read() takes. NULL on an error.
 * The caller frees it.
 */
char *ledger_own(struct session *s, const struct job_state *job, struct error *err);

#endif
