/*
 * A cutover for tests (src/cutover) with a scripted server: one or two tables, hooks that note that they were
 * called, and the steps of which scripts are made. "apply" is the session that cuts over, "cutover" the one
 * that asks for the outcome of a commit.
 */
#ifndef PGRECAST_TESTS_UNIT_CUTOVER_FIXTURE_H
#define PGRECAST_TESTS_UNIT_CUTOVER_FIXTURE_H

#include "cutover/cutover.h"
#include "fake_sql.h"

#define LOCK_T "LOCK TABLE ONLY \"public\".\"t\" IN ACCESS EXCLUSIVE MODE"
#define LOCK_U "LOCK TABLE ONLY \"public\".\"u\" IN ACCESS EXCLUSIVE MODE"
#define XACT_STATUS "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8) AS status"

/* The steps of an attempt, in this order. */
/* clang-format off */
#define BLOCKERS(...)                                                                                        \
    {"apply", "-- Who holds a lock on one of the tables",                                                    \
     .columns = "pid|mode|autovacuum|age|relation|may_lock|lock", __VA_ARGS__}
#define SNAPSHOTS(...) \
    {"apply", "pgrecast_old_snapshots", .params = {"700"}, .columns = "pid|age", __VA_ARGS__}
#define MORE {"apply", "SELECT more", .whole = true} /* what the hook looks at */
#define LOOK SNAPSHOTS(), MORE
#define BEGUN                                                                                                \
    {"apply", "BEGIN; SET LOCAL lock_timeout = 1500; SET LOCAL synchronous_commit = local; "},               \
    {"apply", "LOCK TABLE ONLY \"public\".\"t_new\" IN ACCESS EXCLUSIVE MODE", .whole = true}
#define XID {"apply", "SELECT pg_catalog.pg_current_xact_id()", .columns = "xid", .rows = {"815"}}
#define FIRST_LOCK(lock, ...) {"apply", "SET LOCAL lock_timeout = 250; " lock, .whole = true, __VA_ARGS__}
#define LATER_LOCK(lock, ...)                                                                                \
    {"apply", "SET LOCAL lock_timeout = 100", .whole = true},                                                \
    {"apply", lock, .whole = true, __VA_ARGS__}
#define LOCKED_LOOK                                                                                          \
    {"apply", "SET LOCAL lock_timeout = 100", .whole = true},                                                \
    {"apply", "SET LOCAL statement_timeout = 2000", .whole = true}, LOOK
#define SWAP(...) {"apply", "ALTER TABLE t RENAME"}, {"apply", "UPDATE job", __VA_ARGS__}
#define COMMIT(...) {"apply", "COMMIT", .whole = true, __VA_ARGS__}
#define ROLLBACK {"apply", "ROLLBACK", .whole = true}
#define STATUS(...) \
    {"cutover", XACT_STATUS, .whole = true, .params = {"815"}, .columns = "status", __VA_ARGS__}
/* clang-format on */

/* Several of them. */
#define UP_TO_THE_LOCK BLOCKERS(), LOOK, BEGUN, XID
#define UP_TO_THE_SWAP UP_TO_THE_LOCK, FIRST_LOCK(LOCK_T), LOCKED_LOOK
#define UP_TO_THE_COMMIT UP_TO_THE_SWAP, SWAP()

struct cutover_fixture {
    struct fake_sql fake;
    struct session *session; /* "apply" */
    struct error err;
    struct cutover_report report;
    int table_count; /* 1 or 2; 0: 1 */
    int attempts;    /* 0: 1 */
    /* The hook of that name fails, with this kind and SQLSTATE; NULL: none does. */
    const char *failing;
    enum error_kind failure;
    const char *sqlstate;
    bool not_recorded;    /* the server has no record of the swap */
    int failures_left;    /* how often it still fails; 0: always */
    int looks_before;     /* so many looks are well, before the hook "looked" fails */
    int given_up;         /* attempts that were given up */
    struct buffer called; /* the hooks, "prepare enter drain check record leave(1) " */
};

/* Run the cutover with the script; the server is ended, and the script has to be used up. */
#define CUT_OVER(fixture, steps) cutover_fixture_run(fixture, steps, sizeof(steps) / sizeof((steps)[0]))
bool cutover_fixture_run(struct cutover_fixture *f, const struct fake_step *steps, size_t count);
void cutover_fixture_free(struct cutover_fixture *f);

#endif
