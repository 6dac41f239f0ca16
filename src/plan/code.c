#include "code.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "rows/code.h"
#include "refuse.h"

#define TYPE_PASS 1 /* clause.pass of a change of type */

static void
add_found(const struct code_found *found, struct string_list *reasons, struct string_list *hints)
{
    struct buffer hint = {0};

    list_add_all(reasons, &found->lines);
    if (found->lines.count > 0) {
        code_hint(found, &hint);
        list_add(hints, buffer_take(&hint));
    }
}

/* Columns whose type the statements change, by the names that they have before. */
static void
find_retyped(const struct statement_list *statements, struct string_list *names)
{
    for (int i = 0; i < statements->count; i++)
        for (int k = 0; k < statements->items[i].clause_count; k++) {
            const struct clause *clause = &statements->items[i].clauses[k];

            if (clause->pass == TYPE_PASS && clause->column != NULL)
                list_add_once(names, clause->column);
        }
}

bool
code_refuse(struct session *s, struct plan *p, const struct statement_list *statements,
            const struct plan_options *options, struct string_list *reasons, struct string_list *hints,
            struct error *err)
{
    struct string_list retyped = {0};
    struct code_found found = {0};
    struct code_scope scope = {
        .table = p->names.source_sql, .trusted = &p->code.trusted, .retyped = &retyped};
    bool ok;

    for (int i = 0; i < options->trusted_count; i++)
        list_add_once(&p->code.trusted, options->trusted[i]);
    if (!code_is_foreign(s, p->source->owner, &p->code.foreign, err))
        return false;
    if (!p->code.foreign)
        return true;
    find_retyped(statements, &retyped);
    ok = code_find(s, &scope, &found, err);
    if (ok) {
        add_found(&found, reasons, hints);
        list_add_all(&p->code.allowed, &found.allowed);
    }
    code_found_free(&found);
    list_free(&retyped);
    return ok;
}

bool
code_refuse_first(struct session *s, struct table *source, const struct plan_options *options,
                  const struct statement_list *statements, struct string_list *reasons, struct error *err)
{
    struct plan p = {.source = source};
    struct string_list hints = {0};
    bool ok;

    p.names.source_sql = name_qualified(source->schema, source->name);
    refuse_source(source, options, reasons, &hints);
    ok = code_refuse(s, &p, statements, options, reasons, &hints, err) &&
         refuse_if(source, reasons, &hints, err);
    list_free(&p.code.trusted);
    list_free(&p.code.allowed);
    list_free(&hints);
    free(p.names.source_sql);
    return ok;
}

bool
code_allow(struct session *s, struct plan *p, const char *clone_schema, struct error *err)
{
    struct string_list defaults = {0};
    struct code_found found = {0};
    char *clone = name_qualified(clone_schema, p->target->name);
    struct code_scope scope = {
        .table = clone, .trusted = &p->code.trusted, .allowed = &p->code.allowed, .defaults = &defaults};
    bool ok = true;

    if (p->code.foreign) {
        code_defaults(p, &defaults);
        ok = code_find(s, &scope, &found, err);
        list_add_all(&p->code.allowed, &found.oids);
    }
    code_found_free(&found);
    list_free(&defaults);
    free(clone);
    return ok;
}

bool
code_refuse_back(struct session *s, const struct plan_table *plans, struct string_list *reasons,
                 struct string_list *hints, struct error *err)
{
    const struct plan *p = plans->forward;
    struct string_list defaults = {0};
    struct code_found found = {0};
    struct code_scope scope = {.table = p->names.source_sql,
                               .trusted = &p->code.trusted,
                               .allowed = &p->code.allowed,
                               .defaults = &defaults};
    bool ok = true;

    if (p->code.foreign && plans->back != NULL) {
        code_defaults(plans->back, &defaults);
        ok = code_find(s, &scope, &found, err);
        add_found(&found, reasons, hints);
    }
    code_found_free(&found);
    list_free(&defaults);
    return ok;
}

bool
code_read(struct session *s, const struct table *t, struct string_list *oids, struct error *err)
{
    char *name = name_qualified(t->schema, t->name);
    struct code_found found = {0};
    const struct code_scope scope = {.table = name};
    bool ok = code_find(s, &scope, &found, err);

    list_add_all(oids, &found.oids);
    code_found_free(&found);
    free(name);
    return ok;
}

static void
copy_code(struct plan *to, const struct plan_code *from)
{
    if (to == NULL)
        return;
    list_free(&to->code.trusted);
    list_free(&to->code.allowed);
    to->code.foreign = from->foreign;
    list_add_all(&to->code.trusted, &from->trusted);
    list_add_all(&to->code.allowed, &from->allowed);
}

void
code_spread(struct plan_table *plans)
{
    copy_code(plans->back, &plans->forward->code);
    copy_code(plans->again, &plans->forward->code);
    copy_code(plans->proof, &plans->forward->code);
}

/* The roles that the session trusts now. */
static void
trust(struct plan_set *set, const char *session_role, int count, const char *const *roles,
      struct string_list *trusted)
{
    for (int i = 0; i < count; i++)
        list_add_once(trusted, roles[i]);
    for (int i = 0; i < set->trusted.count; i++)
        if (set->trusted_by != NULL && strcmp(set->trusted_by, session_role) == 0)
            list_add_once(trusted, set->trusted.items[i]);
}

bool
plan_set_trust(struct session *s, struct plan_set *set, int count, const char *const *roles,
               struct error *err)
{
    struct string_list trusted = {0};
    struct result r = {0};
    bool ok = session_row(s, &r, err, "SELECT session_user AS role", 0);

    if (ok)
        trust(set, row_text(&r, 0, "role"), count, roles, &trusted);
    if (ok && set->trusted_by == NULL) { /* the start of the job */
        set->trusted_by = row_copy(&r, 0, "role");
        list_add_all(&set->trusted, &trusted);
    }
    for (int i = 0; ok && i < set->table_count; i++) {
        struct plan *p = set->tables[i].forward;

        list_free(&p->code.trusted);
        list_add_all(&p->code.trusted, &trusted);
        ok = code_is_foreign(s, p->source->owner, &p->code.foreign, err);
        code_spread(&set->tables[i]);
    }
    list_free(&trusted);
    result_free(&r);
    return ok;
}
