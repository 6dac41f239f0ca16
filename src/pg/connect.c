#include "connect.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/clock.h"
#include "core/command.h"
#include "core/mem.h"
#include "core/stop.h"

#define POLL_MS 200
#define OPTIONS_MAX 16
#define NO_SSLMODE "none (a dry run of pgrecast)"

/* Defaults that the user may override. Only the last one is in milliseconds. */
static const char *const defaults[][2] = {
    {"connect_timeout", "10"}, {"keepalives_idle", "10"},     {"keepalives_interval", "5"},
    {"keepalives_count", "3"}, {"tcp_user_timeout", "20000"},
};
#define DEFAULT_COUNT (sizeof(defaults) / sizeof(defaults[0]))

/* For PQconnectStartParams(): ends with NULL. Later keywords override earlier ones, and those in dbname. */
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

/* As in libpq: 0 or less means no limit, and a single second would be rounded to nothing. */
static int
timeout_of(const char *value)
{
    int seconds = value != NULL ? atoi(value) : 0;

    return seconds == 1 ? 2 : seconds;
}

/*
 * Add the defaults for what the user has not set. A keyword given to libpq overrides the environment and
 * service files, and only libpq knows how to read those. So the program asks libpq for the settings, with a
 * connection that libpq refuses to begin because of its sslmode. False if libpq refuses for another reason:
 * then the user's options are wrong.
 */
static bool
connect_add_defaults(struct keywords *k, int *timeout_s)
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

/* The address that libpq is trying at the moment. */
static char *
current_address(const PGconn *conn)
{
    const char *host = PQhost(conn), *address = PQhostaddr(conn), *port = PQport(conn);

    return mem_printf("%s %s %s", host != NULL ? host : "", address != NULL ? address : "",
                      port != NULL ? port : "");
}

/* A time limit for each address, as PQconnectdb() has it. */
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
        shutdown(PQsocket(a->conn), SHUT_RDWR); /* libpq sees an error, and tries the next address */
    }
}

/* False if the user asked to stop and there is no answer yet. */
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
        else if (stop_requested()) /* only here: a server that answers is also needed for a clean-up */
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
    /* connection_exception; but a protocol_violation would be repeated */
    return strncmp(sqlstate, "08", 2) == 0 && strcmp(sqlstate, "08P01") != 0;
}

/* "FATAL:  28P01: …": the place of the SQLSTATE in a line of a verbose message, or NULL. */
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

/* libpq's verbose message without the parts that are for programs. sqlstate: the last one in the message. */
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

/*
 * If the server has answered, its SQLSTATE says whether another try may succeed. If it has not answered,
 * another try may always succeed.
 */
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
    keyword_add(k, "client_encoding", "SQL_ASCII"); /* until it is known which encoding is possible */
    keyword_add(k, "replication", kind == SESSION_REPLICATION ? "database" : NULL);
}

/* A value of a conninfo string. */
static void
add_keyword(struct buffer *out, const char *keyword, const char *value)
{
    buffer_printf(out, "%s%s='", out->len > 0 ? " " : "", keyword);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\')
            buffer_add_char(out, '\\');
        buffer_add_char(out, *c);
    }
    buffer_add_char(out, '\'');
}

/* libpq: the value is hidden in a dialog; a password is such a value ("*"). */
static bool
is_secret(const PQconninfoOption *o)
{
    return o->val != NULL && strcmp(o->dispchar, "*") == 0;
}

/* A name, a conninfo string or a URI, without what is secret. NULL: nothing can be shown. The caller frees it. */
static char *
without_secrets(const char *dbname)
{
    PQconninfoOption *options;
    struct buffer text = {0};
    bool secret = false;

    if (strchr(dbname, '=') == NULL && strstr(dbname, "://") == NULL)
        return mem_strdup(dbname);
    options = PQconninfoParse(dbname, NULL);
    if (options == NULL)
        return NULL;
    for (const PQconninfoOption *o = options; o->keyword != NULL; o++) {
        secret = secret || is_secret(o);
        if (o->val != NULL && !is_secret(o))
            add_keyword(&text, o->keyword, o->val);
    }
    PQconninfoFree(options);
    if (secret)
        return buffer_take(&text);
    buffer_free(&text);
    return mem_strdup(dbname);
}

void
connection_add_options(const struct connection_options *options, struct buffer *out)
{
    char *dbname = options->dbname != NULL ? without_secrets(options->dbname) : NULL;

    command_add_option(out, "-d", dbname);
    command_add_option(out, "-h", options->host);
    command_add_option(out, "-p", options->port);
    command_add_option(out, "-U", options->user);
    if (options->no_password)
        buffer_add_text(out, " -w");
    free(dbname);
}

PGconn *
server_connect(const struct connection_options *options, enum session_kind kind, const char *purpose,
               PQnoticeReceiver receiver, void *receiver_arg, struct error *err)
{
    char *name = mem_printf("pgrecast %s", purpose);
    struct keywords keywords = {0};
    struct attempt attempt = {0};
    bool options_valid, connected = false;

    collect_keywords(&keywords, options, kind, name);
    options_valid = connect_add_defaults(&keywords, &attempt.timeout_s);
    attempt.conn = PQconnectStartParams(keywords.names, keywords.values, 1);
    PQsetNoticeReceiver(attempt.conn, receiver, receiver_arg); /* libpq itself would write them to stderr */
    PQsetErrorVerbosity(attempt.conn, PQERRORS_VERBOSE);       /* for the SQLSTATE of a refusal */
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
