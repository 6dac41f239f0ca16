/*
 * A server as far as a client sees one: it accepts one connection, lets a walsender's session be set up, and
 * leaves the rest to the test. What it says is in the test's hands, so also what no server would say twice.
 */
#ifndef PGRECAST_TESTS_UNIT_FAKE_SERVER_H
#define PGRECAST_TESTS_UNIT_FAKE_SERVER_H

#include <pthread.h>

#include "support.h"

struct fake_server {
    char *directory; /* of its socket */
    char *dbname;    /* for struct connection_options */
    int listener;
    int fd; /* of the connection, once fake_server_ready() */
    pthread_t thread;
    const char *refusal;     /* an SQLSTATE to answer the first packet with, "" to hang up, or NULL */
    const char *start_error; /* an SQLSTATE to answer START_REPLICATION with, or NULL */
    lsn_t confirmed;         /* of the slot */
    bool pooled;             /* it names another process to its client than the one that it is */
    int settings;            /* how many statements changed settings */
};

/* The options are set between these two. */
void fake_server_open(struct fake_server *f);
void fake_server_run(struct fake_server *f);

/* The connection is set up, or was refused. */
void fake_server_ready(struct fake_server *f);
void fake_server_close(struct fake_server *f);

void fake_server_error(struct fake_server *f, const char *severity, const char *sqlstate);

/* In the stream: */
void fake_server_keepalive(struct fake_server *f, lsn_t end, bool reply);
void fake_server_begin(struct fake_server *f, lsn_t final_lsn);
void fake_server_commit(struct fake_server *f, lsn_t commit_lsn, lsn_t end_lsn);

/* The next status of the client. False when none comes within ms. */
bool fake_server_status(struct fake_server *f, int ms, lsn_t *written, lsn_t *flushed);

#endif
