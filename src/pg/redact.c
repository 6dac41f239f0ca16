#include "pg/redact.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *sqlstate;
    const char *name;
} conditions[] = {
    {"22000", "data exception"},
    {"22001", "a value is too long for the type"},
    {"22003", "a number is out of range"},
    {"22007", "not a valid date or time"},
    {"22008", "a date or time is out of range"},
    {"22012", "division by zero"},
    {"22021", "a character is not in the encoding's repertoire"},
    {"22023", "an invalid parameter value"},
    {"22026", "a bit string has the wrong length"},
    {"22032", "not valid JSON"},
    {"22P02", "a value is not valid input for the type"},
    {"22P03", "a value is not a valid binary representation of the type"},
    {"2200G", "the most specific type does not match"},
    {"2200M", "not a valid XML document"},
    {"2200N", "not valid XML content"},
    {"21000", "an expression returned more than one row"},
    {"P0001", "a function raised an exception"},
};

bool
error_is_of_a_row(const struct error *err)
{
    static const char *const classes[] = {"21", "22", "23", "44", "P0", "38", "39"};

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (strncmp(err->sqlstate, classes[i], 2) == 0)
            return true;
    }
    return false;
}

/* Messages of class 23 name a column, a constraint or an index; only their details hold values. */
static void
redact_integrity(struct error *err)
{
    bool names_key = strcmp(err->sqlstate, "23505") == 0 || strcmp(err->sqlstate, "23P01") == 0;

    if (!names_key) {
        free(err->detail);
        err->detail = NULL;
    }
}

void
error_redact(struct error *err)
{
    const char *name = "an expression failed";
    char sqlstate[6];
    bool stopped = err->stopped, lost = err->connection_lost;
    enum error_kind kind = err->kind;

    if (!error_is_of_a_row(err))
        return;
    if (strncmp(err->sqlstate, "23", 2) == 0) {
        redact_integrity(err);
        return;
    }
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
        if (strcmp(err->sqlstate, conditions[i].sqlstate) == 0)
            name = conditions[i].name;
    }
    memcpy(sqlstate, err->sqlstate, sizeof(sqlstate));
    error_set(err, kind, "%s (SQLSTATE %s)", name, sqlstate);
    memcpy(err->sqlstate, sqlstate, sizeof(sqlstate));
    err->stopped = stopped;
    err->connection_lost = lost;
}
