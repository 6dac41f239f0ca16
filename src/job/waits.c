#include "waits.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/name.h"
#include "pg/group.h"
#include "sql/sql.h"

#define LOOK_MS 1000
#define SHOW_MS 1000  /* a wait is shown if it was seen to last that long */
#define LOG_MS 2000   /* and logged if it was seen to last that long */
#define STUCK_MS 3000 /* without a tick the main thread waits for something that its session does not show */
#define VALIDATION "pgrecast validate" /* a session for each try; there is one at a time */
#define WAITER_VALIDATION (-2)
#define KEEP_MS 5000       /* a wait that is not seen any more may be one that is tried again after a pause */
#define KEEP_LONG_MS 15000 /* the same for a validation, whose pauses are longer */

/* A wait of one session; or one that was declared. */
struct wait {
    int64_t waiter; /* as in waits.sql; 0: the transactions that are expected; or WAITER_VALIDATION */
    bool declared;
    char *kind, *session, *text; /* session: NULL, or its name on the server */
    int64_t since_ms, seen_ms;   /* by clock_ms() */
    char since[CLOCK_UTC_SIZE];
    bool logged;
};

struct waits {
    struct session_group *group;
    struct session *session; /* NULL: the control session was always free */
    bool transactions;       /* their end is expected */
    int64_t looked_ms;
    int count;
    struct wait *items;
    bool known;    /* what is in the state: before, it may be what another instance has written */
    char *written; /* JSON, or NULL */
};

static void
wait_clear(struct wait *wait)
{
    free(wait->kind);
    free(wait->session);
    free(wait->text);
}

static void
wait_since(struct wait *wait, int64_t since_ms)
{
    wait->since_ms = since_ms;
    clock_format_utc(clock_ms() - since_ms, wait->since);
}

static struct wait *
wait_find(struct waits *w, int64_t waiter, bool declared, const char *kind)
{
    for (int i = 0; i < w->count; i++)
        if (w->items[i].waiter == waiter && w->items[i].declared == declared &&
            strcmp(w->items[i].kind, kind) == 0)
            return &w->items[i];
    w->items = mem_array(w->items, (size_t)w->count + 1, sizeof(*w->items));
    w->items[w->count] = (struct wait){.waiter = waiter, .declared = declared, .kind = mem_strdup(kind)};
    wait_since(&w->items[w->count], clock_ms());
    return &w->items[w->count++];
}

static void
wait_seen(struct wait *wait, const char *session, char *text)
{
    free(wait->text);
    free(wait->session);
    wait->text = text;
    wait->session = session != NULL ? mem_strdup(session) : NULL;
    wait->seen_ms = clock_ms();
}

static void
wait_drop(struct waits *w, int at)
{
    if (w->items[at].logged && !w->items[at].declared)
        log_info("no longer waiting for %s", w->items[at].text);
    wait_clear(&w->items[at]);
    memmove(&w->items[at], &w->items[at + 1], (size_t)(--w->count - at) * sizeof(*w->items));
}

/* slots: those that are not connected; NULL: all are, but one of them is behind. */
static char *
describe_standby_slots(const char *slots)
{
    if (slots == NULL)
        return mem_strdup("a standby that has to have the log first (the server's setting "
                          "synchronized_standby_slots)");
    return mem_printf("the standby of replication slot %s, which is not connected (the server's setting "
                      "synchronized_standby_slots)",
                      slots);
}

/* Continues the words "waiting for". The caller frees it. */
static char *
describe(const struct result *res, int row)
{
    const char *kind = row_text(res, row, "kind"), *who = row_text(res, row, "who");
    const char *object = row_text(res, row, "object");

    if (strcmp(kind, "standby_slot") == 0)
        return describe_standby_slots(row_text(res, row, "slots"));
    if (strcmp(kind, "standby") == 0)
        return mem_printf("a synchronous standby to confirm the commit of %s (the server's setting "
                          "synchronous_standby_names is %s)",
                          who != NULL ? who : "this job", row_text(res, row, "standbys"));
    if (strcmp(kind, "transaction") == 0)
        return mem_printf("the end of %s", who != NULL ? who : "a transaction that has just ended");
    if (strcmp(kind, "autovacuum") == 0)
        return mem_printf("an autovacuum of %s: %s", object != NULL ? object : "a table",
                          who != NULL ? who : "");
    return mem_printf("a lock on %s: %s is in the way", object != NULL ? object : "an object",
                      who != NULL ? who : "a session that has just ended");
}

static int64_t
waiter_of(const struct result *res, int row)
{
    return name_same(row_text(res, row, "session"), VALIDATION) ? WAITER_VALIDATION
                                                                : row_int(res, row, "waiter");
}

static bool
waits_ask(struct engine *e, struct session *s, bool stuck, struct error *err)
{
    struct waits *w = e->waits;
    char *pids = session_group_pids(w->group);
    struct params p = {0};
    struct result res = {0};
    bool ok;

    params_text(&p, pids);
    params_text(&p, w->transactions ? "t" : "f");
    params_text(&p, stuck ? "t" : "f");
    ok = session_query_with(s, &res, err, sql_waits, &p);
    for (int i = 0; ok && i < result_rows(&res); i++) {
        struct wait *wait = wait_find(w, waiter_of(&res, i), false, row_text(&res, i, "kind"));
        int64_t since = clock_ms() - (int64_t)(row_real(&res, i, "waited") * 1000);

        wait_seen(wait, row_text(&res, i, "session"), describe(&res, i));
        if (since < wait->since_ms - SHOW_MS / 2)
            wait_since(wait, since);
    }
    result_free(&res);
    free(pids);
    return ok;
}

static void
waits_forget_old(struct waits *w)
{
    int64_t now = clock_ms();

    for (int i = w->count - 1; i >= 0; i--)
        if (!w->items[i].declared &&
            now - w->items[i].seen_ms > (w->items[i].waiter == WAITER_VALIDATION ? KEEP_LONG_MS : KEEP_MS))
            wait_drop(w, i);
}

/* Many waits are over after a moment, and one of these may be seen by chance: what counts is what was seen to last. */
static int64_t
wait_lasted_ms(const struct wait *wait)
{
    return wait->seen_ms - wait->since_ms;
}

/* NULL: nothing has been waited for long enough. The caller frees it. */
static char *
waits_json(const struct waits *w)
{
    json_t *list = json_array();
    char *text = NULL;

    for (int i = 0; i < w->count; i++) {
        const struct wait *wait = &w->items[i];

        if (!wait->declared && wait_lasted_ms(wait) < SHOW_MS)
            continue;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s?}", "kind", wait->kind, "text", wait->text,
                                              "since", wait->since, "session", wait->session));
    }
    if (json_array_size(list) > 0)
        text = mem_checked(json_dumps(list, JSON_COMPACT));
    json_decref(list);
    return text;
}

/* What a session of the program is for: "pgrecast apply" would look like a command. */
static const char *
session_purpose(const char *name)
{
    const char *space = strchr(name, ' ');

    return space != NULL ? space + 1 : name;
}

static void
waits_log(struct waits *w)
{
    for (int i = 0; i < w->count; i++) {
        struct wait *wait = &w->items[i];

        if (wait->logged || wait_lasted_ms(wait) < LOG_MS)
            continue;
        log_info("waiting for %s%s%s", wait->text, wait->session != NULL ? "; by the session for " : "",
                 wait->session != NULL ? session_purpose(wait->session) : "");
        wait->logged = true;
    }
}

static bool
waits_write(struct engine *e, struct session *s, struct error *err)
{
    struct waits *w = e->waits;
    char *now = waits_json(w);
    bool ok = true, written = false;

    if (!w->known || !name_same(now, w->written))
        ok = state_progress_waits(s, &e->job, now, &written, err);
    if (written) {
        w->known = true;
        free(w->written);
        w->written = now;
        now = NULL;
    }
    free(now);
    return ok;
}

static bool
look_by(struct engine *e, struct session *s, bool stuck, struct error *err)
{
    e->waits->looked_ms = clock_ms();
    if (!waits_ask(e, s, stuck, err))
        return false;
    waits_forget_old(e->waits);
    waits_log(e->waits);
    return waits_write(e, s, err);
}

static bool
waits_look(struct engine *e, struct error *err)
{
    return look_by(e, e->control, false, err) || error_context(err, "looking for what the job waits for");
}

bool
waits_look_for(struct engine *e, const char *session, bool *seen, struct error *err)
{
    const struct waits *w = e->waits;

    *seen = false;
    if (!waits_look(e, err))
        return false;
    for (int i = 0; i < w->count; i++)
        if (name_same(w->items[i].session, session) && w->items[i].seen_ms >= w->looked_ms)
            *seen = true;
    return true;
}

bool
waits_tick(struct engine *e, struct error *err)
{
    struct waits *w = e->waits;

    /* The control session is free again, and another one may be needed for the job. */
    session_close(w->session);
    w->session = NULL;
    return clock_ms() - w->looked_ms < LOOK_MS || waits_look(e, err);
}

/* The session with which to look while another one waits. NULL: none. */
static struct session *
looking_session(struct engine *e, struct session *waiting, bool long_wait, struct error *err)
{
    struct waits *w = e->waits;

    if (waiting != e->control && e->control != NULL && session_is_idle(e->control))
        return e->control;
    if (w->session == NULL && long_wait) {
        w->session = session_open(&e->connection, SESSION_SQL, "look", err);
        if (w->session != NULL && !session_execute(w->session, err, "SET synchronous_commit = local")) {
            session_close(w->session);
            w->session = NULL;
        }
    }
    return w->session;
}

/* The main thread waits for the answer of session s. An error here is no error of the job. */
static void
on_wait(void *arg, struct session *s, int64_t waited_ms)
{
    struct engine *e = arg;
    struct waits *w = e->waits;
    struct error ignored = {0};
    bool long_wait = waited_ms >= LOOK_MS;
    /* Not under the lock of a swap, which would be held for longer. */
    bool stuck = !e->confirm_held && clock_ms() - e->tick_at_ms >= STUCK_MS;
    struct session *by;

    if (!e->entered || s == w->session || clock_ms() - w->looked_ms < LOOK_MS || (!long_wait && !stuck))
        return;
    w->looked_ms = clock_ms(); /* also where no session is free */
    by = looking_session(e, s, long_wait, &ignored);
    if (by != NULL && !look_by(e, by, stuck, &ignored) && by == w->session) {
        session_close(w->session);
        w->session = NULL;
    }
    if (ignored.message != NULL)
        log_debug("what the job waits for is not known: %s", ignored.message);
    error_clear(&ignored);
}

void
waits_open(struct engine *e)
{
    e->waits = mem_alloc(sizeof(*e->waits));
    e->waits->group = session_group_new(on_wait, e);
    e->connection.group = e->waits->group;
}

void
waits_close(struct engine *e)
{
    struct waits *w = e->waits;

    session_close(w->session);
    session_group_free(w->group);
    for (int i = 0; i < w->count; i++)
        wait_clear(&w->items[i]);
    free(w->items);
    free(w->written);
    free(w);
    e->waits = NULL;
}

void
waits_expect_transactions(struct engine *e, bool expect)
{
    struct waits *w = e->waits;

    w->transactions = expect;
    for (int i = w->count - 1; !expect && i >= 0; i--)
        if (w->items[i].waiter == 0 && !w->items[i].declared)
            wait_drop(w, i);
}

void
waits_declare(struct engine *e, const char *kind, const char *text)
{
    struct wait *wait = wait_find(e->waits, 0, true, kind);
    struct error ignored = {0};

    wait_seen(wait, NULL, mem_strdup(text));
    wait->logged = true; /* whoever declares it logs it */
    waits_write(e, e->control, &ignored);
    error_clear(&ignored);
}

void
waits_settle(struct engine *e, const char *what)
{
    struct waits *w = e->waits;

    for (int i = w->count - 1; i >= 0; i--) {
        struct wait *wait = &w->items[i];

        if (wait->declared ? what == NULL || strcmp(wait->kind, what) == 0
                           : what != NULL && wait->session != NULL && strcmp(wait->session, what) == 0)
            wait_drop(w, i);
    }
}

char *
waits_text(const struct engine *e)
{
    const struct waits *w = e->waits;
    const struct wait *longest = NULL;

    for (int i = 0; i < w->count; i++)
        if (longest == NULL || w->items[i].since_ms < longest->since_ms)
            longest = &w->items[i];
    return longest != NULL ? mem_strdup(longest->text) : mem_strdup("a transaction that has just ended");
}
