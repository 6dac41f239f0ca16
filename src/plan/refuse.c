#include "refuse.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/encoding.h"
#include "core/list.h"
#include "core/mem.h"
#include "objects/grants.h"

static void
refuse_kind(const struct table *t, struct string_list *reasons, struct string_list *hints)
{
    switch (t->relkind) {
    case 'r':
        break;
    case 'p':
        list_addf(reasons, "it is a partitioned table: these are not supported yet");
        list_addf(hints,
                  "Partitions can be rewritten plainly, one after the other, while they are detached.");
        return;
    case 'v':
        list_addf(reasons, "it is a view, not a table");
        return;
    case 'm':
        list_addf(reasons, "it is a materialized view, not a table");
        list_addf(hints, "Create the new one beside it and rename.");
        return;
    case 'f':
        list_addf(reasons, "it is a foreign table: its rows are elsewhere");
        list_addf(hints, "Rewrite it where the rows are.");
        return;
    default:
        list_addf(reasons, "it is not a table");
        return;
    }
    if (t->is_system)
        list_addf(reasons, "it belongs to the system or to a session");
    if (t->persistence == 'u') {
        list_addf(reasons, "it is unlogged: its changes are not in the log that a rewrite follows");
        list_addf(hints, "ALTER TABLE ... SET LOGGED first, if it may be locked for as long as that takes.");
    }
    if (t->persistence == 't') {
        list_addf(reasons, "it is a temporary table: nobody else sees it");
        list_addf(hints, "Run the statement plainly.");
    }
    if (t->access_method != NULL && strcmp(t->access_method, "heap") != 0)
        list_addf(reasons, "its access method is %s; only heap is supported", t->access_method);
}

static void
refuse_rights(const struct table *t, struct string_list *reasons, struct string_list *hints)
{
    if (!t->owner_is_ours) {
        list_addf(reasons, "it belongs to role \"%s\", which the session's role is not a member of",
                  t->owner);
        list_addf(hints, "Connect as the owner, or as a member of that role.");
    } else if (!t->owner_may_be_set) {
        list_addf(
            reasons,
            "the session's role is a member of its owner \"%s\" WITH SET FALSE, and the new table cannot "
            "be given to that role",
            t->owner);
        list_addf(hints, "Connect as the owner, or GRANT the owner's role WITH SET TRUE.");
    } else if (!t->owner_is_session && !t->owner_may_create) {
        list_addf(reasons,
                  "the shadow cannot be given to its owner \"%s\", who may not create in schema \"%s\"",
                  t->owner, t->schema);
        list_addf(hints, "GRANT CREATE ON SCHEMA to the owner.");
    }
    for (int i = 0; i < t->statistics_count; i++)
        if (!t->statistics[i].owner_may_be_set)
            list_addf(
                reasons,
                "statistics object \"%s\" belongs to role \"%s\", to which the session's role cannot give a "
                "new one",
                t->statistics[i].name, t->statistics[i].owner);
    if (t->row_security_active) {
        list_addf(reasons, "its row security is forced on the session's role, which may not see all rows");
        list_addf(hints, "Connect as a role with BYPASSRLS that is a member of the owner.");
    }
    if (!t->may_create_in_schema) {
        list_addf(reasons, "the session's role may not create in schema \"%s\"", t->schema);
        list_addf(hints, "GRANT CREATE ON SCHEMA to the role.");
    }
}

static bool
excludes(const struct table *t, const struct index *x)
{
    for (int i = 0; i < t->constraint_count; i++)
        if (t->constraints[i].type == 'x' && t->constraints[i].index_oid == x->oid)
            return true;
    return false;
}

/* Assume that an expression reads any column. */
static bool
index_may_read(const struct index *x, int attnum)
{
    for (int i = 0; i < x->key_count; i++)
        if (x->key_attnums[i] == attnum || x->key_attnums[i] == 0)
            return true;
    return false;
}

/*
 * Values of such a column are read from the table at the time of the apply, so they may be newer than the
 * change that is applied. So they must not be values by which rows are found, or which exclude each other.
 */
static void
refuse_unvalidated(const struct table *t, struct string_list *reasons)
{
    for (int i = 0; i < t->column_count; i++) {
        for (int k = 0; t->columns[i].unvalidated && k < t->index_count; k++) {
            const struct index *x = &t->indexes[k];

            if ((!x->unique && !excludes(t, x)) || !index_may_read(x, t->columns[i].attnum))
                continue;
            list_addf(reasons,
                      "column \"%s\", of the unique index \"%s\", is of type %s, which has a constraint that "
                      "is NOT "
                      "VALID: ALTER DOMAIN ... VALIDATE CONSTRAINT first",
                      t->columns[i].name, x->name, t->columns[i].type);
            break;
        }
    }
}

void
refuse_full_identity(const struct table *t, int major, struct string_list *reasons)
{
    for (int i = 0; major >= 18 && t->replica_identity == 'f' && i < t->column_count; i++) {
        if (t->columns[i].generated == '\0')
            continue;
        list_addf(
            reasons,
            "it has REPLICA IDENTITY FULL and the generated column \"%s\": as long as it is published, this "
            "server refuses every UPDATE and DELETE of the application",
            t->columns[i].name);
        return;
    }
}

/* The temporary tables of the apply have the columns of the table beside these. */
static void
refuse_columns(const struct table *t, struct string_list *reasons)
{
    static const char *const reserved[] = {"pgrecast_op",    "pgrecast_seq",   "pgrecast_ref",
                                           "pgrecast_mask",  "pgrecast_group", "pgrecast_turn",
                                           "pgrecast_unsure"};

    for (int i = 0; i < t->column_count; i++)
        for (size_t k = 0; k < sizeof(reserved) / sizeof(reserved[0]); k++)
            if (strcmp(t->columns[i].name, reserved[k]) == 0)
                list_addf(reasons, "column \"%s\" has a name that the program's temporary tables use",
                          t->columns[i].name);
}

void
refuse_source(const struct table *t, const struct plan_options *options, struct string_list *reasons,
              struct string_list *hints)
{
    refuse_kind(t, reasons, hints);
    if (reasons->count > 0)
        return;
    refuse_rights(t, reasons, hints);
    refuse_columns(t, reasons);
    grants_refuse(t, reasons);
    refuse_unvalidated(t, reasons);
    for (int i = 0; i < t->index_count; i++) {
        if (t->indexes[i].valid || options->rebuild_invalid)
            continue;
        list_addf(reasons, "index \"%s\" is invalid", t->indexes[i].name);
        list_addf(hints,
                  "REINDEX INDEX CONCURRENTLY or DROP INDEX \"%s\" first, or have it built anew with "
                  "--invalid-indexes=rebuild.",
                  t->indexes[i].name);
    }
}

void
refuse_dependents(struct table *t, const struct plan_options *options, struct string_list *reasons,
                  struct string_list *hints)
{
    for (int i = 0; i < t->dependent_count; i++) {
        struct dependent *d = &t->dependents[i];
        bool publication = d->class_oid == 0 && strcmp(d->kind, "publication") == 0;

        if (publication && options->accept_published) {
            free(d->reason);
            d->reason = NULL;
            d->fate = mem_strdup("its subscribers get the working tables too");
        } else if (publication) {
            list_addf(hints,
                      "A subscriber that has no table of that name stops at its first row. Where that cannot "
                      "happen (the subscribers leave out what they do not know, or have such tables): "
                      "--published=accept.");
        }
        if (d->reason != NULL && d->direct) /* whether the indirect ones are affected is found out later */
            list_addf(reasons, "%s: %s", d->description, d->reason);
    }
    for (int i = 0; i < t->foreign_key_count; i++)
        if (t->foreign_keys[i].reason != NULL)
            list_addf(reasons, "%s: %s", t->foreign_keys[i].description, t->foreign_keys[i].reason);
}

/* The same sequence, or that of an identity column, which is created anew under its name. */
static bool
target_keeps(const struct table *target, const struct owned_sequence *kept)
{
    for (int i = 0; i < target->column_count; i++)
        for (const struct owned_sequence *q = target->columns[i].sequence; q != NULL; q = q->next)
            if (kept->identity ? q->identity && strcmp(q->name, kept->name) == 0 : q->oid == kept->oid)
                return true;
    return false;
}

void
refuse_target(const struct plan *p, struct string_list *reasons)
{
    if (reasons->count == 0)
        refuse_unvalidated(p->target, reasons);
    refuse_columns(p->target, reasons);
    for (int i = 0; i < p->source->column_count; i++)
        for (const struct owned_sequence *q = p->source->columns[i].sequence; q != NULL; q = q->next)
            if (q->used_elsewhere && !target_keeps(p->target, q))
                list_addf(reasons, "sequence \"%s\" would be dropped, but something else uses it", q->name);
}

void
refuse_encoding(const struct table *t, const char *encoding, struct string_list *reasons)
{
    if (encoding == NULL || strcmp(encoding, "MULE_INTERNAL") != 0 ||
        (encoding_is_ascii(t->schema, strlen(t->schema)) && encoding_is_ascii(t->name, strlen(t->name))))
        return;
    list_addf(
        reasons,
        "the database has the encoding MULE_INTERNAL, which the server cannot convert to UTF-8: a table "
        "whose name has characters beyond ASCII cannot be named there");
}

bool
refuse_if(const struct table *t, const struct string_list *reasons, const struct string_list *hints,
          struct error *err)
{
    struct buffer detail = {0};
    struct buffer hint = {0};

    if (reasons->count == 0)
        return true;
    for (int i = 0; i < reasons->count; i++)
        buffer_printf(&detail, "%s%s", i > 0 ? "\n" : "", reasons->items[i]);
    for (int i = 0; i < hints->count; i++)
        buffer_printf(&hint, "%s%s", i > 0 ? " " : "", hints->items[i]);
    if (reasons->count == 1)
        error_set(err, ERROR_REFUSED, "cannot rewrite table \"%s.%s\": %s", t->schema, t->name,
                  reasons->items[0]);
    else
        error_set(err, ERROR_REFUSED, "cannot rewrite table \"%s.%s\", for %d reasons", t->schema, t->name,
                  reasons->count);
    if (reasons->count > 1)
        error_detail(err, "%s", detail.data);
    if (hint.len > 0)
        error_hint(err, "%s", hint.data);
    buffer_free(&detail);
    buffer_free(&hint);
    return false;
}
