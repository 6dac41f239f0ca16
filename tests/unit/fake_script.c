#include "fake_script.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "wire.h"

#define TYPE_TEXT 25

static const char *
session_of(const struct fake_script *s, size_t step)
{
    while (step > 0 && s->steps[step].session == NULL)
        step--;
    return s->steps[step].session != NULL ? s->steps[step].session : "";
}

static bool
is_for(const struct fake_step *step, const char *sql)
{
    return step->whole ? strcmp(sql, step->sql) == 0 : strncmp(sql, step->sql, strlen(step->sql)) == 0;
}

static int
times(const struct fake_step *step)
{
    return step->times != 0 ? step->times : 1;
}

const struct fake_step *
fake_script_take(struct fake_script *s, const char *session, const char *sql, const char **expected)
{
    *expected = NULL;
    for (size_t i = 0; i < s->count; i++) {
        const struct fake_step *step = &s->steps[i];
        bool any = times(step) == FAKE_ANY;

        if ((!any && s->used[i] >= times(step)) || strcmp(session_of(s, i), session) != 0)
            continue;
        if (is_for(step, sql)) {
            s->used[i]++;
            return step;
        }
        if (any)
            continue;
        *expected = step->sql;
        break;
    }
    return NULL;
}

bool
fake_script_check_params(struct fake_script *s, const struct fake_step *step,
                         const struct fake_params *params)
{
    int count = 0;

    while (count < FAKE_ITEMS && step->params[count] != NULL)
        count++;
    if (count == 0)
        return true;
    if (count != params->count) {
        buffer_printf(&s->problems, "\"%s\" was expected with %d parameters and has %d\n", step->sql, count,
                      params->count);
        return false;
    }
    for (int i = 0; i < count; i++) {
        const char *got = params->values[i] != NULL ? params->values[i] : FAKE_NULL;

        if (strcmp(step->params[i], FAKE_ANY_TEXT) != 0 && strcmp(got, step->params[i]) != 0) {
            buffer_printf(&s->problems, "parameter %d of \"%s\" was expected to be \"%s\" and is \"%s\"\n",
                          i + 1, step->sql, step->params[i], got);
            return false;
        }
    }
    return true;
}

void
fake_script_check_end(struct fake_script *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct fake_step *step = &s->steps[i];

        if (times(step) != FAKE_ANY && s->used[i] < times(step))
            buffer_printf(&s->problems, "session \"%s\": \"%s\" has come %d times of %d\n", session_of(s, i),
                          step->sql, s->used[i], times(step));
    }
}

/* Fields separated by '|'. Returns the next one, or NULL at the end; *len is its length. */
static const char *
next_field(const char **rest, size_t *len)
{
    const char *field = *rest;

    if (field == NULL)
        return NULL;
    *len = strcspn(field, "|");
    *rest = field[*len] == '|' ? field + *len + 1 : NULL;
    return field;
}

static int
field_count(const char *text)
{
    int count = text[0] != '\0';

    for (; *text != '\0'; text++)
        count += *text == '|';
    return count;
}

void
fake_step_describe(const struct fake_step *step, struct buffer *out)
{
    struct buffer body = {0};
    const char *rest = step->columns, *name;
    size_t len;

    if (step->columns == NULL || fake_step_fails(step)) {
        wire_add_message(out, 'n', &body);
        return;
    }
    wire_add_number(&body, (uint64_t)field_count(step->columns), 2);
    while (step->columns[0] != '\0' && (name = next_field(&rest, &len)) != NULL) {
        buffer_add(&body, name, len);
        wire_add_number(&body, 0, 1 + 4 + 2); /* end of the name; no table, no column of one */
        wire_add_number(&body, TYPE_TEXT, 4);
        wire_add_number(&body, UINT16_MAX, 2);
        wire_add_number(&body, UINT32_MAX, 4);
        wire_add_number(&body, 0, 2); /* text */
    }
    wire_add_message(out, 'T', &body);
    buffer_free(&body);
}

static void
add_row(const struct fake_step *step, const char *row, struct buffer *out)
{
    struct buffer body = {0};
    const char *rest = row, *field;
    size_t len;

    wire_add_number(&body, (uint64_t)field_count(step->columns), 2);
    while (step->columns[0] != '\0' && (field = next_field(&rest, &len)) != NULL) {
        bool null = len == strlen(FAKE_NULL) && strncmp(field, FAKE_NULL, len) == 0;

        wire_add_number(&body, null ? UINT32_MAX : len, 4);
        if (!null)
            buffer_add(&body, field, len);
    }
    wire_add_message(out, 'D', &body);
    buffer_free(&body);
}

static void
add_field(struct buffer *body, char kind, const char *text)
{
    if (text == NULL)
        return;
    buffer_add_char(body, kind);
    wire_add_text(body, text);
}

static void
add_report(struct buffer *out, char kind, const char *severity, const char *sqlstate, const char *message,
           const struct fake_step *more)
{
    struct buffer body = {0};

    add_field(&body, 'S', severity);
    add_field(&body, 'V', severity);
    add_field(&body, 'C', sqlstate);
    add_field(&body, 'M', message);
    add_field(&body, 'D', more != NULL ? more->detail : NULL);
    add_field(&body, 'H', more != NULL ? more->hint : NULL);
    wire_add_number(&body, 0, 1);
    wire_add_message(out, kind, &body);
    buffer_free(&body);
}

/* Of a statement without rows: its first word, as most commands have it. */
static void
add_default_tag(const char *sql, struct buffer *tag)
{
    size_t len = strcspn(sql, " \n;");

    buffer_add_text(tag, "");
    for (size_t i = 0; i < len; i++)
        buffer_add_char(tag, (char)toupper((unsigned char)sql[i]));
    if (len == 4 && strncmp(tag->data, "LOCK", 4) == 0)
        buffer_add_text(tag, " TABLE");
}

static void
add_success(const struct fake_step *step, const char *sql, bool aborted, struct buffer *out)
{
    struct buffer tag = {0};
    int rows = 0;

    for (; step->columns != NULL && rows < FAKE_ITEMS && step->rows[rows] != NULL; rows++)
        add_row(step, step->rows[rows], out);
    if (step->tag != NULL)
        buffer_add_text(&tag, step->tag);
    else if (step->columns != NULL)
        buffer_printf(&tag, "SELECT %d", rows);
    else if (aborted)
        buffer_add_text(&tag, "ROLLBACK"); /* also where a COMMIT was asked for */
    else
        add_default_tag(sql, &tag);
    wire_add_text_message(out, 'C', tag.data);
    buffer_free(&tag);
}

bool
fake_step_fails(const struct fake_step *step)
{
    return step->error != NULL || (step->wait && step->columns == NULL && step->tag == NULL);
}

void
fake_step_reply(const struct fake_step *step, const char *sql, bool aborted, struct buffer *out)
{
    if (step->notice != NULL)
        add_report(out, 'N', "NOTICE", "00000", step->notice, NULL);
    if (!fake_step_fails(step))
        add_success(step, sql, aborted, out);
    else if (step->error == NULL)
        add_report(out, 'E', "ERROR", "57014", "canceling statement due to user request", NULL);
    else
        add_report(out, 'E', step->severity != NULL ? step->severity : "ERROR", step->error,
                   step->message != NULL ? step->message : "refused by the script", step);
}
