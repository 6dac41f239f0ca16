#include "catalog/table.h"

#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "catalog/expressions.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "sql/sql.h"

void
grant_list_copy(struct grant_list *to, const struct grant_list *from)
{
    for (int i = 0; i < to->count; i++) {
        free(to->items[i].grantee);
        free(to->items[i].privileges);
        free(to->items[i].grantor);
    }
    free(to->items);
    to->count = from->count;
    to->items = mem_alloc(((size_t)from->count + 1) * sizeof(*to->items));
    for (int i = 0; i < from->count; i++) {
        to->items[i] = from->items[i];
        to->items[i].grantee = mem_strdup(from->items[i].grantee);
        to->items[i].privileges = mem_strdup(from->items[i].privileges);
        to->items[i].grantor = mem_strdup(from->items[i].grantor);
    }
}

const struct column *
table_column(const struct table *t, int attnum)
{
    for (int i = 0; i < t->column_count; i++)
        if (t->columns[i].attnum == attnum)
            return &t->columns[i];
    return NULL;
}

const struct column *
table_column_named(const struct table *t, const char *name)
{
    for (int i = 0; i < t->column_count; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

const struct index *
table_index_named(const struct table *t, const char *name)
{
    for (int i = 0; i < t->index_count; i++)
        if (strcmp(t->indexes[i].name, name) == 0)
            return &t->indexes[i];
    return NULL;
}

const char *
table_only(const struct table *t)
{
    return t->partition_key != NULL ? "" : "ONLY ";
}

bool
partition_holds_rows(const struct partition *p)
{
    return p->partition_key == NULL;
}

bool
index_is_temporal(const struct table *t, const struct index *x)
{
    for (int i = 0; i < t->constraint_count; i++)
        if (t->constraints[i].index_oid == x->oid && t->constraints[i].temporal)
            return true;
    return false;
}

bool
index_may_identify(const struct table *t, const struct index *x)
{
    if (!x->unique || x->partial || !x->immediate || !x->valid || index_is_temporal(t, x))
        return false;
    for (int k = 0; k < x->key_count; k++) {
        const struct column *c = table_column(t, x->key_attnums[k]);

        if (c == NULL || !c->not_null || c->not_null_invalid || c->generated != '\0')
            return false;
    }
    return true;
}

/*
 * With REPLICA IDENTITY FULL the stream has the whole old row, so any key can be used; the primary key first.
 */
static const struct index *
key_of_full(const struct table *t)
{
    const struct index *found = NULL;

    for (int i = 0; i < t->index_count; i++)
        if (index_may_identify(t, &t->indexes[i]) && (found == NULL || t->indexes[i].primary))
            found = &t->indexes[i];
    return found;
}

const struct index *
table_key(const struct table *t)
{
    if (t->replica_identity == 'f')
        return key_of_full(t);
    for (int i = 0; i < t->index_count; i++) {
        const struct index *x = &t->indexes[i];

        if (!x->valid)
            continue;
        if (t->replica_identity == 'd' ? x->primary && x->immediate
                                       : t->replica_identity == 'i' && x->replica_identity)
            return x;
    }
    return NULL;
}

static void
table_fill(struct table *t, const struct result *r)
{
    t->oid = part_oid(r, 0, "oid");
    t->relfilenode = part_oid(r, 0, "filenode");
    t->schema = row_copy(r, 0, "nspname");
    t->name = row_copy(r, 0, "relname");
    t->relkind = part_letter(r, 0, "relkind");
    t->persistence = part_letter(r, 0, "relpersistence");
    t->owner = row_copy(r, 0, "owner");
    t->owner_is_ours = row_bool(r, 0, "owner_is_ours");
    t->tablespace = row_copy(r, 0, "tablespace");
    t->database_tablespace = row_copy(r, 0, "database_tablespace");
    t->access_method = row_copy(r, 0, "amname");
    t->options = row_copy(r, 0, "options");
    t->toast_options = row_copy(r, 0, "toast_options");
    t->replica_identity = part_letter(r, 0, "relreplident");
    t->comment = row_copy(r, 0, "comment");
    t->acl = row_copy(r, 0, "acl");
    t->row_security = row_bool(r, 0, "relrowsecurity");
    t->has_toast = row_bool(r, 0, "has_toast");
    t->bytes = row_int(r, 0, "bytes");
    t->heap_bytes = row_int(r, 0, "heap_bytes");
    t->estimated_rows = row_int(r, 0, "estimated_rows");
    t->partition_key = row_copy(r, 0, "partition_key");
    t->is_partition = row_bool(r, 0, "relispartition");
    t->is_system = row_bool(r, 0, "is_system");
    t->session_role = row_copy(r, 0, "session_role");
    t->owner_is_session = strcmp(t->session_role, t->owner) == 0;
    t->owner_may_be_set = row_bool(r, 0, "owner_may_be_set");
    t->owner_may_create = row_bool(r, 0, "owner_may_create");
    t->may_create_in_schema = row_bool(r, 0, "may_create_in_schema");
    t->force_row_security = row_bool(r, 0, "relforcerowsecurity");
    t->row_security_active = row_bool(r, 0, "row_security_active");
    t->autovacuum = row_copy(r, 0, "autovacuum");
    t->toast_autovacuum = row_copy(r, 0, "toast_autovacuum");
}

static bool
table_read_path(struct session *s, struct table *t, struct error *err)
{
    struct table_uses uses = {0};
    bool ok = table_uses_read(s, t, &uses, err);

    if (ok)
        t->search_path = table_uses_path(&uses);
    table_uses_free(&uses);
    return ok;
}

/* Everything about the table, read in the open transaction. */
static struct table *
table_read_parts(struct session *s, const char *schema, const char *name, struct error *err)
{
    struct result r = {0};
    struct table *t = NULL;

    if (!session_query(s, &r, err, sql_catalog_table, 2, schema, name))
        return NULL;
    if (result_rows(&r) != 1) {
        result_free(&r);
        error_set(err, ERROR_REFUSED, "there is no table \"%s.%s\"", schema, name);
        return NULL;
    }
    t = mem_alloc(sizeof(*t));
    table_fill(t, &r);
    result_free(&r);
    if (!columns_read(s, t, err) || !sequences_read(s, t, err) || !constraints_read(s, t, err) ||
        !indexes_read(s, t, err) || !statistics_read(s, t, err) || !partitions_read(s, t, err) ||
        !grants_read(s, t, err) || !foreign_keys_read(s, t, err) || !dependents_read(s, t, err) ||
        !table_read_path(s, t, err) || (t->fingerprint = table_fingerprint(s, t->oid, err)) == NULL) {
        error_context(err, "reading table \"%s.%s\"", schema, name);
        table_free(t);
        return NULL;
    }
    return t;
}

struct table *
table_read(struct session *s, const char *schema, const char *name, struct error *err)
{
    struct table *t;

    if (PQtransactionStatus(session_conn(s)) == PQTRANS_INTRANS)
        return table_read_parts(s, schema, name, err);
    if (!session_execute(s, err, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        return NULL;
    t = table_read_parts(s, schema, name, err);
    session_rollback(s);
    return t;
}

/*
 * Resolve the name as in the user's SQL. False leaves the transaction
 * failed.
 */
static bool
resolve_as_user(struct session *s, const char *typed, struct result *r, struct error *err)
{
    bool own = PQtransactionStatus(session_conn(s)) != PQTRANS_INTRANS;
    bool ok = !own || session_execute(s, err, "BEGIN READ ONLY");

    ok = ok && session_users_path(s, err) && session_query(s, r, err, sql_catalog_resolve, 1, typed) &&
         (own || session_execute(s, err, "SET LOCAL search_path TO ''"));
    if (own)
        session_rollback(s);
    return ok;
}

bool
table_resolve(struct session *s, const char *schema, const char *name, char **out_schema, char **out_name,
              oid_t *oid, struct error *err)
{
    struct buffer typed = {0};
    struct result r = {0};
    bool ok;

    if (schema != NULL) {
        buffer_add_identifier(&typed, schema);
        buffer_add_char(&typed, '.');
    }
    buffer_add_identifier(&typed, name);
    ok = resolve_as_user(s, typed.data, &r, err);
    if (ok && result_rows(&r) != 1)
        ok = error_set(err, ERROR_REFUSED, "there is no table %s", typed.data);
    if (ok) {
        *oid = part_oid(&r, 0, "oid");
        *out_schema = row_copy(&r, 0, "nspname");
        *out_name = row_copy(&r, 0, "relname");
    }
    result_free(&r);
    buffer_free(&typed);
    return ok;
}
