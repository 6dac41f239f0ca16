/* The figures of a job, which everybody may read (pgrecast.progress). Its instance writes them. */
#ifndef PGRECAST_STATE_PROGRESS_H
#define PGRECAST_STATE_PROGRESS_H

#include "state/job.h"

struct state_progress {
    bool copied; /* this instance has copied something; otherwise the figures of the copy are not changed */
    int64_t rows_copied, rows_estimated;
    int64_t bytes_copied, bytes_total;
    int64_t changes_spooled, changes_applied;
    int64_t spool_bytes;
    int64_t lag_bytes;  /* negative: unknown */
    double lag_seconds; /* negative: unknown */
    double eta_seconds; /* negative: unknown */
};

/* *server_lsn: the current insert position of the server's log. */
bool state_progress_write(struct session *s, const struct job_state *job,
                          const struct state_progress *progress, lsn_t *server_lsn, struct error *err);

/*
 * What the job waits for: JSON [{kind, text, since, session}], or NULL for nothing. Not written (*written) while another
 * transaction has locked the row: try again later. May be called while a session of the instance waits for a lock.
 */
bool state_progress_waits(struct session *s, const struct job_state *job, const char *waits, bool *written,
                          struct error *err);

struct state_verification {
    lsn_t lsn;
    int64_t rows, mismatches;
    char hash[33];
};
bool state_progress_verified(struct session *s, const struct job_state *job,
                             const struct state_verification *v, struct error *err);

struct state_swap_figures {
    int attempts;
    double lock_wait_ms, lock_held_ms;
};
bool state_progress_swapped(struct session *s, const struct job_state *job,
                            const struct state_swap_figures *f, struct error *err);

#endif
