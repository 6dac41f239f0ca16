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
#include "pg/pipeline.h"
#include "pg/session.h"

#define JOB_FORMAT 3
/* First keys of the advisory locks of a running instance; the second is the job's id. */
#define JOB_LOCK_CLASS 1885827683  /* "pgrc": it is the only one */
#define JOB_READY_CLASS 1885827684 /* it reads requests; those of the time before it may have forgotten */

enum job_phase {
    PHASE_INIT,
    PHASE_COPY,
    PHASE_INDEX,
    PHASE_CATCHUP,
    PHASE_VERIFY,
    PHASE_READY,
    PHASE_CUTOVER,
    PHASE_REVERSE,     /* the new table serves, the original is kept in sync */
    PHASE_ROLLED_BACK, /* the original serves again, the new table is kept in sync */
    PHASE_FINISHED,
    PHASE_ABORTED,
    PHASE_FAILED,
};

const char *job_phase_name(enum job_phase phase);

/* One of a job's tables. */
struct job_table {
    char *schema_name;
    char *table_name;
    uint32_t source_oid;       /* of the original */
    uint32_t shadow_oid;       /* of the new table; 0 before it exists */
    char *fingerprint;         /* of the original, when the job began */
    uint32_t copied_filenode;  /* storage of the table that the recorded chunks are of; 0: none yet */
    char *serving_fingerprint; /* of what serves, as the last swap left it; NULL before the first */
    lsn_t applied;             /* of pgrecast.position, when the job was read */
};

/* Owns its strings and tables; release with job_state_clear(). */
struct job_state {
    int64_t id;
    char *name;
    char *schema_name; /* of the table that was named first */
    char *table_name;
    int table_count;
    struct job_table *tables; /* as in the plan set */
    char *sql;
    char *system_identifier;
    int timeline;
    char *slot_name;
    char *publication_name;      /* of the original */
    char *back_publication_name; /* of the new table */
    char *spool_directory;
    char *host;
    char *plan;    /* JSON, see plan_set_write() */
    char *options; /* JSON, see job_options_write() */
    enum job_phase phase;
    int64_t instance; /* how many have taken the job; what an older one writes has no effect */
    int leg;          /* swaps so far: where it is odd, the new table serves */
    bool ended;
    lsn_t start; /* where the slot began */
    uint64_t x0;
    lsn_t barrier;
    lsn_t exact;
    bool shadow_complete; /* of all tables */
    uint64_t swap_xid;    /* transaction of the last swap */
    lsn_t swap_lsn;       /* all it has applied is before, its commit after */
    double
        window_s; /* seconds until the rollback window ends, when the job was read; negative: it does not */
};

/* The new tables serve. */
bool job_is_turned(const struct job_state *job);

/* Up to here the changes of every table are applied. */
lsn_t job_applied(const struct job_state *job);

/* The oid of the table that serves, and of the one that does not. */
uint32_t job_serving_oid(const struct job_state *job, int table);
uint32_t job_other_oid(const struct job_state *job, int table);

void job_state_clear(struct job_state *job);

/* Create schema pgrecast and its tables where they are missing. */
bool job_state_install(struct session *s, struct error *err);

/*
 * Enter a new job (all strings and tables set, id is given back) and take its lock. A job of that name that
 * has ended is replaced; one that has not is ERROR_REFUSED.
 */
bool job_state_create(struct session *s, struct job_state *job, struct error *err);

/* Read a job by name. ERROR_USAGE when there is none; ERROR_FAILED for another format, with err->sqlstate
 * JOB_OTHER_FORMAT. */
#define JOB_OTHER_FORMAT "PGRJ2"
bool job_state_read(struct session *s, const char *name, struct job_state *job, struct error *err);

/* The advisory lock that one running instance holds; it dies with the session. ERROR_FAILED when another has
 * it: err->sqlstate is JOB_LOCKED then. */
#define JOB_LOCKED "PGRJ1"
bool job_state_lock(struct session *s, const struct job_state *job, struct error *err);

/*
 * Become the instance of a job whose lock is held: from now on no other one can write. The last error is
 * forgotten, and requests that nobody has answered, unless the same process takes it again. Those that come
 * after it will be read: JOB_READY_CLASS says so.
 */
bool job_state_take(struct session *s, struct job_state *job, bool again, struct error *err);

/* Everything below is refused (ERROR_FAILED) to an instance that has been replaced. */
bool job_state_set_phase(struct session *s, struct job_state *job, enum job_phase phase, struct error *err);
bool job_state_save_start(struct session *s, const struct job_state *job,
                          struct error *err); /* start, x0, barrier, exact, timeline */
/* shadow_oid and copied_filenode of a table, by its position. */
bool job_state_save_table(struct session *s, const struct job_state *job, int table, struct error *err);

/* Where the job goes on: this host, this process, the spool's directory. */
bool job_state_save_place(struct session *s, const struct job_state *job, struct error *err);
bool job_state_save_options(struct session *s, struct job_state *job, const char *options, struct error *err);

/* Another plan, from plan_set_remap(); the maps that asked for it are done with. */
bool job_state_save_plan(struct session *s, struct job_state *job, const char *plan, struct error *err);

/*
 * In the transaction of a swap, as parts of its one round trip: one leg further. window_s: seconds until the
 * way back ends, negative: never. It has moved, or not for who was replaced. And of a table what serves from
 * now on (oid), by its fingerprint, and what the ledger removes.
 */
bool job_state_prepare_swap(struct session *s, struct error *err); /* the session, before */
void job_state_add_swap(struct pipeline *p, const struct job_state *job, enum job_phase phase,
                        double window_s);
bool job_state_swap_saved(const struct result *res, struct error *err);
void job_state_add_serving(struct pipeline *p, const struct job_state *job, int table, uint32_t oid);
void job_state_add_other(struct pipeline *p, const struct job_state *job, const char *before,
                         const char *after, const char *undo);

/* What stopped the job, for status. */
bool job_state_save_error(struct session *s, const struct job_state *job, const struct error *reason,
                          struct error *err);

/* The answer to a request to cut over, roll back or finish that could not be carried out; NULL: it was. */
bool job_state_answer(struct session *s, const struct job_state *job, const struct error *reason,
                      struct error *err);

/* The job is over: phase and error are kept, positions and chunks are removed. */
bool job_state_end(struct session *s, struct job_state *job, enum job_phase phase, const char *message,
                   struct error *err);

/* Kinds of ledger entries whose undo is not a plain statement. */
#define LEDGER_SLOT "slot"   /* must be inactive first */
#define LEDGER_SPOOL "spool" /* a directory of this host */
#define LEDGER_TABLE "table" /* the one that does not serve */

/* An entry that is there already stays as it is. */
bool ledger_enter(struct session *s, const struct job_state *job, const char *kind, const char *name,
                  const char *undo, struct error *err);
bool ledger_forget(struct session *s, const struct job_state *job, const char *kind, const char *name,
                   struct error *err);

/* All of a kind are no longer the job's to remove. */
bool ledger_forget_kind(struct session *s, const struct job_state *job, const char *kind, struct error *err);

/* Undo one entry and forget it; nothing where there is none. */
bool ledger_undo_one(struct session *s, const struct job_state *job, const char *kind, const char *name,
                     struct error *err);

/* Undo all entries, last first, each forgotten when undone. Goes on past failures; the first is reported. */
bool ledger_undo(struct session *s, const struct job_state *job, struct error *err);

#endif
