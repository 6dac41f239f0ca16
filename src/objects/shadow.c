#include "objects/shadow.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "objects/generate.h"
#include "objects/grants.h"
#include "rows/key.h"
#include "proof.h"
#include "swap_first.h"

struct shadow_names {
    struct name_map relations; /* indexes and sequences: final name to the name on the shadow */
    struct name_map statistics;
    char *temporary_key; /* or NULL */
};

static void
shadow_map_names(struct plan *p, struct shadow_names *n, struct string_list *relations,
                 struct string_list *statistics)
{
    const struct table *t = p->target;

    for (int i = 0; i < t->index_count; i++)
        name_map_add(&n->relations, t->indexes[i].name,
                     name_unlike(t->indexes[i].name, "_pgrecast_new", relations));
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (q->identity || q->oid == 0)
                name_map_add(&n->relations, q->name, name_unlike(q->name, "_pgrecast_new", relations));
    for (int i = 0; i < t->statistics_count; i++)
        name_map_add(&n->statistics, t->statistics[i].name,
                     name_unlike(t->statistics[i].name, "_pgrecast_new", statistics));
}

static void
plan_create(struct plan *p, const struct generate *g)
{
    const struct table *t = p->target;

    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next)
            if (!q->identity && q->oid == 0)
                generate_sequence(g, q, &p->statements.create);
    generate_table(g, &p->statements.create);
    for (int i = 0; i < t->column_count; i++) {
        char *column = name_quoted(t->columns[i].name);

        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next) {
            char *name = name_qualified(t->schema, name_map_find(g->relations, q->name));

            if (!q->identity && q->oid == 0)
                list_addf(&p->statements.create, "ALTER SEQUENCE %s OWNED BY %s.%s", name,
                          p->names.shadow_sql, column);
            free(name);
        }
        free(column);
    }
    grants_close(g, p->source, &p->statements.create);
    if (!t->owner_is_session) {
        char *owner = name_quoted(t->owner);

        list_addf(&p->statements.create, "ALTER TABLE %s OWNER TO %s", p->names.shadow_sql, owner);
        for (int i = 0; i < t->partition_count; i++) {
            char *name = name_qualified(t->schema, t->partitions[i].name);

            list_addf(&p->statements.create, "ALTER TABLE %s OWNER TO %s", name, owner);
            free(name);
        }
        free(owner);
    }
    generate_comments(g, &p->statements.create);
}

static int64_t
bytes_of_like(const struct table *source, const char *name)
{
    for (int i = 0; i < source->index_count; i++)
        if (strcmp(source->indexes[i].name, name) == 0)
            return source->indexes[i].bytes;
    return 0;
}

/* Key first, then the largest first; those that run alone come last. */
static int
compare_indexes(const void *a, const void *b)
{
    const struct plan_index *x = a;
    const struct plan_index *y = b;

    if (x->key != y->key)
        return x->key ? -1 : 1;
    if (x->exclusive != y->exclusive)
        return x->exclusive ? 1 : -1;
    if (x->bytes != y->bytes)
        return x->bytes > y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Whether the server accepts the key's index as a replica identity: all of its columns are NOT NULL. */
static bool
may_identify(const struct plan *p)
{
    for (int i = 0; i < p->key_count; i++) {
        const struct column *c =
            p->key[i].hidden ? NULL : table_column_named(p->target, p->key[i].shadow_name);

        if (c != NULL && (!c->not_null || c->not_null_invalid))
            return false;
    }
    return true;
}

/*
 * On a published table without a replica identity the server refuses DELETE and UPDATE, and the primary key
 * is made last. So until then the replica identity is the key's index, which exists before the first changes
 * are applied.
 */
static void
identify_by_key(struct plan *p)
{
    struct plan_index *key = &p->indexes[0];
    char *name = name_quoted(key->name);
    char *sql = may_identify(p)
                    ? mem_printf("%s;\nALTER TABLE %s REPLICA IDENTITY USING INDEX %s", key->sql,
                                 p->names.shadow_sql, name)
                    : mem_printf("%s;\nALTER TABLE %s REPLICA IDENTITY FULL", key->sql, p->names.shadow_sql);

    free(key->sql);
    key->sql = sql;
    free(name);
}

static void
plan_indexes(struct plan *p, const struct generate *g, struct shadow_names *n, struct string_list *relations)
{
    const struct table *t = p->target;
    const struct index *key = key_index(p);

    p->indexes = mem_alloc(((size_t)t->index_count + 2) * sizeof(*p->indexes));
    if (key == NULL) {
        n->temporary_key = name_unlike(p->source->name, "_pgrecast_key", relations);
        p->indexes[p->index_count++] = (struct plan_index){.name = mem_strdup(n->temporary_key),
                                                           .sql = key_temporary_index(p, n->temporary_key),
                                                           .key = true};
    }
    for (int i = 0; i < t->index_count; i++) {
        const struct index *x = &t->indexes[i];
        const struct constraint *c = generate_constraint_of(t, x);
        bool alone = c != NULL && generate_builds_index(t, c);

        p->indexes[p->index_count++] = (struct plan_index){
            .name = mem_strdup(name_map_find(g->relations, x->name)),
            .final_name = mem_strdup(x->name),
            .sql = alone ? generate_index_constraint(g, c, x) : generate_index(g, x),
            .bytes = bytes_of_like(p->source, x->name),
            .key = x == key,
            .late = x->unique || bytes_of_like(p->source, x->name) == 0,
            .exclusive = alone,
        };
    }
    qsort(p->indexes, (size_t)p->index_count, sizeof(*p->indexes), compare_indexes);
    if (table_has_general_publication(p->source))
        identify_by_key(p);
}

/* Comments of sequences that this plan creates. */
static void
comment_sequences(struct plan *p, const struct generate *g)
{
    for (int i = 0; i < p->target->column_count; i++)
        for (const struct owned_sequence *q = p->target->columns[i].sequence; q != NULL; q = q->next) {
            char *name;
            struct buffer sql = {0};

            if ((!q->identity && q->oid != 0) || q->comment == NULL)
                continue;
            name = name_qualified(g->schema, name_map_find(g->relations, q->name));
            buffer_printf(&sql, "COMMENT ON SEQUENCE %s IS ", name);
            buffer_add_literal(&sql, q->comment);
            list_add(&p->statements.finish_shadow, buffer_take(&sql));
            free(name);
        }
}

static void
plan_finish(struct plan *p, const struct generate *g)
{
    const struct table *t = p->target;

    for (int i = 0; i < t->index_count; i++) {
        const struct constraint *c = generate_constraint_of(t, &t->indexes[i]);

        if (c != NULL && !generate_builds_index(t, c))
            list_add(&p->statements.finish_shadow, generate_index_constraint(g, c, &t->indexes[i]));
        generate_index_extras(g, &t->indexes[i], &p->statements.finish_shadow);
    }
    for (int i = 0; i < t->statistics_count; i++) {
        const struct extended_statistics *x = &t->statistics[i];

        generate_statistics(g, x, &p->statements.finish_shadow);
        if (strcmp(x->owner, p->source->session_role) != 0) {
            char *name = name_qualified(x->schema, name_map_find(g->statistics, x->name));
            char *owner = name_quoted(x->owner);

            list_addf(&p->statements.finish_shadow, "ALTER STATISTICS %s OWNER TO %s", name, owner);
            free(owner);
            free(name);
        }
    }
    if (t->replica_identity == 'd' && table_has_general_publication(p->source))
        list_addf(&p->statements.finish_shadow, "ALTER TABLE %s REPLICA IDENTITY DEFAULT",
                  p->names.shadow_sql);
    generate_identity(g, &p->statements.finish_shadow);
    if (t->row_security)
        list_addf(&p->statements.finish_shadow, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY",
                  p->names.shadow_sql);
    if (t->force_row_security)
        list_addf(&p->statements.finish_shadow, "ALTER TABLE %s FORCE ROW LEVEL SECURITY",
                  p->names.shadow_sql);
    comment_sequences(p, g);
}

static bool
is_not_valid(const struct table *t, const struct named_uses *named)
{
    for (int i = 0; i < t->constraint_count && strcmp(named->kind, "table constraint") == 0; i++)
        if (strcmp(t->constraints[i].name, named->name) == 0)
            return !t->constraints[i].validated;
    return false;
}

/*
 * NULL if several statistics objects, in different schemas, have the name: they are left out, because rows do
 * not depend on them.
 */
static const char *
statistics_schema(const struct table *t, const char *name)
{
    const char *schema = NULL;

    for (int i = 0; i < t->statistics_count; i++) {
        if (strcmp(t->statistics[i].name, name) != 0)
            continue;
        if (schema != NULL)
            return NULL;
        schema = t->statistics[i].schema;
    }
    return schema;
}

/* After each statement that creates expressions: check that they mean the same as on the clone. */
static void
plan_proofs(struct plan *p, const struct generate *g, const struct table_uses *uses)
{
    const struct table *t = p->target;
    struct proof created = {0}, finished = {0}, swapped = {0};
    struct proof *proofs[] = {&created, &finished, &swapped};
    struct string_list *lists[] = {&p->statements.create, &p->statements.finish_shadow, &p->statements.swap};

    for (int i = 0; i < uses->count; i++) {
        const struct named_uses *u = &uses->items[i];

        if (strcmp(u->kind, "index") == 0)
            proof_add_own(&finished, u, t->schema, g->name, name_map_find(g->relations, u->name));
        else if (strcmp(u->kind, "statistics object") == 0 && statistics_schema(t, u->name) == NULL)
            continue;
        else if (strcmp(u->kind, "statistics object") == 0)
            proof_add_own(&finished, u, statistics_schema(t, u->name), g->name,
                          name_map_find(g->statistics, u->name));
        else if (is_not_valid(t, u))
            proof_add_own(&swapped, u, t->schema, p->source->name, u->name);
        else
            proof_add_own(&created, u, t->schema, g->name, u->name);
    }
    for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
        char *statement = proof_statement(proofs[i]);

        if (statement != NULL)
            list_add(lists[i], statement);
    }
}

void
shadow_plan(struct plan *p, const struct restart_list *restarts, const struct table_uses *uses,
            struct string_list *relations, struct string_list *statistics, struct swap_names *x)
{
    struct shadow_names n = {0};
    struct generate g = {
        .table = p->target,
        .schema = p->target->schema,
        .name = p->names.shadow_name,
        .relations = &n.relations,
        .statistics = &n.statistics,
        .shadow = true,
        .hidden_count = p->key_count,
        .hidden = p->key,
    };

    shadow_map_names(p, &n, relations, statistics);
    plan_create(p, &g);
    plan_indexes(p, &g, &n, relations);
    plan_finish(p, &g);
    swap_names_plan(x, p, &n.relations, &n.statistics, relations, statistics);
    swap_first_plan(p, restarts, n.temporary_key, x);
    plan_proofs(p, &g, uses);
    list_addf(&p->statements.drop_old, "DROP TABLE %s", p->names.old_sql);
    name_map_free(&n.relations);
    name_map_free(&n.statistics);
    free(n.temporary_key);
}
