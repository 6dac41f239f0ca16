#include "partitions.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "catalog/expressions.h"
#include "pg/params.h"
#include "sql/sql.h"
#include "verdict.h"

static void
refuse_storage(const struct table *t, struct string_list *reasons)
{
    if (t->tablespace != NULL)
        list_addf(reasons, "it is in tablespace \"%s\", and partitions are made in the default one",
                  t->tablespace);
    for (int i = 0; i < t->index_count; i++) {
        if (t->indexes[i].tablespace != NULL)
            list_addf(reasons,
                      "index \"%s\" is in tablespace \"%s\", and partitions are made in the default one",
                      t->indexes[i].name, t->indexes[i].tablespace);
        if (t->indexes[i].clustered)
            list_addf(reasons,
                      "it is marked for CLUSTER on index \"%s\", which a partitioned table cannot be",
                      t->indexes[i].name);
    }
    if (t->replica_identity != 'd')
        list_addf(reasons, "its replica identity is not the primary key, and partitions would not have it");
}

static void
refuse_columns(const struct table *t, int major, struct string_list *reasons)
{
    for (int i = 0; major < 17 && i < t->column_count; i++)
        if (t->columns[i].identity != '\0')
            list_addf(reasons,
                      "column \"%s\" is an identity column, which partitions have from PostgreSQL 17 on",
                      t->columns[i].name);
}

/*
 * The swap adds foreign keys NOT VALID. Servers before 18 do not accept that of a partitioned table, but of a table
 * that refers to one.
 */
static void
refuse_others(const struct table *t, int major, struct string_list *reasons)
{
    for (int i = 0; i < t->foreign_key_count; i++)
        if (major < 18 && t->foreign_keys[i].on_oid == t->oid)
            list_addf(reasons,
                      "%s: before PostgreSQL 18 foreign keys are not carried over to a partitioned table",
                      t->foreign_keys[i].description);
    for (int i = 0; i < t->dependent_count; i++)
        if (strcmp(t->dependents[i].kind, "publication") == 0)
            list_addf(reasons, "%s: its subscribers would get the changes under the names of the partitions",
                      t->dependents[i].description);
}

/*
 * Names that the server gives to indexes of partitions begin with the name of the partition. The index that shall have
 * such a name gets it in the swap only.
 */
static void
refuse_names(const struct table *source, const struct table *target, struct string_list *reasons)
{
    for (int i = 0; i < target->partition_count; i++) {
        const char *name = target->partitions[i].name;
        size_t len = strlen(name);

        if (strstr(name, "_pgrecast_") != NULL)
            list_addf(reasons, "partition \"%s\" has a name as the job's own tables have", name);
        for (int k = 0; k < target->index_count; k++) {
            const char *index = target->indexes[k].name;

            if (strncmp(index, name, len) == 0 && index[len] == '_' &&
                table_index_named(source, index) == NULL)
                list_addf(reasons,
                          "the new index \"%s\" has a name that the server may give to an index of partition "
                          "\"%s\"",
                          index, name);
        }
    }
}

/* What the server knows: names in use, triggers, and who may add partitions. */
static bool
refuse_read(struct session *s, const struct table *source, const struct table *target,
            const struct plan_options *options, struct string_list *reasons, struct error *err)
{
    struct buffer names = {0}, trusted = {0};
    struct params p = {0};
    struct result r = {0};
    bool ok;

    for (int i = 0; target != NULL && i < target->partition_count; i++)
        array_add(&names, target->partitions[i].name);
    array_end(&names);
    params_uint(&p, source->oid);
    params_text(&p, names.data);
    for (int i = 0; i < options->trusted_count; i++)
        array_add(&trusted, options->trusted[i]);
    array_end(&trusted);
    params_text(&p, trusted.data);
    ok = session_query_with(s, &r, err, sql_plan_partitions, &p);
    for (int i = 0; ok && i < result_rows(&r); i++)
        list_add(reasons, row_copy(&r, i, "reason"));
    result_free(&r);
    buffer_free(&names);
    buffer_free(&trusted);
    return ok;
}

bool
partitions_refuse(struct session *s, const struct table *source, const struct table *target,
                  const struct plan_options *options, struct string_list *reasons, struct error *err)
{
    if (target != NULL && target->partition_key == NULL)
        return true;
    if (target != NULL && target->partition_count == 0)
        list_addf(reasons, "the target has no partition that could hold its rows");
    refuse_storage(source, reasons);
    refuse_columns(source, session_major(s), reasons);
    refuse_others(source, session_major(s), reasons);
    if (target != NULL)
        refuse_names(source, target, reasons);
    return refuse_read(s, source, target, options, reasons, err);
}

void
partitions_give(struct plan *p, const struct table *layout)
{
    struct table *t = p->target;

    t->relkind = 'p';
    t->partition_key = mem_strdup(layout->partition_key);
    t->partition_count = layout->partition_count;
    t->partitions = mem_alloc(((size_t)t->partition_count + 1) * sizeof(*t->partitions));
    for (int i = 0; i < t->partition_count; i++) {
        const struct partition *from = &layout->partitions[i];

        t->partitions[i] = (struct partition){
            .name = mem_strdup(from->name),
            .parent = mem_strdup(from->parent),
            .bounds = mem_strdup(from->bounds),
            .partition_key = mem_strdup(from->partition_key),
        };
    }
}

void
partitions_refuse_key(const struct plan *p, struct string_list *reasons)
{
    if (p->target->partition_key != NULL && p->key_count > 0 && p->key[0].hidden)
        list_addf(reasons, "the values of its key change, by which the rows are found in the partitions");
}

void
partitions_judge(struct plan *p)
{
    if (p->target->partition_key == NULL)
        return;
    verdicts_add(&p->advice.verdicts,
                 (struct plan_verdict){.clause = mem_printf("PARTITION BY %s", p->target->partition_key),
                                       .kind = VERDICT_BY_HAND,
                                       .lock = LOCK_ACCESS_EXCLUSIVE});
}
