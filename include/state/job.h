/*
 * A job as the database keeps it: its row, its tables, its stream and its phase.
 *
 * One instance: a running program holds an advisory lock on the job, and every write here is fenced by the
 * number of the
 * instance. A process that hung and was replaced is refused (ERROR_FAILED, SQLSTATE JOB_LOCKED), and what it
 * did in that
 * transaction is rolled back.
 */
#ifndef PGRECAST_STATE_JOB_H
#define PGRECAST_STATE_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "core/sqlstate.h"
#include "pg/session.h"

#define JOB_FORMAT 4
/*
 * First keys of the advisory locks that a running instance holds. The second key is the job's id; that of the last one
 * is the hash of the job's name, because the process has not read the job yet.
 */
#define JOB_LOCK_CLASS 1885827683  /* "pgrc": this is the only instance */
#define JOB_READY_CLASS 1885827684 /* it reads requests: those made to its predecessor are answered */
#define JOB_BEGIN_CLASS 1885827685 /* shared: it has connected, to become the instance */

enum job_phase {
    PHASE_INIT,
    PHASE_COPY,
    PHASE_INDEX,
    PHASE_CATCHUP,
    PHASE_VERIFY,
    PHASE_READY,
    PHASE_CUTOVER,
    PHASE_REVERSE,     /* the new table is active, the original is kept in sync */
    PHASE_ROLLED_BACK, /* the original is active again, the new table is kept in sync */
    PHASE_FINISHED,
    PHASE_ABORTED,
    PHASE_FAILED,
};

const char *job_phase_name(enum job_phase phase);

/* One of a job's tables. */
struct job_table {
    char *schema_name;
    char *table_name;
    uint32_t source_oid; /* of the original */
    uint32_t shadow_oid; /* of the new table; 0 before it exists */
    char *fingerprint;   /* of the original's definition, when the job began */
    /* Storage of the table from which the recorded chunks were read; 0: none yet. */
    uint32_t copied_filenode;
    char *definition;         /* of the original, when the job began: JSON, see catalog/table.h */
    char *active_fingerprint; /* of the active table, as the last swap left it; NULL before the first swap */
    char *active_definition;
    /* Of the inactive table, as the program has left it; NULL: the table is not complete. */
    char *other_fingerprint;
    char *other_definition;
    char *other_versions; /* of the rows in the catalogs, in the swap's transaction */
    lsn_t applied;        /* the table's position, when the job was read */
};

/* Owns its strings and tables; release with job_state_clear(). */
struct job_state {
    int64_t id;
    char *name;
    char *schema_name; /* of the table that is first in the job's statements */
    char *table_name;
    int table_count;
    struct job_table *tables; /* in the order of the plan set */
    char *sql;
    char *plan;     /* JSON, see plan_set_write() */
    char *options;  /* JSON, see job_options_write() */
    char *settings; /* JSON, see pg/settings.h: the evaluation set */
    enum job_phase phase;
    /* Number of the instance: how often the job was taken; writes of an earlier instance have no effect. */
    int64_t instance;
    int swaps; /* number of swaps so far; odd: the new table is active */
    bool ended;
    uint64_t x0;
    lsn_t barrier;
    lsn_t exact;
    bool shadow_complete; /* true when all new tables are complete */
    uint64_t swap_xid;    /* transaction of the last swap */
    /* Everything that the swap's transaction has applied is before it, the commit is after it. */
    lsn_t swap_lsn;
    char *held;         /* why nothing is swapped for now; NULL: swaps are possible */
    char *held_changes; /* JSON: what was changed */
    bool held_for_good; /* no swap will be possible any more */
    /* Seconds until the rollback window ends, when the job was read; negative: it has no end. */
    double window_s;
    int64_t mismatches; /* keys that differed in the last verification */
    /* The end of the window as date, time and zone, by the server's clock; NULL: no end. */
    char *window_ends;

    /* The job's stream. */
    int64_t stream_id;
    char *system_identifier;
    uint32_t database_oid; /* 0: not known */
    /* The job was begun in this database of this server; false after a dump and restore, or in a copy. */
    bool here;
    int timeline;
    char *slot_name;
    char *publication_name;      /* of the originals */
    char *back_publication_name; /* of the new tables */
    lsn_t start;                 /* log position at which the slot began */
    char *published;             /* what the publications publish, see published.h; NULL: not made yet */
    char *host;                  /* host of the spool */
    char *spool_directory;
};

/* True where the new tables are active. */
bool job_is_reversed(const struct job_state *job);

/* The log position up to which the changes of every table are applied. */
lsn_t job_applied(const struct job_state *job);

/* The oid of the active table; then that of the inactive one. */
uint32_t job_active_oid(const struct job_state *job, int table);
uint32_t job_other_oid(const struct job_state *job, int table);

void job_state_clear(struct job_state *job);

/*
 * Enter a new job with its stream, and take its lock. All strings and tables are set by the caller; the ids
 * are returned. A job of that name that has ended is replaced; one that has not is ERROR_REFUSED.
 */
bool job_state_create(struct session *s, struct job_state *job, struct error *err);

/* Read a job by name. ERROR_USAGE when there is none; ERROR_FAILED for another format, with SQLSTATE
 * JOB_OTHER_FORMAT. */
bool job_state_read(struct session *s, const char *name, struct job_state *job, struct error *err);

/*
 * The same for a job of any format, so that it can be removed. ERROR_FAILED where a job of another version
 * has cut over.
 */
bool job_state_read_any(struct session *s, const char *name, struct job_state *job, struct error *err);

/*
 * Set the error that there is no job of that name, or (record is not 0) no record of that number: ERROR_USAGE.
 * Returns false.
 */
bool job_state_missing(const char *name, int64_t record, struct error *err);

/* Set the error that the job has ended, with the way to its record: ERROR_FAILED. Returns false. */
bool job_state_ended(const struct job_state *job, struct error *err);

/*
 * Remove the records of the jobs of that name that have ended: all, or (record is not 0) the one of that
 * number. *count: how many there were. ERROR_FAILED if the only job of that name has not ended; ERROR_USAGE if
 * there is none, or no such record.
 */
bool job_state_forget(struct session *s, const char *name, int64_t record, int64_t *count, struct error *err);

/*
 * A job in the state of an older version (STATE_OLDER): only id, name and whether it has ended. ERROR_FAILED
 * where it has cut over: then only the version that made it can continue it.
 */
bool job_state_read_older(struct session *s, const char *name, struct job_state *job, struct error *err);
bool job_state_end_older(struct session *s, struct job_state *job, struct error *err);

/*
 * Take the advisory lock that one running instance holds; it ends with the session. Waits up to three seconds,
 * for the lock of an instance that has just ended. ERROR_FAILED with SQLSTATE JOB_LOCKED when another instance
 * has it.
 */
bool job_state_lock(struct session *s, const struct job_state *job, struct error *err);

/* Which locks of a job other sessions hold. */
struct job_locks {
    bool recent; /* an instance has run within the last minute, and has not ended with an error */
    bool begins; /* a process has connected to become the job's instance, see state_access.begins */
    bool taken;  /* an instance holds the job's lock */
    bool ready;  /* it reads requests */
};
bool job_state_find_locks(struct session *s, const struct job_state *job, struct job_locks *locks,
                          struct error *err);

/*
 * Become the instance of a job whose lock is held: from now on no other instance can write. The job's last
 * error is removed. Requests that nobody has answered end as not taken, unless the same process takes the job
 * again. Later requests will be read, which the lock of JOB_READY_CLASS shows.
 */
bool job_state_take(struct session *s, struct job_state *job, bool again, struct error *err);

/* Fenced, as all functions below. The phase is also an event. */
bool job_state_set_phase(struct session *s, struct job_state *job, enum job_phase phase, struct error *err);
/* Saves start, x0, barrier, exact and timeline. */
bool job_state_save_start(struct session *s, const struct job_state *job, struct error *err);
/* Saves shadow_oid and copied_filenode of a table, by its index. */
bool job_state_save_table(struct session *s, const struct job_state *job, int table, struct error *err);
/* The new tables are complete except for the swap. To be called in the transaction that completes them. */
bool job_state_save_complete(struct session *s, const struct job_state *job, struct error *err);
/*
 * Saves the definitions of an active table and its inactive one, as the program has left them: .active_…,
 * .other_…, and those of the original before the first swap
 */
bool job_state_save_definitions(struct session *s, const struct job_state *job, int table, struct error *err);
/* Saves where the job runs: this host, this process, the spool's directory. */
bool job_state_save_host(struct session *s, const struct job_state *job, struct error *err);
bool job_state_save_options(struct session *s, struct job_state *job, const char *options, struct error *err);
/* Adds another version of the plan, from plan_set_remap(). */
bool job_state_save_plan(struct session *s, struct job_state *job, const char *plan, struct error *err);
/* Saves the error that stopped the job, for status; it is also an event. */
bool job_state_save_error(struct session *s, const struct job_state *job, const struct error *reason,
                          struct error *err);

/*
 * Saves that nothing is swapped for now, and why: for status, and as an event. changes: JSON, see schema.sql.
 * for_good: no swap will be possible any more. message NULL: swaps are possible again.
 */
bool job_state_hold(struct session *s, struct job_state *job, const char *message, const char *changes,
                    bool for_good, struct error *err);

/*
 * The job has ended: phase and error are kept, positions and chunks are removed, and requests end (those that
 * asked for this end as done).
 */
bool job_state_end(struct session *s, struct job_state *job, enum job_phase phase, const char *message,
                   struct error *err);

#endif
