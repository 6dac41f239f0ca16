/* All that is known about jobs, for people and programs, read at once. Printed by control/print_status.h. */
#ifndef PGRECAST_STATE_STATUS_H
#define PGRECAST_STATE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/error.h"
#include "core/lsn.h"
#include "pg/session.h"
#include "state/access.h"
#include "state/blocked.h"

struct job_object {
    char *kind;
    char *name;
    bool exists; /* where the server can be asked for it; otherwise true */
};

struct job_status {
    int64_t record; /* number of its record */
    char *job;
    int table_count;
    char **tables; /* "schema.table" */
    char *phase;
    char *sql; /* NULL: a rebuild */
    bool ended;
    bool running;                /* an instance runs the job */
    char *created_at, *ended_at; /* ISO 8601 in UTC; ended_at: or NULL */

    int64_t instance; /* the process that runs the job, or was the last to run it: its number, ... */
    char *host;
    int pid;
    char *instance_since; /* ... and when it took the job */
    bool hold;            /* it cuts over only when that is requested */
    int inactive_count;
    char **inactive; /* "schema.table" of the inactive tables that exist */
    double age_seconds;

    int64_t rows_copied, rows_estimated;
    int64_t bytes_copied, bytes_total;
    int64_t changes_spooled, changes_applied;
    int64_t spool_bytes;
    int64_t lag_bytes;  /* negative: unknown */
    double lag_seconds; /* negative: unknown */
    char *throttled_by; /* NULL: not throttled */
    char *waits;        /* what the running instance waits for: JSON, see state/progress.h; NULL: nothing */
    double eta_seconds; /* negative: unknown */
    int lock_attempts;
    double lock_held_ms; /* negative: no cutover yet */
    double lock_wait_ms;
    int64_t wal_retained_bytes; /* log that the slot keeps; -1: no slot */

    lsn_t verify_lsn; /* 0: not verified yet */
    int64_t verify_rows, verify_mismatches;
    char *verify_hash;
    char *error; /* NULL: none */

    char *held;         /* why nothing is swapped for now; NULL: swaps are possible */
    char *held_changes; /* JSON: [{object, property, what}], or NULL */
    bool held_for_good; /* no swap will be possible any more */

    char *failed_kind; /* kind of the last answered request, if it was not carried out; otherwise NULL */
    char *failed_message, *failed_at; /* why it was not, and when: ISO 8601 in UTC */

    int swaps;                         /* number of swaps so far; even: the original is active */
    char *slot_lost;                   /* what became of the replication slot; NULL: the job can use it */
    char *window_ends;                 /* end of the rollback window, ISO 8601 in UTC; or NULL */
    char *window_ends_text;            /* the same, written for people; or NULL */
    bool window_over;                  /* the window has ended, but the job has not */
    bool rollback_possible;            /* no reason against a rollback is known */
    char *rollback_reason;             /* why it is not possible; or NULL */
    int64_t blocked_rows;              /* rows of the new tables that the originals cannot hold */
    struct state_blocked_rows blocked; /* some of these rows */

    int object_count;
    struct job_object *objects; /* objects that the job has made and not removed yet */
};

struct status_list {
    int count;
    struct job_status *jobs;
};

/* Which jobs. */
struct status_query {
    const char *name; /* NULL: of any name */
    int64_t record;   /* the record of that number; 0: the latest of each name ... */
    bool all;         /* ... or all records */
};

/*
 * Read jobs of the state that presence describes (see state_open()). A named job that does not exist is
 * ERROR_USAGE; a state of another version is ERROR_FAILED.
 */
bool status_read(struct session *s, enum state_presence presence, const struct status_query *query,
                 struct status_list *list, struct error *err);
void status_list_free(struct status_list *list);
void job_status_clear(struct job_status *job);

/* A command needs the record of a job, and there is no state of this version: set the error. Returns false. */
bool status_refuse_absent(enum state_presence presence, const char *name, struct error *err);

/*
 * Slots and publications whose names are the program's and which are in no job's ledger: the state of their
 * job was dropped. name: those of a job of that name; NULL: all, and new tables too (whose names prove
 * nothing). Release with orphan_list_free().
 */
struct orphan_list {
    int count;
    struct orphan {
        char *kind;
        char *name;
        uint32_t oid; /* 0: the kind has no oid */
        char *remove; /* the command with which a person can remove it */
    } * items;
};
bool orphans_read(struct session *s, enum state_presence presence, const char *name, struct orphan_list *list,
                  struct error *err);
bool orphan_remove(struct session *s, const struct orphan *orphan,
                   struct error *err); /* a slot or publication */
void orphan_list_free(struct orphan_list *list);

/* pgrecast_JOB: the beginning of the names of a job's slot and publications. The caller frees it. */
char *status_name_of(const char *job);

#endif
