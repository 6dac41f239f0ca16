#include "ddl/grants.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/list.h"

static char *
table_object(const struct generate *g)
{
    char *self = name_qualified(g->schema, g->name);
    char *object = mem_printf("TABLE %s", self);

    free(self);
    return object;
}

static char *
sequence_object(const struct generate *g, const struct owned_sequence *q)
{
    char *name = name_qualified(g->schema, name_map_find(g->relations, q->name));
    char *object = mem_printf("SEQUENCE %s", name);

    free(name);
    return object;
}

/* Made by this plan: everything but a sequence that moves along. */
static bool
is_new(const struct owned_sequence *q)
{
    return q->identity || q->oid == 0;
}

static bool
is_owner(const struct table *t, const char *grantee)
{
    char *quoted = name_quoted(t->owner);
    bool is = strcmp(grantee, t->owner) == 0 || strcmp(grantee, quoted) == 0;

    free(quoted);
    return is;
}

void
grants_close(const struct generate *g, const struct table *source, struct string_list *out)
{
    struct string_list objects = {0};
    struct string_list grantees = {0};

    for (int i = 0; i < source->default_privileges.count; i++) {
        const char *grantee = source->default_privileges.items[i].grantee;

        if (!is_owner(source, grantee) && !list_has(&grantees, grantee))
            list_add(&grantees, mem_strdup(grantee));
    }
    if (grantees.count > 0) {
        list_add(&objects, table_object(g));
        for (int i = 0; i < g->table->column_count; i++)
            for (const struct owned_sequence *q = g->table->columns[i].sequence; q != NULL; q = q->next)
                if (q->identity && q->oid != 0) /* one that the job adds gets them, as with ALTER TABLE */
                    list_add(&objects, sequence_object(g, q));
    }
    for (int i = 0; i < objects.count; i++)
        for (int k = 0; k < grantees.count; k++)
            list_addf(out, "REVOKE ALL ON %s FROM %s", objects.items[i], grantees.items[k]);
    list_free(&objects);
    list_free(&grantees);
}

static void
give(const struct grant *grant, const char *privileges, const char *object, struct string_list *out)
{
    if (grant->grantor != NULL)
        list_addf(out, "SET LOCAL ROLE %s", grant->grantor);
    list_addf(out, "GRANT %s ON %s TO %s%s", privileges, object, grant->grantee,
              grant->grantable ? " WITH GRANT OPTION" : "");
    if (grant->grantor != NULL)
        list_addf(out, "RESET ROLE");
}

static void
give_all(const struct grant_list *list, const char *object, struct string_list *out)
{
    for (int i = 0; i < list->count; i++)
        give(&list->items[i], list->items[i].privileges, object, out);
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

void
grants_give(const struct generate *g, struct string_list *out)
{
    const struct table *t = g->table;
    char *table = table_object(g);

    give_all(&t->grants, table, out);
    for (int i = 0; i < t->column_count; i++) {
        const struct column *c = &t->columns[i];

        for (int k = 0; k < c->grants.count; k++) {
            char *privileges = on_column(c->grants.items[k].privileges, c->name);

            give(&c->grants.items[k], privileges, table, out);
            free(privileges);
        }
        for (const struct owned_sequence *q = c->sequence; q != NULL; q = q->next) {
            char *object;

            if (!is_new(q))
                continue;
            object = sequence_object(g, q);
            give_all(&q->grants, object, out);
            if (q->comment != NULL) {
                struct buffer sql = {0};

                buffer_printf(&sql, "COMMENT ON %s IS ", object);
                buffer_add_literal(&sql, q->comment);
                list_add(out, buffer_take(&sql));
            }
            free(object);
        }
    }
    free(table);
}

/* The owner gave him what he has passed on: then it can be given again in this order. */
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
