#include "undo.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "pg/sqlstate.h"
#include "spool/spool.h"
#include "sql/sql.h"

#define SLOT_PATIENCE_MS 1000 /* how long to wait for the end of a connection that was closed */
/* How long to wait while a slot is still active after its connection was closed. */
#define SLOT_RELEASE_MS 90000
#define DROP_ATTEMPTS 100 /* number of attempts; each waits for a lock as long as try_drop() says */

/*
 * The server notices only after a moment that a replication connection was closed; until then the slot is
 * active. A connection whose client died without closing it is ended. A copy of the database has the same
 * state, but not the slot.
 */
static bool
drop_slot(struct session *s, const char *slot, struct error *err)
{
    int64_t began = clock_ms();

    for (;;) {
        bool ok =
            session_query(s, NULL, err,
                          "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM "
                          "pg_catalog.pg_replication_slots WHERE slot_name = $1 AND plugin = 'pgoutput' AND "
                          "database = pg_catalog.current_database()",
                          1, slot);

        if (ok || !sqlstate_is(err, SQLSTATE_OBJECT_IN_USE) || clock_ms() - began > SLOT_RELEASE_MS)
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
 * Find the object that has that oid now, and that name where the oid alone is no proof. Gives the statement
 * that drops it, or NULL where there is none. The caller frees it.
 */
static bool
build_drop(struct session *s, const struct undo_object *object, char **sql, struct error *err)
{
    static const char *const lookups[] = {
        [LEDGER_PUBLICATION] =
            "SELECT pg_catalog.format('DROP PUBLICATION %I', pubname) AS statement "
            "FROM pg_catalog.pg_publication WHERE oid = $1 AND ($2::pg_catalog.text IS NULL OR pubname = $2)",
        [LEDGER_TABLE] =
            "SELECT pg_catalog.format('DROP TABLE %I.%I', n.nspname, c.relname) AS statement "
            "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE c.oid = $1 AND c.relkind IN ('r', 'p') "
            "AND ($2::pg_catalog.text IS NULL OR c.oid = pg_catalog.to_regclass($2))",
        [LEDGER_VIEW] =
            "SELECT pg_catalog.format('DROP %s %I.%I', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE "
            "'VIEW' END, "
            "n.nspname, c.relname) AS statement "
            "FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace "
            "WHERE c.oid = $1 AND c.relkind IN ('v', 'm') AND c.oid = pg_catalog.to_regclass($2)",
        [LEDGER_GUARD] =
            "SELECT pg_catalog.format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname) AS "
            "statement FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_class AS c ON "
            "c.oid = t.tgrelid JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE t.oid = $1 "
            "AND t.tgfoid = pg_catalog.to_regproc('pgrecast.guard')",
    };
    struct result res = {0};
    struct params p = {0};
    bool ok;

    *sql = NULL;
    params_uint(&p, object->oid);
    if (object->kind != LEDGER_GUARD) /* which is recognized by its function */
        params_text(&p, object->named || object->kind == LEDGER_VIEW ? object->name : NULL);
    ok = session_query_with(s, &res, err, lookups[object->kind], &p);
    if (ok && result_rows(&res) > 0)
        *sql = row_copy(&res, 0, "statement");
    result_free(&res);
    return ok;
}

/* When the lock is granted, the name may already belong to another object. */
static bool
check_dropped(struct session *s, const struct undo_object *object, struct error *err)
{
    char *left;
    bool ok = build_drop(s, object, &left, err);

    if (ok && left != NULL)
        ok = error_set(err, ERROR_FAILED, "%s was renamed while it was being dropped", object->name);
    free(left);
    return ok;
}

/* One attempt, with a short wait for locks, so that nobody queues behind it for long. */
static bool
try_drop(struct session *s, const struct undo_object *object, bool patiently, struct error *err)
{
    char *sql = NULL;
    bool ok = session_execute(s, err,
                              "BEGIN; SET LOCAL lock_timeout = 200; SET LOCAL client_min_messages = error") &&
              (!patiently || session_execute(s, err, sql_lock_patiently)) &&
              build_drop(s, object, &sql, err) &&
              (sql == NULL || (session_execute(s, err, sql) && check_dropped(s, object, err))) &&
              session_commit(s, err);

    free(sql);
    if (!ok)
        session_rollback(s);
    return ok;
}

/* DROP TABLE waits for sessions that still read the table, or vacuum it. */
static bool
drop_object(struct session *s, const struct undo_object *object, struct error *err)
{
    struct backoff backoff = {.first_ms = 50, .most_ms = 2000};

    /* The object was never made: its oid would have been stored in the same transaction. */
    if (object->oid == 0)
        return true;
    for (int attempt = 1;; attempt++) {
        if (try_drop(s, object, attempt > 1, err))
            return true;
        if (!sqlstate_is(err, SQLSTATE_LOCK_NOT_AVAILABLE) || attempt == DROP_ATTEMPTS)
            return false;
        clock_sleep(backoff_next(&backoff));
    }
}

/*
 * An object of a state that came with a dump and was made anew there has another oid, so that it is not known
 * whose it is.
 */
static bool
name_left(struct session *s, const struct undo_object *object, struct error *err)
{
    struct result res = {0};
    struct params p = {0};
    bool ok;

    params_text(&p, object->name);
    ok = session_query_with(s, &res, err,
                            object->kind == LEDGER_TABLE || object->kind == LEDGER_VIEW
                                ? "SELECT FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1)"
                                : "SELECT FROM pg_catalog.pg_publication WHERE pubname = $1",
                            &p);
    if (ok && result_rows(&res) > 0)
        log_warning(
            "%s %s is left: it is not the one that the job made, but came with a dump; drop it by hand "
            "if nobody needs it",
            object->kind == LEDGER_TABLE  ? "table"
            : object->kind == LEDGER_VIEW ? "view"
                                          : "publication",
            object->name);
    result_free(&res);
    return ok;
}

/* What the server's data say about the spool's header: why the spool may be another job's, or NULL. */
static const char *
doubt_identity(const struct result *res, const struct job_state *job, const struct spool_identity *identity)
{
    if (strtoull(row_text(res, 0, "system"), NULL, 10) != identity->system_identifier)
        return "it is of another server";
    if (identity->database != 0 && row_uint(res, 0, "database") != identity->database)
        return "it is of another database";
    if (job != NULL && strcmp(identity->slot, job->slot_name) != 0)
        return "it is of another replication slot";
    if (!row_bool(res, 0, "slot"))
        return "this database does not have its replication slot";
    if (row_bool(res, 0, "beyond"))
        return "it holds changes that this server does not have";
    return NULL;
}

/*
 * Why the spool may be another job's: that of the database or server of which this one is a copy. NULL: it is
 * this job's.
 */
static bool
doubt_spool(struct session *s, const struct job_state *job, const char *directory, const char **why,
            struct error *err)
{
    struct spool_identity identity;
    struct error damage = {0};
    struct result res = {0};
    struct params p = {0};
    lsn_t reached = 0;
    bool any = false, ok = true;

    if (spool_in_use(directory))
        *why = "another process uses it";
    else if (!spool_read_identity(directory, &identity, &reached, &any, &damage))
        *why = "it cannot be read whose it is";
    else if (any) {
        params_text(&p, identity.slot);
        params_lsn(&p, reached);
        ok = session_row_with(
            s, &res, err,
            "SELECT (pg_catalog.pg_control_system()).system_identifier::pg_catalog.text AS system, "
            "(SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) "
            "AS database, EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS r WHERE r.slot_name = $1 "
            "AND "
            "r.database = pg_catalog.current_database()) AS slot, CASE WHEN NOT "
            "pg_catalog.pg_is_in_recovery() "
            "THEN pg_catalog.pg_current_wal_insert_lsn() < $2::pg_catalog.pg_lsn ELSE false END AS beyond",
            &p);
        *why = ok ? doubt_identity(&res, job, &identity) : NULL;
    }
    result_free(&res);
    error_clear(&damage);
    return ok;
}

/* Remove the spool of one direction, and the job's directory when it was the last one. */
static bool
remove_spool(struct session *s, const struct job_state *job, const char *directory, struct error *err)
{
    char *parent = mem_strdup(directory), *slash = strrchr(parent, '/');
    bool here = access(directory, F_OK) == 0, ok;
    const char *why = NULL;

    ok = !here || doubt_spool(s, job, directory, &why, err);
    if (!here)
        log_info("there is no spool \"%s\" on this host: where the job has run on another, it is left there",
                 directory);
    if (ok && why != NULL)
        log_warning(
            "the spool \"%s\" is left, as it may be another job's: %s. Remove the directory by hand if "
            "no other job needs it",
            directory, why);
    ok = ok && (why != NULL || spool_remove(directory, err));
    if (ok && why == NULL && slash != NULL) {
        *slash = '\0';
        rmdir(parent); /* not empty: the spool of the other direction is still there */
    }
    free(parent);
    return ok;
}

bool
undo_object(struct session *s, const struct job_state *job, const struct undo_object *object,
            struct error *err)
{
    struct undo_object found = *object;

    switch (object->kind) {
    case LEDGER_SLOT:
        return drop_slot(s, object->name, err);
    case LEDGER_SPOOL:
        return remove_spool(s, job, object->name, err);
    case LEDGER_PUBLICATION:
    case LEDGER_TABLE:
    case LEDGER_VIEW:
    case LEDGER_GUARD:
        break;
    }
    found.named = job != NULL && !job->here;
    return drop_object(s, &found, err) &&
           (!found.named || object->kind == LEDGER_GUARD || name_left(s, &found, err));
}
