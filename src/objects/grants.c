#include "objects/grants.h"

#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"

static char *
table_object(const struct generate *g)
{
    char *self = name_qualified(g->schema, g->name);
    char *object = mem_printf("TABLE %s", self);

    free(self);
    return object;
}

static bool
is_owner(const struct table *t, const char *grantee)
{
    char *quoted = name_quoted(t->owner);
    bool is = strcmp(grantee, t->owner) == 0 || strcmp(grantee, quoted) == 0;

    free(quoted);
    return is;
}

/* The roles to which ALTER DEFAULT PRIVILEGES grants something on what is created. */
static void
find_default_grantees(const struct table *source, struct string_list *grantees)
{
    for (int i = 0; i < source->default_privileges.count; i++) {
        const char *grantee = source->default_privileges.items[i].grantee;

        if (!is_owner(source, grantee))
            list_add_once(grantees, grantee);
    }
}

void
grants_close(const struct generate *g, const struct table *source, struct string_list *out)
{
    struct string_list grantees = {0};
    char *from;

    find_default_grantees(source, &grantees);
    from = list_join(&grantees, ", ");
    if (grantees.count > 0) {
        char *table = table_object(g);

        list_addf(out, "REVOKE ALL ON %s FROM %s", table, from);
        free(table);
        for (int i = 0; i < g->table->partition_count; i++) {
            char *name = name_qualified(g->schema, g->table->partitions[i].name);

            list_addf(out, "REVOKE ALL ON TABLE %s FROM %s", name, from);
            free(name);
        }
        for (int i = 0; i < g->table->column_count; i++)
            for (const struct owned_sequence *q = g->table->columns[i].sequence; q != NULL; q = q->next) {
                char *name = name_qualified(g->schema, name_map_find(g->relations, q->name));

                if (q->identity || q->oid == 0) /* created by this plan: it does not move along */
                    list_addf(out, "REVOKE ALL ON SEQUENCE %s FROM %s", name, from);
                free(name);
            }
    }
    free(from);
    list_free(&grantees);
}

static void
give(const struct grant *grant, const char *privileges, const char *object, const char *grantees,
     struct string_list *out)
{
    if (grant->grantor != NULL)
        list_addf(out, "SET LOCAL ROLE %s", grant->grantor);
    list_addf(out, "GRANT %s ON %s TO %s%s", privileges, object, grantees,
              grant->grantable ? " WITH GRANT OPTION" : "");
    if (grant->grantor != NULL)
        list_addf(out, "RESET ROLE");
}

/* The privileges that the owner has by default. */
static bool
is_owners_own(const struct table *t, const struct grant *grant)
{
    return is_owner(t, grant->grantee) && !grant->grantable;
}

/* One statement grants it to several roles. */
static bool
is_given_like(const struct grant *a, const struct grant *b)
{
    return a->grantor == NULL && b->grantor == NULL && a->grantable == b->grantable &&
           strcmp(a->privileges, b->privileges) == 0;
}

static void
give_all(const struct table *t, const struct grant_list *list, const char *object, struct string_list *out)
{
    bool *given = mem_alloc((size_t)list->count * sizeof(*given) + 1);

    for (int i = 0; i < list->count; i++) {
        struct string_list grantees = {0};
        char *to;

        if (given[i] || is_owners_own(t, &list->items[i]))
            continue;
        list_add(&grantees, mem_strdup(list->items[i].grantee));
        for (int k = i + 1; k < list->count; k++)
            if (is_given_like(&list->items[i], &list->items[k]) && !is_owners_own(t, &list->items[k])) {
                list_add(&grantees, mem_strdup(list->items[k].grantee));
                given[k] = true;
            }
        to = list_join(&grantees, ", ");
        give(&list->items[i], list->items[i].privileges, object, to, out);
        free(to);
        list_free(&grantees);
    }
    free(given);
}

/* "INSERT, SELECT" becomes "INSERT (c), SELECT (c)". */
static char *
on_column(const char *privileges, const char *column)
{
    struct buffer text = {0};
    const char *end;

    for (const char *at = privileges; *at != '\0'; at = *end == '\0' ? end : end + 2) {
        end = strstr(at, ", ");
        if (end == NULL)
            end = at + strlen(at);
        buffer_printf(&text, "%s%.*s (", text.len > 0 ? ", " : "", (int)(end - at), at);
        buffer_add_identifier(&text, column);
        buffer_add_char(&text, ')');
    }
    return buffer_take(&text);
}

static void
give_columns(const struct table *t, const char *object, struct string_list *out)
{
    for (int i = 0; i < t->column_count; i++)
        for (int k = 0; k < t->columns[i].grants.count; k++) {
            const struct grant *grant = &t->columns[i].grants.items[k];
            char *privileges = on_column(grant->privileges, t->columns[i].name);

            give(grant, privileges, object, grant->grantee, out);
            free(privileges);
        }
}

/*
 * What others than the owner have granted is for them to revoke; what depends on the owner's grants is
 * revoked with those.
 */
static void
take_all(const struct table *t, const struct grant_list *list, const char *object,
         struct string_list *grantees, struct string_list *out)
{
    for (int i = 0; i < list->count; i++) {
        const struct grant *grant = &list->items[i];

        if (grant->grantor != NULL) {
            list_addf(out, "SET LOCAL ROLE %s", grant->grantor);
            list_addf(out, "REVOKE ALL ON %s FROM %s CASCADE", object, grant->grantee);
            list_addf(out, "RESET ROLE");
        } else if (!is_owner(t, grant->grantee)) {
            list_add_once(grantees, grant->grantee);
        }
    }
}

static void
take_from(const char *object, struct string_list *grantees, struct string_list *out)
{
    char *from = list_join(grantees, ", ");

    if (grantees->count > 0)
        list_addf(out, "REVOKE ALL ON %s FROM %s CASCADE", object, from);
    free(from);
    list_free(grantees);
}

/* The table's own sequence of that name, or NULL: a sequence that both tables use keeps its privileges. */
static const struct swap_part *
own_sequence(const struct swap_parts *parts, const struct owned_sequence *q)
{
    for (int i = 0; i < parts->count; i++)
        if (strcmp(parts->items[i].kind, "SEQUENCE") == 0 && strcmp(parts->items[i].active, q->name) == 0)
            return &parts->items[i];
    return NULL;
}

static char *
part_object(const struct swap_part *part, bool inactive)
{
    char *name = name_qualified(part->schema, inactive ? part->inactive : part->active);
    char *object = mem_printf("%s %s", part->kind, name);

    free(name);
    return object;
}

static void
take_sequences(const struct table *t, const struct swap_parts *parts, struct string_list *out)
{
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next) {
            const struct swap_part *part = own_sequence(parts, q);
            struct string_list grantees = {0};
            char *object;

            if (part == NULL)
                continue;
            object = part_object(part, true);
            take_all(t, &q->grants, object, &grantees, out);
            take_from(object, &grantees, out);
            free(object);
        }
}

static void
give_sequences(const struct table *t, const struct swap_parts *parts, struct string_list *out)
{
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next) {
            const struct swap_part *part = own_sequence(parts, q);
            char *object;

            if (part == NULL)
                continue;
            object = part_object(part, false);
            give_all(t, &q->grants, object, out);
            free(object);
        }
}

void
grants_move(const struct plan *p, const struct swap_names *x, bool to_made, struct string_list *out)
{
    const struct swap_parts *from = to_made ? &x->original : &x->made;
    const struct swap_parts *to = to_made ? &x->made : &x->original;

    take_sequences(p->source, from, out);
    grants_lend(&(struct generate){.table = p->source,
                                   .schema = from->items[0].schema,
                                   .name = from->items[0].inactive},
                out); /* which the guard's trigger needs */
    give_sequences(p->target, to, out);
}

void
grants_move_table(const struct plan *p, struct string_list *out)
{
    char *inactive = mem_printf("TABLE %s", p->names.old_sql);
    char *active = mem_printf("TABLE %s", p->names.source_sql);
    struct string_list grantees = {0};

    take_all(p->source, &p->source->grants, inactive, &grantees, out);
    for (int i = 0; i < p->source->column_count; i++)
        take_all(p->source, &p->source->columns[i].grants, inactive, &grantees, out);
    take_from(inactive, &grantees, out);
    give_all(p->target, &p->target->grants, active, out);
    give_columns(p->target, active, out);
    free(active);
    free(inactive);
}

/*
 * The owner granted to the grantor what the grantor has passed on: then both can be granted again in this
 * order.
 */
static bool
may_grant(const struct grant_list *list, const struct grant *grant)
{
    for (int i = 0; i < list->count; i++)
        if (list->items[i].grantor == NULL && list->items[i].grantable &&
            strcmp(list->items[i].grantee, grant->grantor) == 0)
            return grant->grantor_is_ours;
    return false;
}

static void
refuse_list(const struct grant_list *list, const struct grant_list *of_table, const char *what,
            struct string_list *reasons)
{
    for (int i = 0; i < list->count; i++)
        if (list->items[i].grantor != NULL && !may_grant(list, &list->items[i]) &&
            !may_grant(of_table, &list->items[i]))
            list_addf(reasons,
                      "%s: role %s has granted %s to %s, and the session's role cannot do that for it", what,
                      list->items[i].grantor, list->items[i].privileges, list->items[i].grantee);
}

void
grants_refuse(const struct table *t, struct string_list *reasons)
{
    refuse_list(&t->grants, &t->grants, "privileges on the table", reasons);
    for (int i = 0; i < t->column_count; i++) {
        refuse_list(&t->columns[i].grants, &t->grants, "privileges on a column", reasons);
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (q->identity)
                refuse_list(&q->grants, &q->grants, "privileges on a sequence", reasons);
    }
}

static const char *
owner_has(const struct table *t)
{
    for (int i = 0; i < t->grants.count; i++)
        if (is_owner(t, t->grants.items[i].grantee))
            return t->grants.items[i].privileges;
    return "";
}

static bool
lists_privilege(const char *privileges, const char *privilege)
{
    size_t len = strlen(privilege);

    for (const char *at = strstr(privileges, privilege); at != NULL; at = strstr(at + 1, privilege))
        if ((at == privileges || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
            return true;
    return false;
}

const char *
grants_owner_lacks(const struct table *t)
{
    static const char *const needed[] = {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"};
    const char *has = owner_has(t);

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && t->acl != NULL; i++)
        if (!lists_privilege(has, needed[i]))
            return needed[i];
    return NULL;
}

void
grants_lend(const struct generate *g, struct string_list *out)
{
    static const char *const needed[] = {"TRIGGER", "REFERENCES"};
    const struct table *t = g->table;
    const char *has = owner_has(t);
    char *owner = name_quoted(t->owner), *table = table_object(g);

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && t->acl != NULL; i++)
        if (!lists_privilege(has, needed[i]))
            list_addf(out, "GRANT %s ON %s TO %s", needed[i], table, owner);
    free(table);
    free(owner);
}

void
grants_take(const struct generate *g, struct string_list *out)
{
    static const char *const all[] = {"SELECT",   "INSERT",     "UPDATE", "DELETE",
                                      "TRUNCATE", "REFERENCES", "TRIGGER"};
    const struct table *t = g->table;
    char *owner = name_quoted(t->owner);
    char *table = table_object(g);
    const char *has = owner_has(t);
    struct buffer lacks = {0};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && t->acl != NULL; i++)
        if (!lists_privilege(has, all[i]))
            buffer_printf(&lacks, "%s%s", lacks.len > 0 ? ", " : "", all[i]);
    if (lacks.len > 0)
        list_addf(out, "REVOKE %s ON %s FROM %s", has[0] == '\0' ? "ALL" : lacks.data, table, owner);
    buffer_free(&lacks);
    free(table);
    free(owner);
}
