#include "ddl/shadow.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "ddl/generate.h"
#include "ddl/grants.h"
#include "ddl/key.h"
#include "core/list.h"
#include "ddl/swap.h"

struct shadow_names {
    struct name_map relations; /* indexes and sequences: final name to the shadow's */
    struct name_map statistics;
    char *temporary_key; /* or NULL */
};

static void
map_names(struct plan *p, struct shadow_names *n, struct string_list *relations,
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
                generate_sequence(g, q, &p->create);
    generate_table(g, &p->create);
    for (int i = 0; i < t->column_count; i++) {
        char *column = name_quoted(t->columns[i].name);

        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next) {
            char *name = name_qualified(t->schema, name_map_find(g->relations, q->name));

            if (!q->identity && q->oid == 0)
                list_addf(&p->create, "ALTER SEQUENCE %s OWNED BY %s.%s", name, p->shadow_sql, column);
            free(name);
        }
        free(column);
    }
    grants_close(g, p->source, &p->create);
    if (!t->owner_is_session) {
        char *owner = name_quoted(t->owner);

        list_addf(&p->create, "ALTER TABLE %s OWNER TO %s", p->shadow_sql, owner);
        free(owner);
    }
    generate_comments(g, &p->create);
}

static int64_t
bytes_of_like(const struct table *source, const char *name)
{
    for (int i = 0; i < source->index_count; i++)
        if (strcmp(source->indexes[i].name, name) == 0)
            return source->indexes[i].bytes;
    return 0;
}

/* Key first, then the largest first, those that run alone last. */
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
        bool alone = c != NULL && generate_builds_index(c);

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
}

static void
plan_finish(struct plan *p, const struct generate *g)
{
    const struct table *t = p->target;

    for (int i = 0; i < t->index_count; i++) {
        const struct constraint *c = generate_constraint_of(t, &t->indexes[i]);

        if (c != NULL && !generate_builds_index(c))
            list_add(&p->finish_shadow, generate_index_constraint(g, c, &t->indexes[i]));
        generate_index_extras(g, &t->indexes[i], &p->finish_shadow);
    }
    for (int i = 0; i < t->statistics_count; i++) {
        const struct extended_statistics *x = &t->statistics[i];

        generate_statistics(g, x, &p->finish_shadow);
        if (strcmp(x->owner, p->source->session_role) != 0) {
            char *name = name_qualified(x->schema, name_map_find(g->statistics, x->name));
            char *owner = name_quoted(x->owner);

            list_addf(&p->finish_shadow, "ALTER STATISTICS %s OWNER TO %s", name, owner);
            free(owner);
            free(name);
        }
    }
    generate_identity(g, &p->finish_shadow);
    if (t->row_security)
        list_addf(&p->finish_shadow, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY", p->shadow_sql);
    if (t->force_row_security)
        list_addf(&p->finish_shadow, "ALTER TABLE %s FORCE ROW LEVEL SECURITY", p->shadow_sql);
    grants_give(g, &p->finish_shadow);
}

static void
plan_drops(struct plan *p, const struct generate *g)
{
    const struct table *t = p->target;

    list_addf(&p->drop_old, "DROP TABLE IF EXISTS %s", p->old_sql);
    list_addf(&p->drop_shadow, "DROP TABLE IF EXISTS %s", p->shadow_sql);
    for (int i = 0; i < t->column_count; i++)
        for (const struct owned_sequence *q = t->columns[i].sequence; q != NULL; q = q->next) {
            char *name = name_qualified(t->schema, name_map_find(g->relations, q->name));

            if (!q->identity && q->oid == 0)
                list_addf(&p->drop_shadow, "DROP SEQUENCE IF EXISTS %s", name);
            free(name);
        }
}

void
shadow_plan(struct plan *p, const struct clone_result *clone, struct string_list *relations,
            struct string_list *statistics, struct exchange *x)
{
    struct shadow_names n = {0};
    struct generate g = {
        .table = p->target,
        .schema = p->target->schema,
        .name = p->shadow_name,
        .relations = &n.relations,
        .statistics = &n.statistics,
        .shadow = true,
        .hidden_count = p->key_count,
        .hidden = p->key,
    };

    map_names(p, &n, relations, statistics);
    plan_create(p, &g);
    plan_indexes(p, &g, &n, relations);
    plan_finish(p, &g);
    exchange_plan(x, p, &n.relations, &n.statistics, relations, statistics);
    swap_plan(p, clone, n.temporary_key, x);
    plan_drops(p, &g);
    name_map_free(&n.relations);
    name_map_free(&n.statistics);
    free(n.temporary_key);
}
