#include "catalog/table.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/parts.h"
#include "core/buffer.h"
#include "core/mem.h"
#include "sql/sql.h"

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
table_key(const struct table *t)
{
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
    t->oid = (oid_t)result_int(r, 0, 0);
    t->relfilenode = (oid_t)result_int(r, 0, 1);
    t->schema = mem_strdup(result_text(r, 0, 2));
    t->name = mem_strdup(result_text(r, 0, 3));
    t->relkind = result_text(r, 0, 4)[0];
    t->persistence = result_text(r, 0, 5)[0];
    t->owner = mem_strdup(result_text(r, 0, 6));
    t->owner_is_ours = result_bool(r, 0, 7);
    t->tablespace = mem_strdup(result_text(r, 0, 8));
    t->database_tablespace = mem_strdup(result_text(r, 0, 9));
    t->access_method = mem_strdup(result_text(r, 0, 10));
    t->options = mem_strdup(result_text(r, 0, 11));
    t->toast_options = mem_strdup(result_text(r, 0, 12));
    t->replica_identity = result_text(r, 0, 13)[0];
    t->comment = mem_strdup(result_text(r, 0, 14));
    t->acl = mem_strdup(result_text(r, 0, 15));
    t->row_security = result_bool(r, 0, 16);
    t->has_toast = result_bool(r, 0, 17);
    t->bytes = result_int(r, 0, 18);
    t->heap_bytes = result_int(r, 0, 19);
    t->estimated_rows = result_int(r, 0, 20);
    t->is_partition = result_bool(r, 0, 21);
    t->is_system = result_bool(r, 0, 22);
    t->session_role = mem_strdup(result_text(r, 0, 23));
    t->owner_is_session = strcmp(t->session_role, t->owner) == 0;
    t->owner_may_be_given = result_bool(r, 0, 24);
    t->may_create_in_schema = result_bool(r, 0, 25);
    t->force_row_security = result_bool(r, 0, 26);
    t->row_security_active = result_bool(r, 0, 27);
}

/* Everything of the table, in the transaction that is open. */
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
        !indexes_read(s, t, err) || !statistics_read(s, t, err) || !grants_read(s, t, err) ||
        !foreign_keys_read(s, t, err) || !dependents_read(s, t, err) ||
        (t->fingerprint = table_fingerprint(s, t->oid, err)) == NULL) {
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

/* The search_path that the role and the database give, for one statement; false leaves the transaction
 * failed. */
static bool
resolve_as_user(struct session *s, const char *typed, struct result *r, struct error *err)
{
    bool own = PQtransactionStatus(session_conn(s)) != PQTRANS_INTRANS;
    bool ok = !own || session_execute(s, err, "BEGIN READ ONLY");

    ok = ok && session_execute(s, err, "SET LOCAL search_path TO DEFAULT") &&
         session_query(s, r, err, sql_catalog_resolve, 1, typed) &&
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
        *oid = (oid_t)result_int(&r, 0, 0);
        *out_schema = mem_strdup(result_text(&r, 0, 1));
        *out_name = mem_strdup(result_text(&r, 0, 2));
    }
    result_free(&r);
    buffer_free(&typed);
    return ok;
}
