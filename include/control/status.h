/* What is known of a job, for people and programs: read from schema pgrecast, printed as text or JSON. */
#ifndef PGRECAST_CONTROL_STATUS_H
#define PGRECAST_CONTROL_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/error.h"
#include "core/lsn.h"
#include "pg/session.h"

struct job_object {
    char *kind;
    char *name;
    bool exists; /* where that can be asked of the server; true otherwise */
};

struct job_status {
    char *job;
    int table_count;
    char **tables; /* "schema.table" */
    char *phase;
    char *sql; /* or NULL for a rebuild */
    bool ended;
    bool running; /* an instance of the program holds the job */
    double age_seconds;

    int64_t rows_copied, rows_estimated;
    int64_t bytes_copied, bytes_total;
    int64_t changes_spooled, changes_applied;
    int64_t spool_bytes;
    int64_t lag_bytes;
    double lag_seconds;
    char *throttled_by; /* or NULL */
    double eta_seconds; /* negative: unknown */
    int lock_attempts;
    double lock_held_ms; /* negative: no cutover yet */
    double lock_wait_ms;
    int64_t wal_retained_bytes; /* by the slot; -1: no slot */

    lsn_t verify_lsn; /* 0: not verified yet */
    int64_t verify_rows, verify_mismatches;
    char *verify_hash;
    char *error; /* or NULL */

    int leg;                /* swaps so far */
    char *window_ends;      /* of the rollback window, in UTC; or NULL */
    bool rollback_possible; /* as far as is known: nothing stands against it */
    char *rollback_reason;  /* why not, or NULL */
    int64_t blocked_rows;   /* rows of the new tables that the originals cannot hold */
    int blocked_count;      /* some of them: */
    struct job_blocked {
        char *key;
        char *error;
    } * blocked;

    int object_count;
    struct job_object *objects; /* what the job has made and not removed */
};

struct status_list {
    int count;
    struct job_status *jobs;
};

/* All jobs, or the one named. A named job that does not exist is ERROR_USAGE; no schema pgrecast means no
 * jobs. */
bool status_read(struct session *s, const char *name, struct status_list *list, struct error *err);
void status_list_free(struct status_list *list);

/*
 * Slots and publications that bear the program's name and that no job's ledger knows: their job's state was
 * dropped. name: those of a job of that name, NULL: all, and new tables too (whose names are no proof).
 * Released with orphan_list_free().
 */
struct orphan_list {
    int count;
    struct orphan {
        char *kind;
        char *name;
        char *undo; /* the statement that removes it */
    } * items;
};
bool orphans_read(struct session *s, const char *name, struct orphan_list *list, struct error *err);
void orphan_list_free(struct orphan_list *list);

/* pgrecast_JOB: how the names of a job's slot and publications begin. The caller frees it. */
char *status_name_of(const char *job);

/* True when the database has a schema pgrecast with jobs in it. */
bool status_schema_exists(struct session *s, bool *exists, struct error *err);

void status_print(const struct job_status *job, FILE *out);        /* a paragraph */
void status_print_line(const struct job_status *job, FILE *out);   /* a line of `jobs` */
void status_print_json(const struct status_list *list, FILE *out); /* an array of objects, one job each */

#endif
