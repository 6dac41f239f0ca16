/* Opening a session: whose settings count, and what a refusal means. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "fake_server.h"
#include "pg/session.h"

#define FATAL "FATAL:  refused by the test: "

static void
expect_refusal(const char *refusal, bool lost, const char *message)
{
    struct connection_options connection = {0};
    struct fake_server server;
    struct error err = {0};

    fake_server_open(&server);
    server.refusal = refusal;
    connection.dbname = server.dbname;
    fake_server_run(&server);
    assert_null(session_open(&connection, SESSION_SQL, "unit", &err));
    fake_server_ready(&server);
    assert_int_equal(err.connection_lost, lost);
    assert_string_equal(err.sqlstate, refusal);
    assert_error(&err, "connection to server on socket \"%s/.s.PGSQL.5432\" failed: %s%s", server.directory,
                 message, refusal);
    fake_server_close(&server);
}

static void
test_refusals(void **state)
{
    (void)state;
    expect_refusal("57P03", true, FATAL);
    expect_refusal("57P01", true, FATAL);
    expect_refusal("53300", true, FATAL);
    expect_refusal("08006", true, FATAL);
    expect_refusal("", true,
                   "server closed the connection unexpectedly\n\tThis probably means the server terminated "
                   "abnormally\n\tbefore or while processing the request.");
    expect_refusal("28P01", false, FATAL);
    expect_refusal("28000", false, FATAL);
    expect_refusal("3D000", false, FATAL);
    expect_refusal("57P04", false, FATAL);
    expect_refusal("42501", false, FATAL);
}

static void
expect_failure(const char *dbname, bool lost, const char *message)
{
    struct connection_options connection = {.dbname = (char *)dbname};
    struct error err = {0};

    assert_null(session_open(&connection, SESSION_SQL, "unit", &err));
    assert_int_equal(err.connection_lost, lost);
    assert_string_equal(err.sqlstate, "");
    assert_error(&err, "%s", message);
}

static void
test_without_a_server(void **state)
{
    (void)state;
    expect_failure(
        "host=/nonexistent", true,
        "connection to server on socket \"/nonexistent/.s.PGSQL.5432\" failed: No such file or directory\n"
        "\tIs the server running locally and accepting connections on that socket?");
    expect_failure("host=/nonexistent no_such_option=1", false,
                   "invalid connection option \"no_such_option\"");
    expect_failure("service=no_such_service", false, "definition of service \"no_such_service\" not found");
}

/* The setting of a session that was opened with such a connection string. */
static void
expect_setting(const char *extra, const char *name, const char *expected)
{
    struct connection_options connection = {0};
    struct fake_server server;
    struct error err = {0};
    struct session *s;
    PQconninfoOption *options;

    fake_server_open(&server);
    free(server.dbname);
    server.dbname = mem_printf("host=%s port=5432 user=u dbname=d %s", server.directory, extra);
    connection.dbname = server.dbname;
    fake_server_run(&server);
    s = session_open(&connection, SESSION_SQL, "unit", &err);
    assert_ok(s != NULL, &err);
    options = PQconninfo(session_conn(s));
    for (PQconninfoOption *o = options; o->keyword != NULL; o++) {
        if (strcmp(o->keyword, name) == 0)
            assert_string_equal(o->val, expected);
    }
    PQconninfoFree(options);
    session_close(s);
    fake_server_ready(&server);
    fake_server_close(&server);
}

static void
test_the_user_wins(void **state)
{
    char *directory = directory_make_temporary();
    char *path = mem_printf("%s/services", directory);
    FILE *file = fopen(path, "w");

    (void)state;
    fputs("[patient]\nconnect_timeout=6\ntcp_user_timeout=5\n", file);
    fclose(file);
    setenv("PGSERVICEFILE", path, 1);
    expect_setting("", "connect_timeout", "10");
    expect_setting("", "keepalives_idle", "10");
    expect_setting("", "keepalives_interval", "5");
    expect_setting("", "keepalives_count", "3");
    expect_setting("", "tcp_user_timeout", "20000");
    expect_setting("connect_timeout=3", "connect_timeout", "3");
    expect_setting("connect_timeout=3", "keepalives_idle", "10");
    expect_setting("keepalives_idle=99", "keepalives_idle", "99");
    expect_setting("service=patient", "connect_timeout", "6");
    expect_setting("service=patient", "tcp_user_timeout", "5");
    expect_setting("service=patient", "keepalives_count", "3");
    setenv("PGCONNECT_TIMEOUT", "7", 1);
    expect_setting("", "connect_timeout", "7");
    expect_setting("connect_timeout=3", "connect_timeout", "3");
    unsetenv("PGCONNECT_TIMEOUT");
    unsetenv("PGSERVICEFILE");
    free(path);
    directory_drop(directory);
}

/* Its sessions are others' too: none of them is changed. */
static void
test_pooler(void **state)
{
    struct connection_options connection = {0};
    struct fake_server server;
    struct error err = {0};

    (void)state;
    fake_server_open(&server);
    server.pooled = true;
    connection.dbname = server.dbname;
    fake_server_run(&server);
    assert_null(session_open(&connection, SESSION_SQL, "unit", &err));
    fake_server_ready(&server);
    assert_int_equal(err.kind, ERROR_REFUSED);
    assert_false(err.connection_lost);
    assert_string_equal(err.message, "there is a connection pooler between pgrecast and the server");
    assert_string_equal(err.detail, "A job needs sessions of its own, and a replication connection.");
    assert_string_equal(err.hint,
                        "Connect to the server itself: its own host and port, not those of the pooler. The "
                        "application may go on using the pooler.");
    assert_int_equal(server.settings, 0);
    error_clear(&err);
    fake_server_close(&server);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_without_a_server),
        cmocka_unit_test(test_the_user_wins),
        cmocka_unit_test(test_pooler),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
