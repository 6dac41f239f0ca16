#include "sequences.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"

/* The types that a sequence can have, the narrowest first. */
static const struct sequence_type {
    const char *name;
    int64_t least, most;
} types[] = {
    {"smallint", INT16_MIN, INT16_MAX}, {"integer", INT32_MIN, INT32_MAX}, {"bigint", INT64_MIN, INT64_MAX}};

#define TYPE_COUNT ((int)(sizeof(types) / sizeof(types[0])))

/* The type's place in that list; -1 if it is not in the list. */
static int
width_of(const char *type)
{
    for (int i = 0; i < TYPE_COUNT; i++)
        if (strcmp(types[i].name, type) == 0)
            return i;
    return -1;
}

static const struct owned_sequence *
same_of(const struct table *t, const struct owned_sequence *sequence)
{
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (!q->identity && !sequence->identity && q->oid == sequence->oid && q->oid != 0)
                return q;
    return NULL;
}

/* A limit at the end of the old type's range moves to the end of the new type's, as the server does it. */
static void
set_limit(char **options, const char *word, int64_t old_end, int64_t new_end)
{
    char *old = mem_printf("%s %" PRId64 " ", word, old_end), *at = strstr(*options, old);
    char *changed;

    if (at != NULL) {
        changed = mem_printf("%.*s%s %" PRId64 " %s", (int)(at - *options), *options, word, new_end,
                             at + strlen(old));
        free(*options);
        *options = changed;
    }
    free(old);
}

void
sequences_widen(struct plan *p)
{
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *c = &p->target->columns[i];
        int column = width_of(c->base_type);

        for (struct owned_sequence *q = c->sequence; q != NULL; q = q->next) {
            int own = width_of(q->type);

            if (q->identity || own < 0 || own >= column || same_of(p->source, q) == NULL)
                continue;
            free(q->type);
            q->type = mem_strdup(types[column].name);
            set_limit(&q->options, "MAXVALUE", types[own].most, types[column].most);
            set_limit(&q->options, "MINVALUE", types[own].least, types[column].least);
        }
    }
}

void
sequences_refuse(const struct plan *p, struct string_list *reasons)
{
    for (int i = 0; i < p->target->column_count; i++)
        for (const struct owned_sequence *q = p->target->columns[i].sequence; q != NULL; q = q->next) {
            const struct owned_sequence *was = same_of(p->source, q);

            if (was != NULL && width_of(q->type) < width_of(was->type))
                list_addf(
                    reasons,
                    "sequence \"%s\" would become %s, narrower than %s: run that ALTER SEQUENCE plainly",
                    q->name, q->type, was->type);
        }
}

/* The number after a word of the options, as in "MAXVALUE 2147483647"; the text may continue after it. */
static int64_t
limit_of(const struct owned_sequence *q)
{
    const char *at = strstr(q->options, "MAXVALUE ");

    return at != NULL ? strtoll(at + strlen("MAXVALUE "), NULL, 10) : INT64_MAX;
}

/* The sequence's position, as text. The caller frees it. */
static char *
read_place(struct session *s, const struct owned_sequence *q, struct error *err)
{
    struct result r = {0};
    struct params params = {0};
    char *place = NULL;

    params_uint(&params, q->oid);
    if (session_row_with(s, &r, err,
                         "SELECT coalesce('at ' || pg_catalog.pg_sequence_last_value($1::pg_catalog.oid), "
                         "'not used yet') AS place",
                         &params))
        place = row_copy(&r, 0, "place");
    result_free(&r);
    return place;
}

static bool
warn_one(struct session *s, struct plan *p, const struct column *c, const struct owned_sequence *q,
         struct error *err)
{
    const struct owned_sequence *was = same_of(p->source, q);
    char *name, *place;

    if (was == NULL || width_of(q->type) < 0)
        return true;
    name = name_qualified(q->schema, q->name);
    if (width_of(q->type) > width_of(was->type)) {
        list_addf(
            &p->advice.notes,
            "sequence %s becomes %s in the swap; a rollback makes it %s again, unless it has passed %" PRId64
            " by then: it stays %s in that case, so that no value is given out twice",
            name, q->type, was->type, limit_of(was), q->type);
    } else if (width_of(c->base_type) > width_of(q->type) &&
               strcmp(c->type, p->source->columns[c->attnum - 1].type) != 0) {
        place = read_place(s, q, err);
        if (place != NULL)
            list_addf(&p->advice.warnings,
                      "column \"%s\" becomes %s, but its sequence %s stays %s (as with ALTER TABLE): nextval "
                      "fails at %" PRId64 ", and it is %s. To widen it too: --widen-sequences, or add ALTER "
                      "SEQUENCE %s AS %s to the statements",
                      c->name, c->type, name, q->type, limit_of(q), place, name,
                      types[width_of(c->base_type)].name);
        free(place);
    }
    free(name);
    return err->message == NULL;
}

bool
sequences_warn(struct session *s, struct plan *p, struct error *err)
{
    for (int i = 0; i < p->target->column_count; i++) {
        const struct column *c = &p->target->columns[i];

        for (const struct owned_sequence *q = c->sequence; q != NULL; q = q->next)
            if (c->attnum <= p->source->column_count && !warn_one(s, p, c, q, err))
                return false;
    }
    return true;
}
