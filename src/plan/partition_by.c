#include "plan/partition_by.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/table.h"
#include "core/buffer.h"
#include "core/count.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "parse/partition_by.h"
#include "parse/statement.h"
#include "pg/params.h"
#include "sql/sql.h"
#include "clone.h"
#include "code.h"
#include "partitions.h"
#include "refuse.h"
#include "table_ddl.h"

#define PARTITIONS_MOST 10000
#define NAME_BYTES 63

enum reach_by { REACH_UNKNOWN, REACH_BTREE, REACH_BRIN };

/* The table, the column and what is known of the column's values. */
struct dividing {
    struct session *s;
    const struct partition_by *p;
    struct table *table;
    const struct column *column;
    const char *bound; /* date, timestamp, timestamptz */
    char *least;       /* NULL: no value, or not known */
    char *largest;
    struct string_list reasons;
};

static const char *
bound_type(const struct column *c)
{
    return strcmp(c->type, "date") == 0                ? "date"
           : strncmp(c->type, "timestamp", 9) != 0     ? NULL
           : strstr(c->type, "with time zone") != NULL ? "timestamptz"
                                                       : "timestamp";
}

/* An index that tells where the values of the column begin and end. */
static enum reach_by
reach_of(const struct dividing *d)
{
    enum reach_by by = REACH_UNKNOWN;

    for (int i = 0; i < d->table->index_count; i++) {
        const struct index *x = &d->table->indexes[i];

        if (!x->valid || x->partial)
            continue;
        if (strncmp(x->definition, "USING btree ", 12) == 0 && x->key_attnums[0] == d->column->attnum)
            return REACH_BTREE;
        for (int k = 0; strncmp(x->definition, "USING brin ", 11) == 0 && k < x->key_count; k++)
            if (x->key_attnums[k] == d->column->attnum && strstr(x->keys[k].opclass, "minmax") != NULL)
                by = REACH_BRIN;
    }
    return by;
}

/* The ends of a btree index, past infinity. */
static char *
btree_reach(const char *table, const char *column)
{
    return mem_printf(
        "SELECT (SELECT %2$s FROM ONLY %1$s WHERE %2$s > '-infinity' ORDER BY %2$s LIMIT 1)::text "
        "AS least, (SELECT %2$s FROM ONLY %1$s WHERE %2$s < 'infinity' ORDER BY %2$s DESC LIMIT "
        "1)::text AS largest, true AS known",
        table, column);
}

/*
 * The ends of the column's statistics, and what the table has beyond them: only those blocks are read whose summary in the BRIN
 * index says that they may have such values.
 */
static char *
brin_reach(const struct dividing *d, const char *table, const char *column)
{
    struct buffer schema = {0}, name = {0}, attribute = {0};
    char *sql;

    buffer_add_literal(&schema, d->table->schema);
    buffer_add_literal(&name, d->table->name);
    buffer_add_literal(&attribute, d->column->name);
    sql = mem_printf(
        "WITH seen AS (SELECT pg_catalog.min(v) AS low, pg_catalog.max(v) AS high FROM pg_catalog.pg_stats "
        "AS s "
        "CROSS JOIN LATERAL pg_catalog.unnest(s.histogram_bounds::text::%3$s[] || "
        "s.most_common_vals::text::%3$s[]) AS v WHERE s.schemaname = %4$s AND s.tablename = %5$s AND "
        "s.attname "
        "= %6$s AND NOT s.inherited AND pg_catalog.isfinite(v)) "
        "SELECT LEAST(low, (SELECT pg_catalog.min(%2$s) FROM ONLY %1$s WHERE %2$s < low AND %2$s > "
        "'-infinity'))::text AS least, GREATEST(high, (SELECT pg_catalog.max(%2$s) FROM ONLY %1$s WHERE %2$s "
        "> "
        "high AND %2$s < 'infinity'))::text AS largest, low IS NOT NULL AS known FROM seen",
        table, column, d->bound, schema.data, name.data, attribute.data);
    buffer_free(&schema);
    buffer_free(&name);
    buffer_free(&attribute);
    return sql;
}

static bool
read_reach(struct dividing *d, enum reach_by by, struct error *err)
{
    char *table = name_qualified(d->table->schema, d->table->name), *column = name_quoted(d->column->name);
    char *sql = by == REACH_BTREE ? btree_reach(table, column) : brin_reach(d, table, column);
    struct result r = {0};
    bool ok = session_execute(d->s, err, "SET LOCAL enable_seqscan TO off; SET LOCAL enable_sort TO off") &&
              session_row(d->s, &r, err, sql, 0);

    if (ok) {
        d->least = row_copy(&r, 0, "least");
        d->largest = row_copy(&r, 0, "largest");
        if (!row_bool(&r, 0, "known") && d->p->from == NULL)
            list_addf(&d->reasons,
                      "column \"%s\" has no statistics, by which the BRIN index would tell where its values "
                      "begin: ANALYZE the table, or give --from",
                      d->column->name);
    }
    result_free(&r);
    free(sql);
    free(column);
    free(table);
    return ok;
}

/* What cannot be divided, or not by these options. */
static void
refuse_column(struct dividing *d, const char *name)
{
    d->column = table_column_named(d->table, name);
    if (d->column == NULL) {
        list_addf(&d->reasons, "it has no column \"%s\"", name);
        return;
    }
    d->bound = bound_type(d->column);
    if (d->bound == NULL)
        list_addf(&d->reasons,
                  "column \"%s\" is of type %s: --partition-by divides by date, timestamp and timestamptz; "
                  "other partitions are described in a file, with --target",
                  name, d->column->type);
    if (d->column->generated != '\0')
        list_addf(&d->reasons, "column \"%s\" is generated, and cannot divide a table", name);
    if (strlen(d->table->name) + strlen("_2000_01_01") > NAME_BYTES)
        list_addf(&d->reasons,
                  "its name is too long for the names of partitions: describe them in a file, with --target");
    if (d->table->search_path != NULL)
        list_addf(
            &d->reasons,
            "its expressions need a search_path to be read: describe the target in a file, with --target");
}

/* Foreign keys that refer to a key that is extended have nothing to refer to. */
static void
refuse_references(struct dividing *d)
{
    char *quoted = name_quoted(d->column->name);

    for (int i = 0; i < d->table->foreign_key_count; i++) {
        const struct foreign_key *f = &d->table->foreign_keys[i];
        bool has = false;

        if (f->ref_oid != d->table->oid)
            continue;
        for (const char *at = f->ref_columns; !has && at != NULL; at = strchr(at, ',')) {
            size_t len;

            at += strspn(at, ", ");
            len = strcspn(at, ",");
            has = (strlen(quoted) == len && strncmp(at, quoted, len) == 0) ||
                  (strlen(d->column->name) == len && strncmp(at, d->column->name, len) == 0);
        }
        if (!has)
            list_addf(&d->reasons,
                      "%s refers to columns without \"%s\", which are not unique in a partitioned table",
                      f->description, d->column->name);
    }
    free(quoted);
}

static bool
read_table(struct dividing *d, struct error *err)
{
    struct typed_name typed = {0};
    char *schema = NULL, *name = NULL;
    oid_t oid;

    if (typed_name_parse(d->p->table, &typed, err) && session_execute(d->s, err, PLANNING_BEGIN) &&
        table_resolve(d->s, typed.schema, typed.name, &schema, &name, &oid, err))
        d->table = table_read(d->s, schema, name, err);
    typed_name_free(&typed);
    free(schema);
    free(name);
    return d->table != NULL;
}

/* The column's values, if an index tells them. */
static bool
find_reach(struct dividing *d, struct error *err)
{
    enum reach_by by = reach_of(d);

    if (by != REACH_UNKNOWN)
        return read_reach(d, by, err);
    if (d->p->from == NULL)
        list_addf(
            &d->reasons,
            "no index tells where the values of column \"%s\" begin: give --from, or create an index that "
            "begins with it (BRIN is enough)",
            d->column->name);
    return true;
}

static bool
read_bounds(struct dividing *d, struct result *r, struct error *err)
{
    struct params p = {0};
    bool ok;

    params_text(&p, d->bound);
    params_text(&p, d->p->every);
    params_text(&p, d->p->from);
    params_text(&p, d->least);
    params_text(&p, d->largest);
    params_int(&p, d->p->ahead);
    params_bool(&p, d->p->rest);
    params_int(&p, PARTITIONS_MOST);
    ok = session_query_with(d->s, r, err, sql_plan_partition_bounds, &p);
    if (!ok && strncmp(err->sqlstate, "22", 2) == 0) {
        err->kind = ERROR_USAGE;
        return error_context(err, "--every '%s'%s%s", d->p->every, d->p->from != NULL ? " --from " : "",
                             d->p->from != NULL ? d->p->from : "");
    }
    if (ok && !row_bool(r, 0, "valid"))
        return error_set(err, ERROR_USAGE, "--every takes whole days, weeks, months or years, not '%s'",
                         d->p->every);
    if (ok && row_bool(r, 0, "beyond"))
        list_addf(&d->reasons,
                  "there would be more than %d partitions: choose a longer --every, or a later --from; with "
                  "--default, rows before --from and after today's partitions need none of their own",
                  PARTITIONS_MOST);
    if (ok && row_bool(r, 0, "below") && !d->p->rest)
        list_addf(&d->reasons, "rows have values of \"%s\" before --from: add --default for them",
                  d->column->name);
    return ok;
}

static void
add_partition(const struct table *t, const char *suffix, const char *bounds, struct buffer *out)
{
    char *parent = name_qualified(t->schema, t->name);
    char *name = mem_printf("%s_%s", t->name, suffix);
    char *qualified = name_qualified(t->schema, name);

    buffer_printf(out, "CREATE TABLE %s PARTITION OF %s %s;\n", qualified, parent, bounds);
    free(qualified);
    free(name);
    free(parent);
}

static void
add_partitions(const struct table_ddl *ddl, const struct result *r, bool rest, struct buffer *out)
{
    for (int i = 0; i < result_rows(r); i++) {
        char *bounds =
            mem_printf("FOR VALUES FROM ('%s') TO ('%s')", row_text(r, i, "lower"), row_text(r, i, "upper"));

        add_partition(ddl->table, row_text(r, i, "suffix"), bounds, out);
        free(bounds);
    }
    if (rest)
        add_partition(ddl->table, "default", "DEFAULT", out);
}

/* All of it, in a transaction that is rolled back. */
static bool
divide(struct dividing *d, const char *column, struct string_list *notes, struct buffer *out,
       struct error *err)
{
    char *quoted = name_quoted(column), *by = mem_printf("RANGE (%s)", quoted);
    const struct table_ddl ddl = {.table = d->table,
                                  .partition_by = by,
                                  .column = column,
                                  .extend_key = d->p->extend_key,
                                  .notes = notes,
                                  .reasons = &d->reasons};
    const struct statement_list no_statements = {0};
    const struct string_list no_hints = {0};
    struct string_list early = {0};
    struct buffer parts = {0};
    struct result r = {0};
    bool ok;

    /* before anything reads the table, because to plan a query may run code of its owner's */
    ok = code_refuse_first(d->s, d->table, d->p->options, &no_statements, &early, err) &&
         partitions_refuse(d->s, d->table, NULL, d->p->options, &d->reasons, err);
    refuse_column(d, column);
    if (ok && d->bound != NULL) {
        ok = (d->reasons.count > 0 || find_reach(d, err)) && read_bounds(d, &r, err);
        table_ddl_create(&ddl, out);
        table_ddl_parts(&ddl, &parts);
        refuse_references(d);
    }
    ok = ok && refuse_if(d->table, &d->reasons, &no_hints, err);
    if (ok) {
        add_partitions(&ddl, &r, d->p->rest, out);
        buffer_add(out, parts.data, parts.len);
    }
    result_free(&r);
    buffer_free(&parts);
    list_free(&early);
    free(by);
    free(quoted);
    return ok;
}

char *
partition_by_target(struct session *s, const struct partition_by *p, struct string_list *notes,
                    struct error *err)
{
    struct dividing d = {.s = s, .p = p};
    char *column = partition_by_parse(p->by, err);
    struct buffer out = {0};
    bool ok = column != NULL && read_table(&d, err) && divide(&d, column, notes, &out, err);

    if (column != NULL)
        session_rollback(s);
    table_free(d.table);
    free(d.least);
    free(d.largest);
    list_free(&d.reasons);
    free(column);
    if (!ok) {
        buffer_free(&out);
        return NULL;
    }
    return buffer_take(&out);
}
