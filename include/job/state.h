/*
 * A job as the database keeps it (schema pgrecast): its row, its phase and the undo ledger of what it has
 * made.
 *
 * The ledger comes first: an object is entered, and that committed, before it is made. So whatever a crash
 * leaves behind is named by `status` and removed by one command.
 */
#ifndef PGRECAST_JOB_STATE_H
#define PGRECAST_JOB_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "pg/session.h"

#define JOB_FORMAT 1
#define JOB_LOCK_CLASS 1885827683 /* "pgrc": first key of the advisory lock that a running instance holds */

enum job_phase {
    PHASE_INIT,
    PHASE_COPY,
    PHASE_INDEX,
    PHASE_CATCHUP,
    PHASE_VERIFY,
    PHASE_READY,
    PHASE_CUTOVER,
    PHASE_FINISHED,
    PHASE_ABORTED,
    PHASE_FAILED,
};

const char *job_phase_name(enum job_phase phase);

/* Owns its strings; release with job_state_clear(). */
struct job_state {
    int64_t id;
    char *name;
    char *schema_name;
    char *table_name;
    uint32_t source_oid;
    char *sql;
    char *fingerprint;
    char *system_identifier;
    int timeline;
    char *slot_name;
    char *publication_name;
    char *spool_directory;
    enum job_phase phase;
    bool swapped;
    uint64_t x0;
    lsn_t barrier;
    lsn_t exact;
};

void job_state_clear(struct job_state *job);

/* Create schema pgrecast and its tables where they are missing. */
bool job_state_install(struct session *s, struct error *err);

/*
 * Enter a new job (all strings set, id is given back) and take its lock. A job of that name that has ended is
 * replaced; one that has not is ERROR_REFUSED.
 */
bool job_state_create(struct session *s, struct job_state *job, struct error *err);

/* Read a job by name. ERROR_USAGE when there is none, ERROR_FAILED for another format. */
bool job_state_read(struct session *s, const char *name, struct job_state *job, struct error *err);

/* The advisory lock that one running instance holds; it dies with the session. ERROR_FAILED when another has
 * it. */
bool job_state_lock(struct session *s, const struct job_state *job, struct error *err);

bool job_state_set_phase(struct session *s, struct job_state *job, enum job_phase phase, struct error *err);
bool job_state_save_start(struct session *s, const struct job_state *job,
                          struct error *err); /* x0, barrier, exact */

/* The job is over: phase and error are kept, positions and chunks are removed. */
bool job_state_end(struct session *s, struct job_state *job, enum job_phase phase, const char *message,
                   struct error *err);

/* Kinds of ledger entries whose undo is not a plain statement. */
#define LEDGER_SLOT "slot"   /* must be inactive first */
#define LEDGER_SPOOL "spool" /* a directory of this host */

bool ledger_enter(struct session *s, const struct job_state *job, const char *kind, const char *name,
                  const char *undo, struct error *err);
bool ledger_forget(struct session *s, const struct job_state *job, const char *kind, const char *name,
                   struct error *err);

/* Undo all entries, last first, each forgotten when undone. Goes on past failures; the first is reported. */
bool ledger_undo(struct session *s, const struct job_state *job, struct error *err);

#endif
