/*
 * The guard of a job's inactive table: a trigger on all statements that write it. It stops every session that
 * does not belong to the job, whatever its rights (SQLSTATE GUARD_REFUSES). The active table has none.
 *
 * A session shows that it belongs to the job by a temporary table, whose name has the job's id. Only the
 * owner of the
 * state, and roles that are members of it, can make one that the guard accepts. It ends with its session.
 *
 * The guard does not stop: what a subscription of the server applies; writes of a parent in an inheritance
 * tree; code in
 * C that writes rows without a statement; the owner of the table or a superuser who disables the trigger.
 */
#ifndef PGRECAST_STATE_GUARD_H
#define PGRECAST_STATE_GUARD_H

#include "core/list.h"
#include "pg/pipeline.h"
#include "state/job.h"

/* Statements that make a session one of the job's. The caller frees them. */
char *guard_session_settings(int64_t job_id);
bool guard_admit(struct session *s, const struct job_state *job, struct error *err);

/*
 * Sets the guard on a table that was made in this transaction, and enters it in the ledger.
 */
struct guarded {
    const char *sql;  /* quoted, qualified */
    bool partitioned; /* each of its partitions has a guard too, but only the table's own is in the ledger */
};
bool guard_set(struct session *s, const struct job_state *job, int table, const struct guarded *on,
               struct error *err);

/* The same on a table that has, or had, a guard. */
bool guard_renew(struct session *s, const struct job_state *job, int table, const struct guarded *on,
                 struct error *err);

/*
 * The seal of an inactive table is what the catalogs say about its guard and its definition. While that stays
 * as it is, nobody but the job has written the table.
 *
 * guard_seal() stores the current seal, for tables that are known to be right. guard_read_seals() compares:
 * breach->table is the
 * index of the first table whose seal differs or is not stored; -1: none. The seal also tells which partitions an
 * active table has, and their files: if only these differ (.partitions), rows may have come or gone that are not in the
 * stream (ATTACH, DETACH, DROP and TRUNCATE of a partition). guard_distrust() removes the seals,
 * because
 * the tables are not known to be right.
 */
struct guard_breach {
    int table;
    bool partitions;
};
bool guard_seal(struct session *s, const struct job_state *job, struct error *err);
bool guard_read_seals(struct session *s, const struct job_state *job, struct guard_breach *breach,
                      struct error *err);
bool guard_distrust(struct session *s, const struct job_state *job, struct error *err);

/*
 * The comparison as a part of a pipeline, in a session for which guard_prepare() was called; then the
 * judgement of its result.
 */
void guard_add_seals(struct pipeline *p, const struct job_state *job);
struct guard_breach guard_judge(const struct job_state *job, const struct result *res);

/*
 * Before and after a comparison of all rows: the seals are read, and afterwards stored in the state where
 * they are still the same (*same). The list is emptied.
 */
bool guard_note_seals(struct session *s, const struct job_state *job, struct string_list *seals,
                      struct error *err);
bool guard_save_seals(struct session *s, const struct job_state *job, struct string_list *seals, bool *same,
                      struct error *err);

/*
 * In a swap, after the names are exchanged: move the guard from the table that is active now to the other
 * one. before: the name of the now active table while it was inactive. guard_prepare() prepares the statement
 * in the session, before the lock.
 */
bool guard_prepare(struct session *s, struct error *err);
void guard_add_move(struct pipeline *p, const struct job_state *job, const char *before,
                    const struct guarded *active, const struct guarded *inactive, uint32_t inactive_oid);

/*
 * To be called after all guards are moved and the swap is counted: store the seals of the tables that are
 * inactive from now on.
 */
void guard_add_seal(struct pipeline *p, const struct job_state *job);

#endif
