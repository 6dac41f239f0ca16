#include "pg/redact.h"

#include <stdlib.h>
#include <string.h>

/* The text for a failure of which nothing else may be shown: by SQLSTATE, or by class. */
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
    {"0A", "the server does not support this for a value"},
    {"22", "data exception"},
    {"23", "a constraint is violated"},
    {"40", "the transaction was rolled back"},
    {"42", "a name or a privilege is missing, or an expression is wrong"},
    {"53", "the server is short of a resource"},
    {"54", "a limit of the server is exceeded"},
    {"55", "an object is not in the state that is needed"},
    {"57", "the server was interrupted"},
    {"58", "the server's system failed"},
    {"XX", "internal error of the server"},
};

/*
 * Messages that are known to contain no values, by class and by the server's source file that writes them.
 * Their texts contain names, numbers and limits only. What a function raises comes from other files. top:
 * only a message of the statement itself, not of a statement within a function, whose text may be built from
 * values.
 */
static const struct {
    const char *class;
    bool top;
    const char *const files[16];
} plain[] = {
    {"23",
     false,
     {"execMain.c", "execExprInterp.c", "execIndexing.c", "domains.c", "nbtinsert.c", "tuplesort.c",
      "tuplesortvariants.c", "ri_triggers.c", "tablecmds.c", "execPartition.c"}},
    {"54", false, {"nbtutils.c", "nbtinsert.c", "hio.c", "indextuple.c", "hashinsert.c", "spgdoinsert.c"}},
    {"53",
     false,
     {"fd.c", "md.c", "buffile.c", "xlog.c", "mcxt.c", "aset.c", "generation.c", "slab.c", "bump.c",
      "dynahash.c", "shmem.c", "dsm_impl.c", "lock.c", "proc.c", "logtape.c"}},
    {"58", false, {"fd.c", "md.c", "smgr.c", "buffile.c", "xlog.c", "slru.c", "dfmgr.c"}},
    {"57", false, {"postgres.c", "postmaster.c", "postinit.c", "xlogrecovery.c", "proc.c"}},
    {"55", true, {"postgres.c", "lmgr.c", "proc.c", "lock.c", "heapam.c", "namespace.c", "tablecmds.c"}},
    {"40", true, {"deadlock.c", "proc.c", "predicate.c", "heapam.c", "nodeModifyTable.c", "postgres.c"}},
    {"42",
     true,
     {"parse_relation.c", "parse_func.c", "parse_oper.c", "parse_type.c", "namespace.c", "aclchk.c",
      "relation.c", "table.c"}},
};

/* Classes that concern the server, the connection or the transaction, not a row. */
static const char *const of_the_server[] = {"08", "25", "40", "53", "55", "57", "58", "PG", "XX"};

static bool
is_of_class(const struct error *err, const char *class)
{
    return strncmp(err->sqlstate, class, strlen(class)) == 0;
}

bool
error_is_of_a_row(const struct error *err)
{
    if (err->sqlstate[0] == '\0' || err->connection_lost || err->stopped)
        return false;
    for (size_t i = 0; i < sizeof(of_the_server) / sizeof(of_the_server[0]); i++) {
        if (is_of_class(err, of_the_server[i]))
            return false;
    }
    return true;
}

static bool
is_plain(const struct error *err)
{
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (!is_of_class(err, plain[i].class) || (plain[i].top && err->inside))
            continue;
        for (size_t f = 0; plain[i].files[f] != NULL; f++) {
            if (strcmp(err->source, plain[i].files[f]) == 0)
                return true;
        }
    }
    return false;
}

/*
 * Details of class 23 contain values. Of "Key (a, b)=(1, x) already exists." only the columns are kept: the
 * text is cut at the first place where values may begin. An expression of the index can only make the rest
 * shorter.
 */
static void
redact_detail(struct error *err)
{
    const char *columns =
        err->detail != NULL && strncmp(err->detail, "Key (", 5) == 0 ? err->detail + 5 : NULL;
    char *end = columns != NULL ? strstr(err->detail, ")=(") : NULL;

    if (end != NULL)
        *end = '\0';
    if (end != NULL && strcmp(err->sqlstate, "23505") == 0) {
        error_detail(err,
                     "Several rows have the same values in (%s). GROUP BY %s HAVING count(*) > 1 finds them.",
                     columns, columns);
    } else if (end != NULL && strcmp(err->sqlstate, "23P01") == 0) {
        error_detail(err, "Rows exclude each other by their values in (%s).", columns);
    } else {
        free(err->detail);
        err->detail = NULL;
    }
}

static void
replace(struct error *err)
{
    struct error kept = {0};
    const char *name = "an expression failed";

    for (size_t i = sizeof(conditions) / sizeof(conditions[0]); i-- > 0;) {
        if (is_of_class(err, conditions[i].sqlstate))
            name = conditions[i].name;
    }
    error_set(&kept, err->kind, "%s (SQLSTATE %s)", name, err->sqlstate);
    kept.stopped = err->stopped;
    kept.connection_lost = err->connection_lost;
    memcpy(kept.sqlstate, err->sqlstate, sizeof(kept.sqlstate));
    error_move(err, &kept);
}

void
error_redact(struct error *err)
{
    if (err->source[0] == '\0') /* not a text of the server */
        return;
    if (!is_plain(err))
        replace(err);
    else if (is_of_class(err, "23"))
        redact_detail(err);
    err->source[0] = '\0'; /* mark it as done: a second call must not remove more */
}
