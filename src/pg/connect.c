#include "connect.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/mem.h"
#include "core/stop.h"

#define POLL_MS 200
#define OPTIONS_MAX 16
#define NO_SSLMODE "none (a dry run of pgrecast)"

/* What the user may say otherwise. Milliseconds only in the last. */
static const char *const defaults[][2] = {
    {"connect_timeout", "10"}, {"keepalives_idle", "10"},     {"keepalives_interval", "5"},
    {"keepalives_count", "3"}, {"tcp_user_timeout", "20000"},
};
#define DEFAULT_COUNT (sizeof(defaults) / sizeof(defaults[0]))

/* For PQconnectStartParams(): ends with NULL. Later ones win over earlier ones, and over dbname's. */
struct keywords {
    const char *names[OPTIONS_MAX];
    const char *values[OPTIONS_MAX];
    int count;
};

static void
keyword_add(struct keywords *k, const char *name, const char *value)
{
    if (k->count + 1 >= OPTIONS_MAX)
        abort(); /* a mistake in this program */
    k->names[k->count] = name;
    k->values[k->count++] = value;
}

static const char *
option_value(const PQconninfoOption *options, const char *name)
{
    for (; options != NULL && options->keyword != NULL; options++) {
        if (strcmp(options->keyword, name) == 0 && options->val != NULL && options->val[0] != '\0')
            return options->val;
    }
    return NULL;
}

/* As libpq does: 0 or less is for ever, and a single second would be rounded to nothing. */
static int
timeout_of(const char *value)
{
    int seconds = value != NULL ? atoi(value) : 0;

    return seconds == 1 ? 2 : seconds;
}

/*
 * Add the defaults for what the user has not set. A keyword given to libpq wins over the environment and over
 * service files, and only libpq knows how to read those: so it is asked, by a connection that it refuses to
 * begin because of its sslmode, what the settings are. False when it refuses for another reason: the user's
 * options are wrong.
 */
static bool
add_defaults(struct keywords *k, int *timeout_s)
{
    struct keywords dry = *k;
    PQconninfoOption *options;
    PGconn *conn;
    bool valid;

    keyword_add(&dry, "sslmode", NO_SSLMODE);
    conn = PQconnectStartParams(dry.names, dry.values, 1);
    valid = strstr(PQerrorMessage(conn), NO_SSLMODE) != NULL;
    options = conn != NULL ? PQconninfo(conn) : NULL;
    *timeout_s = timeout_of(option_value(options, "connect_timeout"));
    for (size_t i = 0; i < DEFAULT_COUNT; i++) {
        if (option_value(options, defaults[i][0]) != NULL)
            continue;
        keyword_add(k, defaults[i][0], defaults[i][1]);
        if (i == 0)
            *timeout_s = timeout_of(defaults[i][1]);
    }
    PQconninfoFree(options);
    PQfinish(conn);
    return valid;
}

/* The address that libpq is trying now. */
static char *
current_address(const PGconn *conn)
{
    const char *host = PQhost(conn), *address = PQhostaddr(conn), *port = PQport(conn);

    return mem_printf("%s %s %s", host != NULL ? host : "", address != NULL ? address : "",
                      port != NULL ? port : "");
}

/* A time limit for each address, as PQconnectdb() has. */
struct attempt {
    PGconn *conn;
    int timeout_s;
    int64_t until;
    char *address;
    bool timed_out;
};

static void
attempt_check(struct attempt *a)
{
    char *address = current_address(a->conn);
    int64_t now = clock_ms();

    if (a->address == NULL || strcmp(a->address, address) != 0) {
        free(a->address);
        a->address = address;
        a->until = now + (int64_t)a->timeout_s * 1000;
        a->timed_out = false;
        return;
    }
    free(address);
    if (a->timeout_s > 0 && now >= a->until && !a->timed_out) {
        a->timed_out = true;
        shutdown(PQsocket(a->conn), SHUT_RDWR); /* libpq sees an error, and goes on to the next address */
    }
}

/* False when the user asked to stop and there is no answer yet. */
static bool
attempt_run(struct attempt *a)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    while (PQstatus(a->conn) != CONNECTION_BAD && status != PGRES_POLLING_OK &&
           status != PGRES_POLLING_FAILED) {
        struct pollfd fd = {.fd = PQsocket(a->conn),
                            .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT};

        attempt_check(a);
        if (fd.fd < 0 || poll(&fd, 1, POLL_MS) > 0)
            status = PQconnectPoll(a->conn);
        else if (stop_requested()) /* only then: a server that answers is there for a clean-up too */
            return false;
    }
    return true;
}

bool
sqlstate_is_transient(const char *sqlstate, bool connecting)
{
    /* admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout; not database_dropped */
    static const char *const states[] = {"57P01", "57P02", "57P03", "57P05"};

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(sqlstate, states[i]) == 0)
            return true;
    }
    if (connecting && strcmp(sqlstate, "53300") == 0) /* too_many_connections */
        return true;
    /* connection_exception; but protocol_violation comes again */
    return strncmp(sqlstate, "08", 2) == 0 && strcmp(sqlstate, "08P01") != 0;
}

/* "FATAL:  28P01: …": where the SQLSTATE stands in a line of a verbose message, or NULL. */
static const char *
find_sqlstate(const char *line, size_t len)
{
    for (size_t i = 0; i + 10 <= len; i++) {
        if (strncmp(line + i, ":  ", 3) != 0)
            continue;
        if (strspn(line + i + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
            strncmp(line + i + 8, ": ", 2) == 0)
            return line + i + 3;
    }
    return NULL;
}

/* libpq's verbose message without what is for programs. sqlstate: the last one in it. */
static char *
plain_message(const char *verbose, char sqlstate[6])
{
    struct buffer out = {0};

    for (const char *line = verbose; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        const char *state = find_sqlstate(line, len);

        if (state != NULL) {
            memcpy(sqlstate, state, 5);
            sqlstate[5] = '\0';
            buffer_printf(&out, "%s%.*s%.*s", out.len > 0 ? "\n" : "", (int)(state - line), line,
                          (int)(len - (size_t)(state + 7 - line)), state + 7);
        } else if (len > 0 && strncmp(line, "LOCATION:", 9) != 0) {
            buffer_printf(&out, "%s%.*s", out.len > 0 ? "\n" : "", (int)len, line);
        }
        line += len + (line[len] == '\n');
    }
    return buffer_take(&out);
}

/* Where a server has answered its SQLSTATE tells whether another try may succeed; silence may always pass. */
static void
explain_failure(const struct attempt *a, bool options_valid, struct error *err)
{
    char sqlstate[6] = "";
    char *message = plain_message(PQerrorMessage(a->conn), sqlstate);

    error_set(err, ERROR_FAILED, "%s",
              message != NULL && message[0] != '\0' ? message : "the server cannot be reached");
    memcpy(err->sqlstate, sqlstate, sizeof(sqlstate));
    if (a->timed_out)
        error_detail(err, "No answer came within %d s (connect_timeout).", a->timeout_s);
    err->connection_lost = sqlstate[0] != '\0' ? sqlstate_is_transient(sqlstate, true)
                                               : options_valid && !PQconnectionNeedsPassword(a->conn);
    free(message);
}

static void
collect_keywords(struct keywords *k, const struct connection_options *options, enum session_kind kind,
                 const char *application_name)
{
    keyword_add(k, "dbname", options->dbname);
    keyword_add(k, "host", options->host);
    keyword_add(k, "port", options->port);
    keyword_add(k, "user", options->user);
    keyword_add(k, "password", options->password);
    keyword_add(k, "application_name", application_name);
    keyword_add(k, "client_encoding", "UTF8");
    keyword_add(k, "replication", kind == SESSION_REPLICATION ? "database" : NULL);
}

PGconn *
server_connect(const struct connection_options *options, enum session_kind kind, const char *purpose,
               struct error *err)
{
    char *name = mem_printf("pgrecast %s", purpose);
    struct keywords keywords = {0};
    struct attempt attempt = {0};
    bool options_valid, connected = false;

    collect_keywords(&keywords, options, kind, name);
    options_valid = add_defaults(&keywords, &attempt.timeout_s);
    attempt.conn = PQconnectStartParams(keywords.names, keywords.values, 1);
    PQsetErrorVerbosity(attempt.conn, PQERRORS_VERBOSE); /* for the SQLSTATE of a refusal */
    if (!attempt_run(&attempt)) {
        error_set(err, ERROR_FAILED, "stopped on request");
        err->stopped = true;
    } else if (PQstatus(attempt.conn) != CONNECTION_OK) {
        explain_failure(&attempt, options_valid, err);
    } else {
        connected = true;
        PQsetErrorVerbosity(attempt.conn, PQERRORS_DEFAULT);
    }
    if (!connected) {
        PQfinish(attempt.conn);
        attempt.conn = NULL;
    }
    free(attempt.address);
    free(name);
    return attempt.conn;
}
