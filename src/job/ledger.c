#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "job/state.h"
#include "spool/spool.h"
#include "sql/sql.h"

#define SLOT_PATIENCE_MS 1000 /* how long a connection that was closed may take to end */
#define SLOT_RELEASE_MS 90000 /* how long a slot may still be active after its connection was closed */
#define DROP_ATTEMPTS 100     /* each waits for a lock as long as run_statement() says */

bool
ledger_enter(struct session *s, const struct job_state *job, const char *kind, const char *name,
             const char *undo, struct error *err)
{
    char id[24];

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    return session_query(
        s, NULL, err,
        "INSERT INTO pgrecast.object (job_id, seq, kind, name, undo) "
        "SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4 FROM pgrecast.object WHERE job_id = $1 "
        "HAVING NOT coalesce(bool_or(kind = $2 AND name = $3), false)",
        4, id, kind, name, undo);
}

bool
ledger_forget(struct session *s, const struct job_state *job, const char *kind, const char *name,
              struct error *err)
{
    char id[24];

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    return session_query(s, NULL, err,
                         "DELETE FROM pgrecast.object WHERE job_id = $1 AND kind = $2 AND name = $3", 3, id,
                         kind, name);
}

bool
ledger_forget_kind(struct session *s, const struct job_state *job, const char *kind, struct error *err)
{
    char id[24];

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    return session_query(s, NULL, err, "DELETE FROM pgrecast.object WHERE job_id = $1 AND kind = $2", 2, id,
                         kind);
}

/*
 * The server notices a closed replication connection a moment later: until then the slot is active. One whose
 * client died without closing it is ended.
 */
static bool
drop_slot(struct session *s, const char *slot, struct error *err)
{
    int64_t began = clock_ms();

    for (;;) {
        bool ok =
            session_query(s, NULL, err,
                          "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM "
                          "pg_catalog.pg_replication_slots WHERE slot_name = $1 AND database = "
                          "pg_catalog.current_database()", /* a copy of the database has its state too */
                          1, slot);

        if (ok || strcmp(err->sqlstate, "55006") != 0 ||
            clock_ms() - began > SLOT_RELEASE_MS) /* object_in_use */
            return ok;
        if (clock_ms() - began > SLOT_PATIENCE_MS &&
            !session_query(s, NULL, err,
                           "SELECT pg_catalog.pg_terminate_backend(active_pid) FROM "
                           "pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active_pid IS NOT NULL",
                           1, slot))
            return false;
        clock_sleep(20);
    }
}

/*
 * DROP TABLE waits for whoever still reads the table, or vacuums it: first for a short time, so that nobody
 * queues behind it for long.
 */
static bool
run_statement(struct session *s, const char *sql, struct error *err)
{
    struct backoff backoff = {.first_ms = 50, .most_ms = 2000};

    for (int attempt = 1;; attempt++) {
        bool ok = session_execute(
                      s, err, "BEGIN; SET LOCAL lock_timeout = 200; SET LOCAL client_min_messages = error") &&
                  (attempt == 1 || session_execute(s, err, sql_lock_patiently)) &&
                  session_execute(s, err, sql) && session_execute(s, err, "COMMIT");

        if (ok)
            return true;
        session_rollback(s);
        if (strcmp(err->sqlstate, "55P03") != 0 || attempt == DROP_ATTEMPTS)
            return false;
        clock_sleep(backoff_next(&backoff));
    }
}

/* The leg's spool, and the job's directory once that was the last. */
static bool
remove_spool(const char *directory, struct error *err)
{
    char *parent = mem_strdup(directory), *slash = strrchr(parent, '/');
    bool here = access(directory, F_OK) == 0, ok = spool_remove(directory, err);

    if (!here)
        log_info("there is no spool \"%s\" on this host: where the job has run on another, it is left there",
                 directory);
    if (ok && slash != NULL) {
        *slash = '\0';
        rmdir(parent); /* not empty: another leg's is still there */
    }
    free(parent);
    return ok;
}

static bool
undo_one(struct session *s, const char *kind, const char *name, const char *undo, struct error *err)
{
    if (strcmp(kind, LEDGER_SLOT) == 0)
        return drop_slot(s, name, err);
    if (strcmp(kind, LEDGER_SPOOL) == 0)
        return remove_spool(undo, err);
    return run_statement(s, undo, err);
}

bool
ledger_undo_one(struct session *s, const struct job_state *job, const char *kind, const char *name,
                struct error *err)
{
    struct result res = {0};
    char id[24];
    bool ok;

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    ok = session_query(s, &res, err,
                       "SELECT undo FROM pgrecast.object WHERE job_id = $1 AND kind = $2 AND name = $3", 3,
                       id, kind, name);
    if (ok && result_rows(&res) > 0)
        ok = undo_one(s, kind, name, result_text(&res, 0, 0), err) && ledger_forget(s, job, kind, name, err);
    result_free(&res);
    return ok;
}

bool
ledger_undo(struct session *s, const struct job_state *job, struct error *err)
{
    struct result res = {0};
    bool all = true;
    char id[24];

    snprintf(id, sizeof(id), "%" PRId64, job->id);
    if (!session_query(s, &res, err,
                       "SELECT kind, name, undo FROM pgrecast.object WHERE job_id = $1 ORDER BY seq DESC", 1,
                       id))
        return false;
    for (int i = 0; i < result_rows(&res); i++) {
        struct error one = {0};
        const char *kind = result_text(&res, i, 0), *name = result_text(&res, i, 1);

        if (undo_one(s, kind, name, result_text(&res, i, 2), &one) &&
            ledger_forget(s, job, kind, name, &one)) {
            error_clear(&one);
            continue;
        }
        error_context(&one, "removing %s %s", kind, name);
        if (all)
            error_move(err, &one);
        else
            log_warning("%s", one.message);
        error_clear(&one);
        all = false;
    }
    result_free(&res);
    return all;
}
