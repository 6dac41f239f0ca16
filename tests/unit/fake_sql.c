#include "fake_sql.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/mem.h"
#include "wire.h"

/* First packets, beside the version 3.0 (src/include/libpq/pqcomm.h). */
#define CANCEL_REQUEST 80877102
#define SSL_REQUEST 80877103
#define GSSENC_REQUEST 80877104

#define CANCEL_KEY 20080
#define FIRST_PID 4711

struct prepared {
    char *name;
    char *sql;
};

/* A statement with the step that answers it. */
struct statement {
    char *sql;
    const struct fake_step *step; /* NULL: none is bound; may be .made */
    struct fake_step made;
};

struct fake_session {
    int fd; /* -1: closed */
    int pid;
    char pid_text[16];
    char *purpose; /* NULL: the first packet has not come yet */
    char status;   /* of the transaction, as in ReadyForQuery */
    bool skipping; /* to the next Sync, after an error */
    bool waiting;  /* for a cancel: the statement is not answered yet, and nothing behind it is looked at */
    bool simple;   /* the statement came by the simple protocol */
    bool ending;   /* with the next ReadyForQuery */
    bool closing;  /* when what is in out has been sent */
    struct buffer in, out;
    struct statement statement;
    struct prepared *prepared;
    int prepared_count;
    char *problem; /* message of an error that the script does not have */
};

static void
send_out(struct fake_session *c)
{
    for (size_t sent = 0; c->fd >= 0 && sent < c->out.len;) {
        ssize_t n = send(c->fd, c->out.data + sent, c->out.len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EINTR)
            break;
        sent += n > 0 ? (size_t)n : 0;
    }
    buffer_reset(&c->out);
}

/* What the client has sent is taken in first: it would otherwise see a reset instead of the end. */
static void
close_session(struct fake_session *c)
{
    char bytes[4096];

    if (c->fd < 0)
        return;
    while (recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
    close(c->fd);
    c->fd = -1;
}

static void
statement_set(struct fake_session *c, const char *sql)
{
    char *copy = mem_strdup(sql);

    free(c->statement.sql);
    memset(&c->statement, 0, sizeof(c->statement));
    c->statement.sql = copy;
}

/* The statement is answered with an error that is not in the script. */
static void
statement_refuse(struct fake_session *c, const char *sqlstate, const char *message)
{
    free(c->problem);
    c->problem = mem_strdup(message);
    c->statement.made = (struct fake_step){.error = sqlstate, .message = c->problem};
    c->statement.step = &c->statement.made;
}

static const struct prepared *
prepared_find(const struct fake_session *c, const char *name)
{
    for (int i = c->prepared_count - 1; i >= 0; i--) {
        if (strcmp(c->prepared[i].name, name) == 0)
            return &c->prepared[i];
    }
    return NULL;
}

static bool
begins(const char *sql, const char *with)
{
    return strncmp(sql, with, strlen(with)) == 0;
}

/* What session_open() and session_prepare() do is no part of a script. */
static bool
answer_unasked(struct fake_session *c, const struct fake_params *params)
{
    struct fake_step *made = &c->statement.made;
    const char *sql = c->statement.sql;

    if (begins(sql, "SELECT pg_catalog.pg_backend_pid()"))
        *made = (struct fake_step){.columns = "pid", .rows = {c->pid_text}};
    else if (begins(sql, "SELECT pg_catalog.set_config("))
        *made = (struct fake_step){.columns = "set_config", .rows = {""}};
    else if (begins(sql, "SELECT FROM pg_catalog.pg_prepared_statements WHERE name = $1"))
        *made = (struct fake_step){.columns = "",
                                   .rows = {prepared_find(c, params->values[0]) != NULL ? "" : NULL}};
    else if (begins(sql, "SET plan_cache_mode") || begins(sql, "SET statement_timeout = 0"))
        *made = (struct fake_step){.tag = "SET"};
    else if (begins(sql, "EXPLAIN EXECUTE "))
        *made = (struct fake_step){.columns = "QUERY PLAN", .rows = {"Result"}};
    else
        return false;
    c->statement.step = made;
    return true;
}

/* Find the step for the statement, which then is set. name: what the script calls it. */
static void
statement_find(struct fake_sql *f, struct fake_session *c, const char *name, const struct fake_params *params)
{
    const char *sql = c->statement.sql, *expected;
    char *problem;

    if (c->status == 'E' && !begins(sql, "ROLLBACK") && !begins(sql, "COMMIT")) {
        statement_refuse(c, "25P02",
                         "current transaction is aborted, commands ignored until end of transaction block");
        return;
    }
    c->statement.step = fake_script_take(&f->script, c->purpose, name, &expected);
    if (c->statement.step != NULL) {
        if (!fake_script_check_params(&f->script, c->statement.step, params))
            statement_refuse(c, "XX000", "the script expects other parameters");
        return;
    }
    if (answer_unasked(c, params))
        return;
    problem = mem_printf("session \"%s\": expected \"%s\", got \"%s\"", c->purpose,
                         expected != NULL ? expected : "(nothing)", name);
    buffer_printf(&f->script.problems, "%s\n", problem);
    statement_refuse(c, "XX000", problem);
    free(problem);
}

/* The transaction status behind one statement, or behind several with a semicolon between them. */
static char
status_behind(char status, const char *sql)
{
    for (; sql != NULL; sql = strchr(sql, ';')) {
        sql += strspn(sql, "; \n");
        if (begins(sql, "BEGIN") || begins(sql, "START TRANSACTION"))
            status = 'T';
        else if (begins(sql, "COMMIT") || (begins(sql, "ROLLBACK") && !begins(sql, "ROLLBACK TO")))
            status = 'I';
    }
    return status;
}

static void
ready_for_query(struct fake_session *c)
{
    wire_add_number_message(&c->out, 'Z', (unsigned char)c->status, 1);
    c->closing = c->ending;
}

/* The reply to the statement, and what it makes of the session. */
static void
statement_reply(struct fake_session *c)
{
    const struct fake_step *step = c->statement.step;
    const char *sql = c->statement.sql;
    char behind = status_behind(c->status, sql);

    c->waiting = false;
    fake_step_reply(step, sql, c->status == 'E', &c->out);
    if (!fake_step_fails(step)) {
        c->status = behind;
    } else {
        c->status = begins(sql, "COMMIT") ? 'I' : c->status != 'I' || behind == 'T' ? 'E' : 'I';
        c->skipping = !c->simple;
        c->closing = step->severity != NULL && strcmp(step->severity, "FATAL") == 0;
    }
    c->ending = step->end == FAKE_LOST_AFTER;
    if (c->simple && !c->closing)
        ready_for_query(c);
}

static void
statement_run(struct fake_session *c)
{
    const struct fake_step *step = c->statement.step;

    if (step->meanwhile != NULL)
        step->meanwhile();
    if (step->end == FAKE_LOST_BEFORE)
        close_session(c);
    else if (step->wait)
        c->waiting = true;
    else
        statement_reply(c);
}

static void
on_query(struct fake_sql *f, struct fake_session *c, const char *sql)
{
    statement_set(c, sql);
    statement_find(f, c, sql, &(struct fake_params){0});
    c->simple = true;
    if (c->statement.step->columns != NULL && !fake_step_fails(c->statement.step))
        fake_step_describe(c->statement.step, &c->out);
    statement_run(c);
}

static void
on_parse(struct fake_session *c, const char *body)
{
    const char *name = body, *sql = name + strlen(name) + 1;

    c->prepared = mem_array(c->prepared, (size_t)c->prepared_count + 1, sizeof(*c->prepared));
    c->prepared[c->prepared_count++] = (struct prepared){mem_strdup(name), mem_strdup(sql)};
    wire_add_number_message(&c->out, '1', 0, 0);
}

static struct fake_params
params_read(const char *at)
{
    struct fake_params params = {0};

    at += 2 + wire_number(at, 2) * 2; /* the formats: all are text */
    params.count = (int)wire_number(at, 2);
    params.values = mem_array(NULL, (size_t)params.count + 1, sizeof(*params.values));
    at += 2;
    for (int i = 0; i < params.count; i++) {
        uint32_t len = (uint32_t)wire_number(at, 4);

        at += 4;
        params.values[i] = len != UINT32_MAX ? mem_strndup(at, len) : NULL;
        at += len != UINT32_MAX ? len : 0;
    }
    return params;
}

static void
on_bind(struct fake_sql *f, struct fake_session *c, const char *body)
{
    const char *name = body + strlen(body) + 1; /* behind the portal's, which is empty */
    struct fake_params params = params_read(name + strlen(name) + 1);
    const struct prepared *prepared = prepared_find(c, name);

    c->simple = false;
    statement_set(c, prepared != NULL ? prepared->sql : "");
    statement_find(f, c, name[0] != '\0' ? name : c->statement.sql, &params);
    wire_add_number_message(&c->out, '2', 0, 0);
    for (int i = 0; i < params.count; i++)
        free(params.values[i]);
    free(params.values);
}

/* The highest $n in it. */
static int
parameter_count(const char *sql)
{
    int count = 0;

    for (; (sql = strchr(sql, '$')) != NULL; sql++)
        count = atoi(sql + 1) > count ? atoi(sql + 1) : count;
    return count;
}

static void
on_describe(struct fake_session *c, const char *body)
{
    const struct prepared *prepared = prepared_find(c, body + 1);
    int count = body[0] == 'S' && prepared != NULL ? parameter_count(prepared->sql) : 0;
    struct buffer types = {0};

    if (body[0] == 'P') {
        fake_step_describe(c->statement.step, &c->out);
        return;
    }
    wire_add_number(&types, (uint64_t)count, 2);
    for (int i = 0; i < count; i++)
        wire_add_number(&types, 25, 4);
    wire_add_message(&c->out, 't', &types);
    wire_add_number_message(&c->out, 'n', 0, 0);
    buffer_free(&types);
}

static void
on_message(struct fake_sql *f, struct fake_session *c, char kind, const char *body)
{
    if (kind == 'X') {
        close_session(c);
    } else if (kind == 'S') {
        c->skipping = false;
        ready_for_query(c);
    } else if (c->skipping) {
        return;
    } else if (kind == 'Q') {
        on_query(f, c, body);
    } else if (kind == 'P') {
        on_parse(c, body);
    } else if (kind == 'B') {
        on_bind(f, c, body);
    } else if (kind == 'D') {
        on_describe(c, body);
    } else if (kind == 'E') {
        statement_run(c);
    } else if (kind != 'H') {
        buffer_printf(&f->script.problems, "session \"%s\": message of kind '%c'\n", c->purpose, kind);
        close_session(c);
    }
}

static void
on_cancel(struct fake_sql *f, const char *body)
{
    for (int i = 0; i < f->session_count; i++) {
        struct fake_session *c = f->sessions[i];

        if (c->fd < 0 || c->pid != (int)wire_number(body + 4, 4) || wire_number(body + 8, 4) != CANCEL_KEY)
            continue;
        f->cancels++;
        if (c->waiting)
            statement_reply(c);
    }
}

static char *
purpose_read(const char *body, size_t len)
{
    const char *name = "", *at = body + 4, *end = body + len;

    while (at < end && *at != '\0') {
        const char *value = at + strlen(at) + 1;

        if (strcmp(at, "application_name") == 0)
            name = begins(value, "pgrecast ") ? value + strlen("pgrecast ") : value;
        at = value + strlen(value) + 1;
    }
    return mem_strdup(name);
}

static void
welcome(const struct fake_sql *f, struct fake_session *c)
{
    struct buffer key = {0};

    wire_add_number_message(&c->out, 'R', 0, 4);
    wire_add_parameter_status(&c->out, "server_version", f->version);
    wire_add_parameter_status(&c->out, "client_encoding", "UTF8");
    wire_add_parameter_status(&c->out, "standard_conforming_strings", "on");
    wire_add_number(&key, (uint64_t)c->pid, 4);
    wire_add_number(&key, CANCEL_KEY, 4);
    wire_add_message(&c->out, 'K', &key);
    ready_for_query(c);
    buffer_free(&key);
}

static void
on_startup(struct fake_sql *f, struct fake_session *c, const char *body, size_t len)
{
    const struct fake_step *step;
    const char *expected;

    c->purpose = purpose_read(body, len);
    step = fake_script_take(&f->script, c->purpose, FAKE_CONNECT, &expected);
    if (step != NULL && step->meanwhile != NULL)
        step->meanwhile();
    if (step != NULL && step->end == FAKE_LOST_BEFORE) {
        close_session(c);
    } else if (step != NULL && fake_step_fails(step)) {
        struct fake_step refusal = *step;

        refusal.severity = "FATAL";
        fake_step_reply(&refusal, "", false, &c->out);
        c->closing = true;
    } else {
        c->ending = step != NULL && step->end == FAKE_LOST_AFTER;
        welcome(f, c);
    }
}

static void
on_first_packet(struct fake_sql *f, struct fake_session *c, const char *body, size_t len)
{
    uint64_t code = wire_number(body, 4);

    if (code == CANCEL_REQUEST) {
        on_cancel(f, body);
        close_session(c);
    } else if (code == SSL_REQUEST || code == GSSENC_REQUEST) {
        buffer_add_char(&c->out, 'N');
    } else {
        on_startup(f, c, body, len);
    }
}

/* The next message that has come wholly. False when there is none, or it may not be looked at yet. */
static bool
take_message(struct fake_sql *f, struct fake_session *c)
{
    size_t head = c->purpose != NULL ? 1 : 0, len;
    char *body;

    if (c->fd < 0 || c->waiting || c->closing || c->in.len < head + 4)
        return false;
    len = wire_number(c->in.data + head, 4) - 4;
    if (c->in.len < head + 4 + len)
        return false;
    body = mem_alloc(len + 1);
    memcpy(body, c->in.data + head + 4, len);
    if (head == 0)
        on_first_packet(f, c, body, len);
    else
        on_message(f, c, c->in.data[0], body);
    c->in.len -= head + 4 + len;
    memmove(c->in.data, c->in.data + head + 4 + len, c->in.len);
    free(body);
    return true;
}

/* Answer all that has come. What goes out together is sent together, also an error and what follows it. */
static void
go_on(struct fake_sql *f, struct fake_session *c)
{
    while (take_message(f, c))
        continue;
    send_out(c);
    if (c->closing)
        close_session(c);
}

static void
receive(struct fake_session *c)
{
    ssize_t got = recv(c->fd, buffer_reserve(&c->in, 65536), 65536, 0);

    if (got <= 0)
        close_session(c);
    else
        c->in.len += (size_t)got;
}

static void
accept_session(struct fake_sql *f)
{
    struct fake_session *c = mem_alloc(sizeof(*c));

    f->sessions = mem_array(f->sessions, (size_t)f->session_count + 1, sizeof(*f->sessions));
    f->sessions[f->session_count] = c;
    c->fd = accept(f->listener, NULL, NULL);
    c->pid = FIRST_PID + f->session_count++;
    snprintf(c->pid_text, sizeof(c->pid_text), "%d", c->pid);
    c->status = 'I';
}

/* One thread for all sessions: so the script is looked at by one alone. */
static void *
serve(void *arg)
{
    struct fake_sql *f = arg;
    struct pollfd *fds = NULL;

    for (;;) {
        int count = f->session_count;

        fds = mem_array(fds, (size_t)count + 2, sizeof(*fds));
        fds[count] = (struct pollfd){.fd = f->listener, .events = POLLIN};
        fds[count + 1] = (struct pollfd){.fd = f->end_pipe[0], .events = POLLIN};
        for (int i = 0; i < count; i++)
            fds[i] = (struct pollfd){.fd = f->sessions[i]->fd, .events = POLLIN};
        if (poll(fds, (nfds_t)count + 2, -1) < 0)
            continue;
        for (int i = 0; i < count; i++) {
            if (fds[i].revents != 0)
                receive(f->sessions[i]);
        }
        for (int i = 0; i < count; i++)
            go_on(f, f->sessions[i]);
        for (int i = 0; i < count; i++)
            go_on(f, f->sessions[i]); /* those that were cancelled by one behind them */
        if (fds[count].revents != 0)
            accept_session(f);
        else if (fds[count + 1].revents != 0)
            break;
    }
    free(fds);
    return NULL;
}

void
fake_sql_start(struct fake_sql *f, const struct fake_step *steps, size_t count)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    f->version = f->version != NULL ? f->version : "15.18";
    f->directory = directory_make_temporary();
    f->connection.dbname = mem_printf("host=%s port=5432 user=u dbname=d", f->directory);
    f->script.steps = steps;
    f->script.count = count;
    f->script.used = mem_array(NULL, count + 1, sizeof(*f->script.used));
    memset(f->script.used, 0, (count + 1) * sizeof(*f->script.used));
    assert_int_equal(pipe(f->end_pipe), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", f->directory);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(f->listener, 8), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

struct session *
fake_sql_session(struct fake_sql *f, const char *purpose)
{
    struct error err = {0};
    struct session *s = session_open(&f->connection, SESSION_SQL, purpose, &err);

    assert_ok(s != NULL, &err);
    return s;
}

static void
free_session(struct fake_session *c)
{
    close_session(c);
    for (int i = 0; i < c->prepared_count; i++) {
        free(c->prepared[i].name);
        free(c->prepared[i].sql);
    }
    free(c->prepared);
    free(c->statement.sql);
    free(c->problem);
    free(c->purpose);
    buffer_free(&c->in);
    buffer_free(&c->out);
    free(c);
}

char *
fake_sql_end(struct fake_sql *f)
{
    assert_int_equal(write(f->end_pipe[1], "", 1), 1);
    pthread_join(f->thread, NULL);
    for (int i = 0; i < f->session_count; i++)
        free_session(f->sessions[i]);
    free(f->sessions);
    close(f->listener);
    close(f->end_pipe[0]);
    close(f->end_pipe[1]);
    free(f->connection.dbname);
    directory_drop(f->directory);
    fake_script_check_end(&f->script);
    free(f->script.used);
    return buffer_take(&f->script.problems);
}

void
fake_sql_finish(struct fake_sql *f)
{
    char *problems = fake_sql_end(f);

    if (problems[0] != '\0')
        fail_msg("%s", problems);
    free(problems);
}
