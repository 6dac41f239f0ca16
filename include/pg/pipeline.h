/*
 * Statements that go to the server together, in one round trip (libpq's pipeline mode). The first that fails
 * makes the server skip the rest.
 *
 * Refuses: COPY. Zero-initialise a struct pipeline; release it with pipeline_free(), also after a failure.
 */
#ifndef PGRECAST_PG_PIPELINE_H
#define PGRECAST_PG_PIPELINE_H

#include "pg/session.h"

struct pipeline_statement {
    char *sql; /* a text, or the name of a prepared statement */
    bool prepared;
    int nparams;
    char **params;
    struct result result;
};

struct pipeline {
    int count;
    int failed; /* of the statements, counted from 0, after a pipeline_run() that failed; -1: it was none */
    struct pipeline_statement *statements;
};

/* Text parameters, NULL for SQL NULL; all are copied. */
void pipeline_add(struct pipeline *p, const char *sql); /* without any */
void pipeline_add_params(struct pipeline *p, const char *sql, int nparams, const char *const *params);
void pipeline_add_prepared(struct pipeline *p, const char *name, int nparams, ...); /* session_prepare() */

/* Run them. The error names the first that failed. */
bool pipeline_run(struct session *s, struct pipeline *p, struct error *err);

/* Of a statement, counted from 0, after pipeline_run(). Owned by the pipeline. */
const struct result *pipeline_result(const struct pipeline *p, int statement);

void pipeline_free(struct pipeline *p);

#endif
