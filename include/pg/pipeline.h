/*
 * Statements that go to the server together, in one round trip (libpq's pipeline mode). After the first that
 * fails, the server skips the rest.
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
    /* which statement failed in pipeline_run(), counted from 0; -1: the failure was not of a statement */
    int failed;
    struct pipeline_statement *statements;
};

/* Text parameters, NULL for SQL NULL; all are copied. */
void pipeline_add(struct pipeline *p, const char *sql); /* without parameters */
void pipeline_add_params(struct pipeline *p, const char *sql, int nparams, const char *const *params);
void pipeline_add_prepared(struct pipeline *p, const char *name, int nparams, ...); /* session_prepare() */
/* The same with parameters of any kind, see pg/params.h. */
void pipeline_add_with(struct pipeline *p, const char *sql, const struct params *params);
void pipeline_add_prepared_with(struct pipeline *p, const char *name, const struct params *params);

/* Run them. The error names the first statement that failed. */
bool pipeline_run(struct session *s, struct pipeline *p, struct error *err);

/* The result of a statement, counted from 0, after pipeline_run(). Owned by the pipeline. */
const struct result *pipeline_result(const struct pipeline *p, int statement);

void pipeline_free(struct pipeline *p);

#endif
