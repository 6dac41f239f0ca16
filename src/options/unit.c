#include "unit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* The largest unit first. If a unit has two names, the first one is printed. */
static const struct unit count_units[] = {{"", 1}, {NULL, 0}};
static const struct unit time_units[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"min", 60000},
                                         {"m", 60000},     {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit size_units[] = {{"TB", INT64_C(1) << 40}, {"GB", 1 << 30}, {"MB", 1 << 20},
                                         {"kB", 1 << 10},          {"B", 1},        {NULL, 0}};

static const struct {
    const struct unit *units;
    int64_t each; /* how many of the smallest unit make one of these */
    bool parts;   /* a value may consist of several numbers with their units */
    const char *forms;
} measures[] = {
    [MEASURE_COUNT] = {count_units, 1, false, NULL},
    [MEASURE_MS] = {time_units, 1, true,
                    "A time needs a unit: ms, s, min (or m), h, d or w, as in 250ms or 2s."},
    [MEASURE_SECONDS] = {time_units, 1000, true,
                         "A time needs a unit: s, min (or m), h, d or w, as in 90s, 30min, 24h or 1d12h."},
    [MEASURE_SIZE] = {size_units, 1, false, "A size needs a unit: B, kB, MB, GB or TB, as in 512kB or 64MB."},
};

/*
 * The unit at the beginning of the text, of those after the last one. The longest name is taken: "min", not
 * "m".
 */
static const struct unit *
find_unit(const struct unit *units, const char *text)
{
    size_t len = 0;

    while (isalpha((unsigned char)text[len]))
        len++;
    while (units->name != NULL && (strlen(units->name) != len || strncmp(units->name, text, len) != 0))
        units++;
    return units->name != NULL ? units : NULL;
}

static const char *
skip_spaces(const char *text)
{
    while (*text == ' ')
        text++;
    return text;
}

/*
 * Read one number with its unit, and add it to the value. Moves on in the text, and after the unit in the
 * list.
 */
static enum unit_outcome
parse_part(const char **text, const struct unit **units, int64_t *value)
{
    const struct unit *unit;
    long long number;
    int64_t factor, part;
    char *end;

    errno = 0;
    number = strtoll(*text, &end, 10);
    if (end == *text || errno != 0)
        return UNIT_WRONG;
    *text = skip_spaces(end);
    unit = find_unit(*units, *text);
    if (unit == NULL && **text != '\0')
        return UNIT_WRONG;
    if (unit == NULL && number != 0)
        return UNIT_MISSING;
    factor = unit != NULL ? unit->factor : 1;
    if (__builtin_mul_overflow((int64_t)number, factor, &part) || __builtin_add_overflow(*value, part, value))
        return UNIT_WRONG;
    if (unit != NULL)
        *text = skip_spaces(*text + strlen(unit->name));
    while ((*units)->name != NULL && (*units)->factor >= factor)
        (*units)++;
    return UNIT_OK;
}

enum unit_outcome
unit_parse(enum measure measure, const char *text, int64_t *value)
{
    const struct unit *units = measures[measure].units;
    enum unit_outcome outcome;
    int64_t sum = 0;

    outcome = parse_part(&text, &units, &sum);
    while (outcome == UNIT_OK && *text != '\0')
        outcome = measures[measure].parts && isdigit((unsigned char)*text) ? parse_part(&text, &units, &sum)
                                                                           : UNIT_WRONG;
    if (outcome == UNIT_OK && sum % measures[measure].each != 0)
        return UNIT_WRONG;
    *value = sum / measures[measure].each;
    return outcome;
}

void
unit_add(enum measure measure, int64_t value, struct buffer *out)
{
    const struct unit *unit = measures[measure].units;
    int64_t small = value * measures[measure].each;

    while (unit[1].name != NULL && small % unit->factor != 0)
        unit++;
    if (value == 0)
        buffer_add_text(out, "0");
    else
        buffer_printf(out, "%" PRId64 "%s", small / unit->factor, unit->name);
}

const char *
unit_forms(enum measure measure)
{
    return measures[measure].forms;
}
