/* SQLSTATEs by which the program decides (PostgreSQL manual, appendix A), and its own, class PG. */
#ifndef PGRECAST_PG_SQLSTATE_H
#define PGRECAST_PG_SQLSTATE_H

#include <stdbool.h>
#include <string.h>

#include "core/error.h"

#define SQLSTATE_DIVISION_BY_ZERO "22012"
#define SQLSTATE_CHARACTER_NOT_IN_REPERTOIRE "22021"
#define SQLSTATE_INVALID_TEXT_REPRESENTATION "22P02"
#define SQLSTATE_UNTRANSLATABLE_CHARACTER "22P05"
#define SQLSTATE_UNIQUE_VIOLATION "23505"
#define SQLSTATE_CHECK_VIOLATION "23514"
#define SQLSTATE_DEADLOCK_DETECTED "40P01"
#define SQLSTATE_INSUFFICIENT_PRIVILEGE "42501"
#define SQLSTATE_UNDEFINED_COLUMN "42703"
#define SQLSTATE_UNDEFINED_OBJECT "42704"
#define SQLSTATE_DUPLICATE_OBJECT "42710"
#define SQLSTATE_UNDEFINED_FUNCTION "42883"
#define SQLSTATE_UNDEFINED_TABLE "42P01"
#define SQLSTATE_TOO_MANY_CONNECTIONS "53300"
#define SQLSTATE_OBJECT_IN_USE "55006"
#define SQLSTATE_LOCK_NOT_AVAILABLE "55P03"
#define SQLSTATE_QUERY_CANCELED "57014"

static inline bool
sqlstate_is(const struct error *err, const char *sqlstate)
{
    return strcmp(err->sqlstate, sqlstate) == 0;
}

#endif
