/* The kinds of values: conversion from text, and to text for the help. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "options/option.h"
#include "unit.h"
#include "value.h"

/* A kind of value: how it is set from text, and how the help names it. */
struct kind {
    bool (*set)(const struct option_spec *o, const char *text, void *object, struct error *err);
    const char *metavar;
    bool number;          /* a number with limits, … */
    enum measure measure; /* … and of this measure */
};

static void *
member_of(const struct option_spec *o, const void *object)
{
    return (char *)object + o->to.offset;
}

void
option_put(const struct option_spec *o, int64_t value, void *object)
{
    void *at = member_of(o, object);

    if (o->to.kind == KIND_BOOL)
        *(bool *)at = value != 0;
    else if (o->to.kind == KIND_INT64)
        *(int64_t *)at = value;
    else
        *(int *)at = (int)value; /* also for an enum, which has the size of an int */
}

int64_t
option_get(const struct option_spec *o, const void *object)
{
    const void *at = member_of(o, object);

    return o->to.kind == KIND_BOOL    ? *(const bool *)at
           : o->to.kind == KIND_INT64 ? *(const int64_t *)at
                                      : *(const int *)at;
}

int64_t
option_standard(const struct option_spec *o)
{
    return o->find_standard != NULL ? o->find_standard() : o->standard;
}

bool
option_may_be(const struct option_spec *o, int64_t value)
{
    int64_t least = o->least, most = o->most;

    if (o->kind == OPTION_FLAG)
        least = 0, most = 1;
    if (o->kind == OPTION_CHOICE)
        for (most = least - 1; o->choices[most - least + 1] != NULL; most++)
            ;
    return value == option_standard(o) || (value >= least && value <= most);
}

static bool
flag_set(const struct option_spec *o, const char *text, void *object, struct error *err)
{
    (void)text;
    (void)err;
    option_put(o, option_standard(o) == 0, object);
    return true;
}

static bool
text_set(const struct option_spec *o, const char *text, void *object, struct error *err)
{
    char **at = member_of(o, object);

    (void)err;
    free(*at);
    *at = mem_strdup(text);
    return true;
}

static bool
name_set(const struct option_spec *o, const char *text, void *object, struct error *err)
{
    if (text[0] == '\0')
        return error_set(err, ERROR_USAGE, "a name cannot be empty");
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return error_set(err, ERROR_USAGE, "the name has a control character");
    if (o->most > 0 && strlen(text) > (size_t)o->most)
        return error_set(err, ERROR_USAGE, "the name \"%s\" is longer than %d bytes", text, (int)o->most);
    return text_set(o, text, object, err);
}

/* The member may be declared as an array of constant texts, so its pointer is copied as bytes. */
static bool
texts_set(const struct option_spec *o, const char *text, void *object, struct error *err)
{
    int *count = (int *)((char *)object + o->to.link_at);
    char **items;

    (void)err;
    memcpy(&items, member_of(o, object), sizeof(items));
    items = mem_array(items, (size_t)*count + 1, sizeof(*items));
    items[(*count)++] = mem_strdup(text);
    memcpy(member_of(o, object), &items, sizeof(items));
    return true;
}

static bool choice_set(const struct option_spec *o, const char *text, void *object, struct error *err);
static bool number_set(const struct option_spec *o, const char *text, void *object, struct error *err);

static const struct kind kinds[] = {
    [OPTION_FLAG] = {flag_set, "", false, 0},
    [OPTION_TEXT] = {text_set, "TEXT", false, 0},
    [OPTION_NAME] = {name_set, "NAME", false, 0},
    [OPTION_FILE] = {text_set, "FILE", false, 0},
    [OPTION_DIRECTORY] = {text_set, "DIR", false, 0},
    [OPTION_TEXTS] = {texts_set, "TEXT", false, 0},
    [OPTION_COUNT] = {number_set, "N", true, MEASURE_COUNT},
    [OPTION_MS] = {number_set, "TIME", true, MEASURE_MS},
    [OPTION_SECONDS] = {number_set, "TIME", true, MEASURE_SECONDS},
    [OPTION_SIZE] = {number_set, "SIZE", true, MEASURE_SIZE},
    [OPTION_CHOICE] = {choice_set, NULL, false, 0},
};

/* The hint says what would be valid: the limits, or how such a value is written. */
static bool
number_set(const struct option_spec *o, const char *text, void *object, struct error *err)
{
    enum measure measure = kinds[o->kind].measure;
    int64_t value;
    enum unit_outcome outcome = unit_parse(measure, text, &value);
    struct buffer limits = {0};

    if (outcome == UNIT_OK && value >= o->least && value <= o->most) {
        option_put(o, value, object);
        return true;
    }
    error_set(err, ERROR_USAGE,
              outcome == UNIT_MISSING ? "\"%s\" has no unit" : "\"%s\" is not a valid value", text);
    if (outcome != UNIT_OK && unit_forms(measure) != NULL) {
        error_hint(err, "%s", unit_forms(measure));
    } else if (o->most < INT64_MAX) {
        unit_add(measure, o->least, &limits);
        buffer_add_text(&limits, " to ");
        unit_add(measure, o->most, &limits);
        error_hint(err, "It may be from %s.", limits.data);
    }
    buffer_free(&limits);
    return false;
}

static bool
choice_set(const struct option_spec *o, const char *text, void *object, struct error *err)
{
    struct buffer words = {0};

    for (int i = 0; o->choices[i] != NULL; i++) {
        if (strcmp(o->choices[i], text) == 0) {
            option_put(o, o->least + i, object);
            return true;
        }
    }
    option_add_choices(o, " ", &words);
    error_set(err, ERROR_USAGE, "\"%s\" is not one of: %s", text, words.data);
    buffer_free(&words);
    return false;
}

bool
option_takes_value(const struct option_spec *o)
{
    return o->kind != OPTION_FLAG;
}

bool
option_set(const struct option_spec *o, const char *text, void *object, struct error *err)
{
    return kinds[o->kind].set(o, text, object, err);
}

void
option_add_choices(const struct option_spec *o, const char *between, struct buffer *out)
{
    for (int i = 0; o->choices[i] != NULL; i++)
        buffer_printf(out, "%s%s", i > 0 ? between : "", o->choices[i]);
}

void
option_add_metavar(const struct option_spec *o, struct buffer *out)
{
    if (o->metavar == NULL && o->kind == OPTION_CHOICE)
        option_add_choices(o, "|", out);
    else
        buffer_add_text(out, o->metavar != NULL ? o->metavar : kinds[o->kind].metavar);
}

bool
option_add_standard(const struct option_spec *o, struct buffer *out)
{
    int64_t value = option_standard(o);

    if (o->standard_words != NULL) {
        buffer_add_text(out, o->standard_words);
    } else if (o->kind == OPTION_CHOICE) {
        if (value < o->least)
            return false;
        buffer_add_text(out, o->choices[value - o->least]);
    } else {
        if (!kinds[o->kind].number || value < o->least || value > o->most)
            return false;
        unit_add(kinds[o->kind].measure, value, out);
    }
    return true;
}
