#include "fake_server.h"

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

static void
send_message(struct fake_server *f, char kind, const struct buffer *body)
{
    struct buffer out = {0};

    wire_add_message(&out, kind, body);
    (void)send(f->fd, out.data, out.len, MSG_NOSIGNAL);
    buffer_free(&out);
}

/* Text fields, each with its NUL. */
static void
send_texts(struct fake_server *f, char kind, const char *first, const char *second)
{
    struct buffer body = {0};

    wire_add_text(&body, first);
    if (second != NULL)
        wire_add_text(&body, second);
    send_message(f, kind, &body);
    buffer_free(&body);
}

static void
send_number(struct fake_server *f, char kind, uint64_t value, int bytes)
{
    struct buffer body = {0};

    wire_add_number(&body, value, bytes);
    send_message(f, kind, &body);
    buffer_free(&body);
}

void
fake_server_error(struct fake_server *f, const char *severity, const char *sqlstate)
{
    struct buffer body = {0};

    buffer_printf(&body, "S%s", severity);
    buffer_add_char(&body, '\0');
    buffer_printf(&body, "C%s", sqlstate);
    buffer_add_char(&body, '\0');
    buffer_printf(&body, "Mrefused by the test: %s", sqlstate);
    buffer_add_char(&body, '\0');
    buffer_printf(&body, "Ltest.c:1");
    wire_add_number(&body, 0, 2);
    send_message(f, 'E', &body);
    buffer_free(&body);
}

static bool
receive(struct fake_server *f, char *data, size_t len)
{
    while (len > 0) {
        ssize_t got = recv(f->fd, data, len, 0);

        if (got <= 0)
            return false;
        data += got;
        len -= (size_t)got;
    }
    return true;
}

/* A message of the client; kind 0: the packet that begins a session, which has none. False at the end. */
static bool
receive_message(struct fake_server *f, char *kind, struct buffer *body)
{
    char head[5];

    buffer_reset(body);
    if (!receive(f, head, *kind != 0 ? 5 : 4))
        return false;
    body->len = wire_number(*kind != 0 ? head + 1 : head, 4) - 4;
    buffer_reserve(body, body->len + 1);
    if (*kind != 0)
        *kind = head[0];
    return receive(f, body->data, body->len);
}

/* A row of one column. */
static void
send_row(struct fake_server *f, const char *name, uint32_t type, const char *text)
{
    struct buffer body = {0};

    wire_add_number(&body, 1, 2);
    wire_add_text(&body, name);
    wire_add_number(&body, 0, 6);
    wire_add_number(&body, type, 4);
    wire_add_number(&body, 8, 2);
    wire_add_number(&body, UINT32_MAX, 4);
    wire_add_number(&body, 0, 2);
    send_message(f, 'T', &body);
    buffer_reset(&body);
    wire_add_number(&body, 1, 2);
    wire_add_number(&body, strlen(text), 4);
    buffer_add(&body, text, strlen(text));
    send_message(f, 'D', &body);
    buffer_free(&body);
}

static void
send_confirmed(struct fake_server *f)
{
    char text[LSN_TEXT_SIZE];

    lsn_format(f->confirmed, text);
    send_row(f, "confirmed_flush_lsn", 3220, text);
}

/* True when the stream has begun. */
static bool
answer(struct fake_server *f, const char *sql)
{
    if (strncmp(sql, "START_REPLICATION", 17) == 0) {
        if (f->start_error == NULL) {
            send_number(f, 'W', 0, 3);
            return true;
        }
        fake_server_error(f, "ERROR", f->start_error);
    } else {
        if (strncmp(sql, "SELECT confirmed_flush_lsn", 26) == 0)
            send_confirmed(f);
        if (strstr(sql, "pg_backend_pid()") != NULL)
            send_row(f, "pid", 23, f->pooled ? "4711" : "0");
        f->settings += strstr(sql, "set_config") != NULL;
        send_texts(f, 'C', "SELECT 1", NULL);
    }
    send_number(f, 'Z', 'I', 1);
    return false;
}

static void
welcome(struct fake_server *f)
{
    send_number(f, 'R', 0, 4);
    send_texts(f, 'S', "server_version", "15.0");
    send_texts(f, 'S', "client_encoding", "UTF8");
    send_texts(f, 'S', "standard_conforming_strings", "on");
    send_number(f, 'K', 1, 8); /* process 0 */
    send_number(f, 'Z', 'I', 1);
}

static void *
serve(void *arg)
{
    struct fake_server *f = arg;
    struct buffer body = {0};
    bool streaming = false;
    char kind = 0;

    f->fd = accept(f->listener, NULL, NULL);
    if (receive_message(f, &kind, &body)) {
        if (f->refusal == NULL)
            welcome(f);
        else if (f->refusal[0] != '\0')
            fake_server_error(f, "FATAL", f->refusal);
    }
    for (kind = 'Q'; f->refusal == NULL && !streaming && receive_message(f, &kind, &body);)
        streaming = kind == 'Q' && answer(f, body.data);
    if (!streaming)
        shutdown(f->fd, SHUT_RDWR);
    buffer_free(&body);
    return NULL;
}

void
fake_server_open(struct fake_server *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(f, 0, sizeof(*f));
    f->fd = -1;
    f->directory = directory_make_temporary();
    f->dbname = mem_printf("host=%s port=5432 user=u dbname=d connect_timeout=20", f->directory);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.5432", f->directory);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(f->listener, 1), 0);
}

void
fake_server_run(struct fake_server *f)
{
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

void
fake_server_ready(struct fake_server *f)
{
    pthread_join(f->thread, NULL);
}

void
fake_server_close(struct fake_server *f)
{
    if (f->fd >= 0)
        close(f->fd);
    close(f->listener);
    free(f->dbname);
    directory_drop(f->directory);
}

void
fake_server_keepalive(struct fake_server *f, lsn_t end, bool reply)
{
    struct buffer body = {0};

    buffer_add_char(&body, 'k');
    wire_add_number(&body, end, 8);
    wire_add_number(&body, 0, 8);
    wire_add_number(&body, reply, 1);
    send_message(f, 'd', &body);
    buffer_free(&body);
}

static void
send_change(struct fake_server *f, lsn_t start, const struct buffer *change)
{
    struct buffer body = {0};

    buffer_add_char(&body, 'w');
    wire_add_number(&body, start, 8);
    wire_add_number(&body, start, 8);
    wire_add_number(&body, 0, 8);
    buffer_add(&body, change->data, change->len);
    send_message(f, 'd', &body);
    buffer_free(&body);
}

void
fake_server_begin(struct fake_server *f, lsn_t final_lsn)
{
    struct buffer change = {0};

    buffer_add_char(&change, 'B');
    wire_add_number(&change, final_lsn, 8);
    wire_add_number(&change, 0, 8);
    wire_add_number(&change, 7, 4);
    send_change(f, final_lsn, &change);
    buffer_free(&change);
}

void
fake_server_commit(struct fake_server *f, lsn_t commit_lsn, lsn_t end_lsn)
{
    struct buffer change = {0};

    buffer_add_char(&change, 'C');
    wire_add_number(&change, 0, 1);
    wire_add_number(&change, commit_lsn, 8);
    wire_add_number(&change, end_lsn, 8);
    wire_add_number(&change, 0, 8);
    send_change(f, commit_lsn, &change);
    buffer_free(&change);
}

bool
fake_server_status(struct fake_server *f, int ms, lsn_t *written, lsn_t *flushed)
{
    struct pollfd fd = {.fd = f->fd, .events = POLLIN};
    struct buffer body = {0};
    char kind = 'd';
    bool ok = poll(&fd, 1, ms) > 0 && receive_message(f, &kind, &body) && kind == 'd' && body.len == 34;

    if (ok) {
        *written = wire_number(body.data + 1, 8);
        *flushed = wire_number(body.data + 9, 8);
    }
    buffer_free(&body);
    return ok;
}
