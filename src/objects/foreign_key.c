#include "objects/foreign_key.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/name.h"
#include "core/sqlstate.h"
#include "sql/sql.h"
#include "planned.h"
#include "stand_in.h"

#define STAND_IN "pgrecast_table_"
#define STAND_IN_CHANGED "_changed"
#define TAKE_OVER_LOCK_MS                                                                                    \
    200 /* for the locks of all partitions together, and again for the lock of the referenced table */

static char *
stand_in_name(const char *schema, oid_t oid)
{
    return mem_printf("%s." STAND_IN "%u", schema, oid);
}

char *
stand_in_changed_name(const char *schema, oid_t oid)
{
    return mem_printf("%s." STAND_IN "%u" STAND_IN_CHANGED, schema, oid);
}

bool
stand_in_make(struct session *s, const char *name, oid_t oid, bool *made, struct error *err)
{
    struct params p = {0};
    struct result r = {0};
    bool ok;

    params_uint(&p, oid);
    params_text(&p, name);
    ok = session_query_with(s, &r, err, sql_catalog_stand_in, &p);
    *made = ok && result_rows(&r) > 0;
    for (int i = 0; ok && i < result_rows(&r); i++)
        ok = session_execute(s, err, row_text(&r, i, "sql"));
    result_free(&r);
    return ok;
}

char *
stand_in_side(const struct table *source, const char *schema, oid_t oid)
{
    return oid == source->oid ? name_qualified(schema, source->name) : stand_in_name(schema, oid);
}

static char *
add_named(const struct foreign_key *f, const char *name, const char *on, const char *ref, bool valid)
{
    return mem_printf("ALTER TABLE %s ADD CONSTRAINT %s FOREIGN KEY (%s) REFERENCES %s (%s) %s%s", on, name,
                      f->columns, ref, f->ref_columns, f->options, valid ? "" : " NOT VALID");
}

static char *
foreign_key_add_statement(const struct foreign_key *f, const char *on, const char *ref, bool valid)
{
    char *name = name_quoted(f->name);
    char *sql = add_named(f, name, on, ref, valid);

    free(name);
    return sql;
}

static char *
comment_statement(const struct foreign_key *f, const char *on)
{
    struct buffer sql = {0};

    buffer_add_text(&sql, "COMMENT ON CONSTRAINT ");
    buffer_add_identifier(&sql, f->name);
    buffer_printf(&sql, " ON %s IS ", on);
    buffer_add_literal(&sql, f->comment);
    return buffer_take(&sql);
}

static bool
clone_one(struct session *s, const struct table *source, const struct foreign_key *f, const char *schema,
          struct error *err)
{
    char *on = stand_in_side(source, schema, f->on_oid), *ref = stand_in_side(source, schema, f->ref_oid);
    char *add = foreign_key_add_statement(f, on, ref, f->validated);
    char *comment = f->comment != NULL ? comment_statement(f, on) : NULL;
    bool ok = session_execute(s, err, add) && (comment == NULL || session_execute(s, err, comment));

    free(comment);
    free(add);
    free(ref);
    free(on);
    return ok;
}

/* One stand-in for each other table, however many keys there are between the two tables. */
static bool
had_before(const struct table *source, int number)
{
    for (int i = 0; i < number; i++)
        if (source->foreign_keys[i].other_oid == source->foreign_keys[number].other_oid)
            return true;
    return false;
}

bool
foreign_keys_clone(struct session *s, const struct table *source, const char *schema, struct error *err)
{
    bool *made = mem_alloc((size_t)source->foreign_key_count + 1), ok = true;

    for (int i = 0; ok && i < source->foreign_key_count; i++) {
        const struct foreign_key *f = &source->foreign_keys[i];

        made[i] = true;
        if (f->other_oid == 0)
            continue;
        if (!had_before(source, i)) {
            char *name = stand_in_name(schema, f->other_oid);

            ok = stand_in_make(s, name, f->other_oid, &made[i], err);
            free(name);
            continue;
        }
        for (int k = 0; k < i; k++)
            if (source->foreign_keys[k].other_oid == f->other_oid)
                made[i] = made[k];
    }
    for (int i = 0; ok && i < source->foreign_key_count; i++)
        ok = !made[i] || clone_one(s, source, &source->foreign_keys[i], schema, err);
    free(made);
    return ok;
}

static bool
foreign_key_same_key(const struct table *ta, const struct foreign_key *a, const struct table *tb,
                     const struct foreign_key *b)
{
    return name_same(a->name, b->name) && name_same(a->columns, b->columns) &&
           name_same(a->ref_columns, b->ref_columns) && name_same(a->options, b->options) &&
           a->validated == b->validated && name_same(a->comment, b->comment) &&
           (a->on_oid == ta->oid) == (b->on_oid == tb->oid) &&
           (a->ref_oid == ta->oid) == (b->ref_oid == tb->oid);
}

bool
foreign_keys_are_like(const struct table *source, const struct table *clone)
{
    if (source->foreign_key_count != clone->foreign_key_count)
        return false;
    for (int i = 0; i < source->foreign_key_count; i++) {
        bool found = false;

        for (int k = 0; k < clone->foreign_key_count && !found; k++)
            found = foreign_key_same_key(source, &source->foreign_keys[i], clone, &clone->foreign_keys[k]);
        if (!found)
            return false;
    }
    return true;
}

/* The real table that a stand-in, given by its name, replaces. */
static oid_t
real_oid(const char *name)
{
    const char *at = strstr(name, "." STAND_IN);

    return at == NULL ? 0 : (oid_t)strtoul(at + strlen("." STAND_IN), NULL, 10);
}

/* A table's name as the source's keys write it. */
static const char *
known_name(const struct table *source, const struct referenced_list *list, oid_t oid)
{
    for (int i = 0; i < source->foreign_key_count; i++) {
        const struct foreign_key *f = &source->foreign_keys[i];

        if (f->on_oid == oid || f->ref_oid == oid)
            return f->on_oid == oid ? f->on_name : f->ref_name;
    }
    for (int i = 0; list != NULL && i < list->count; i++)
        if (list->items[i].oid == oid)
            return list->items[i].name;
    return NULL;
}

static char
known_kind(const struct table *source, oid_t oid)
{
    for (int i = 0; i < source->foreign_key_count; i++)
        if (source->foreign_keys[i].on_oid == oid)
            return source->foreign_keys[i].on_kind;
    return 'r';
}

/* On the clone the other table is a stand-in, so it is never partitioned, and it is not the table to lock. */
static void
copy_other(const struct table *source, const struct referenced_list *list, struct foreign_key *f)
{
    free(f->lock);
    f->lock = NULL;
    for (int i = 0; i < source->foreign_key_count; i++) {
        const struct foreign_key *like = &source->foreign_keys[i];

        if (like->on_oid != f->on_oid || like->ref_oid != f->ref_oid || strcmp(like->name, f->name) != 0)
            continue;
        list_add_all(&f->leaves, &like->leaves);
        if (like->lock != NULL && f->lock == NULL)
            f->lock = mem_strdup(like->lock);
    }
    for (int i = 0; i < list->count && f->lock == NULL && f->on_oid == source->oid; i++)
        if (list->items[i].oid == f->other_oid && list->items[i].lock != NULL)
            f->lock = mem_strdup(list->items[i].lock);
}

static void
settle_side(const struct table *source, const struct referenced_list *list, const struct table *target,
            oid_t *oid, char **name)
{
    *oid = *oid == target->oid ? source->oid : real_oid(*name);
    free(*name);
    /* a table that has no key yet may refer to itself */
    *name = known_name(source, list, *oid) == NULL ? name_qualified(source->schema, source->name)
                                                   : mem_strdup(known_name(source, list, *oid));
}

void
foreign_keys_settle(const struct table *source, const struct referenced_list *list, struct table *target)
{
    for (int i = 0; i < target->foreign_key_count; i++) {
        struct foreign_key *f = &target->foreign_keys[i];

        f->ref_renamed = strstr(f->ref_name, STAND_IN_CHANGED) != NULL && real_oid(f->ref_name) != 0;
        settle_side(source, list, target, &f->on_oid, &f->on_name);
        settle_side(source, list, target, &f->ref_oid, &f->ref_name);
        f->other_oid = f->on_oid == f->ref_oid ? 0 : f->on_oid == source->oid ? f->ref_oid : f->on_oid;
        f->on_kind = known_kind(source, f->on_oid);
        copy_other(source, list, f);
        free(f->description);
        f->description = mem_printf("foreign key %s of %s to %s", f->name, f->on_name, f->ref_name);
    }
}

/*
 * For each partition that was made since the plan, with the constraint or without: ALTER TABLE … action. A
 * partition normally gets the table's own constraint, but that may not exist at that moment.
 */
static char *
each_new_part(const struct foreign_key *f, bool with, const char *action)
{
    struct buffer sql = {0};

    buffer_add_text(&sql, "DO $pgrecast$ DECLARE part pg_catalog.text; BEGIN FOR part IN "
                          "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM "
                          "pg_catalog.pg_partition_tree(");
    buffer_add_literal(&sql, f->on_name);
    buffer_add_text(&sql, ") t JOIN pg_catalog.pg_class c ON c.oid = t.relid AND c.relkind = 'r' "
                          "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                          "WHERE pg_catalog.format('%I.%I', n.nspname, c.relname) NOT IN (");
    for (int i = 0; i + 1 < f->leaves.count; i += 2) {
        buffer_add_text(&sql, i > 0 ? ", " : "");
        buffer_add_literal(&sql, f->leaves.items[i]);
    }
    buffer_printf(&sql, ") AND %sEXISTS (SELECT FROM pg_catalog.pg_constraint f WHERE f.contype = 'f' AND ",
                  with ? "" : "NOT ");
    if (with) {
        buffer_add_text(&sql, "f.conrelid = c.oid AND f.conparentid = 0");
    } else {
        buffer_add_text(&sql, "f.conrelid IN (c.oid, ");
        buffer_add_literal(&sql, f->on_name);
        buffer_add_text(&sql, "::pg_catalog.regclass)");
    }
    buffer_add_text(&sql, " AND f.conname = ");
    buffer_add_literal(&sql, f->name);
    buffer_add_text(&sql, ") LOOP EXECUTE 'ALTER TABLE ' || part || ");
    buffer_add_literal(&sql, action);
    buffer_add_text(&sql, "; END LOOP; END $pgrecast$");
    return buffer_take(&sql);
}

/*
 * The parts may exist already while the whole does not: see attach_leaves(). Partitions are added and
 * dropped.
 */
static void
detach_leaves(const struct foreign_key *f, const char *name, struct string_list *out)
{
    char *action;

    list_addf(out, "ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s", f->on_name, name);
    for (int i = 0; i + 1 < f->leaves.count; i += 2)
        list_addf(out, "ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %s", f->leaves.items[i],
                  f->leaves.items[i + 1]);
    action = mem_printf(" DROP CONSTRAINT %s", name);
    list_add(out, each_new_part(f, true, action));
    free(action);
}

void
foreign_key_detach(const struct foreign_key *f, struct string_list *out)
{
    char *name = name_quoted(f->name);

    if (f->leaves.count > 0)
        detach_leaves(f, name, out);
    else
        list_addf(out, "ALTER TABLE %s DROP CONSTRAINT %s", f->on_name, name);
    free(name);
}

/*
 * The partitioned table's own key takes over those of its partitions, and reads no row. The server locks the
 * referenced table in SHARE ROW EXCLUSIVE for it, and then, to drop triggers, in ACCESS EXCLUSIVE
 * (tryAttachPartitionForeignKey() in tablecmds.c). A session that has read the table and writes to it between
 * these two locks is ended at once, as a deadlock. So all locks are taken before, each in its strongest mode,
 * and those of the partitions together within a time so short that no session checks for deadlocks meanwhile.
 * Before them a lock that writers do not notice is taken, with a long wait, so that an autovacuum gives way.
 */
static void
add_take_over(struct planned_list *validate, const struct foreign_key *f)
{
    struct buffer sql = {0};
    char *add = foreign_key_add_statement(f, f->on_name, f->ref_name, true);

    buffer_add_text(&sql,
                    "DO $pgrecast$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = ");
    buffer_add_literal(&sql, f->on_name);
    buffer_add_text(&sql, "::pg_catalog.regclass AND conname = ");
    buffer_add_literal(&sql, f->name);
    buffer_printf(&sql,
                  ") THEN RAISE SQLSTATE '" PLANNED_DONE "'; END IF; END $pgrecast$; "
                  "LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE; ",
                  f->ref_name);
    if (f->lock != NULL)
        buffer_printf(&sql, "LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE; ", f->on_name);
    buffer_printf(&sql, "SET LOCAL statement_timeout TO %d; ", TAKE_OVER_LOCK_MS);
    if (f->lock != NULL)
        buffer_printf(&sql, "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE; ", f->on_name);
    buffer_printf(&sql, "LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE; SET LOCAL statement_timeout TO 0; %s",
                  f->ref_name, add);
    planned_add(validate, PLANNED_TAKE_OVER, LOCK_ACCESS_EXCLUSIVE, buffer_take(&sql));
    validate->items[validate->count - 1].by_hand = add;
}

static void
add_validation(struct planned_list *validate, const char *table, const char *name)
{
    planned_add(validate, PLANNED_VALIDATE, LOCK_SHARE_UPDATE_EXCLUSIVE,
                mem_printf("ALTER TABLE %s VALIDATE CONSTRAINT %s", table, name));
}

/* A partitioned table does not accept it NOT VALID, but each partition does, and is validated by itself. */
static void
attach_leaves(const struct foreign_key *f, struct planned_list *out, struct planned_list *validate)
{
    char *name = name_quoted(f->name), *add;

    for (int i = 0; i + 1 < f->leaves.count; i += 2) {
        char *leaf = mem_printf("IF EXISTS %s", f->leaves.items[i]);

        planned_add(out, PLANNED_ATTACH, LOCK_NONE,
                    add_named(f, f->leaves.items[i + 1], leaf, f->ref_name, false));
        free(leaf);
        add_validation(validate, f->leaves.items[i], f->leaves.items[i + 1]);
    }
    add = add_named(f, name, "", f->ref_name, false);
    planned_add(out, PLANNED_ATTACH, LOCK_NONE, each_new_part(f, false, add + strlen("ALTER TABLE ")));
    planned_add(validate, PLANNED_EACH_PART, LOCK_SHARE_ROW_EXCLUSIVE,
                each_new_part(f, false, add + strlen("ALTER TABLE ")));
    free(add);
    add = mem_printf(" VALIDATE CONSTRAINT %s", name);
    planned_add(validate, PLANNED_EACH_PART, LOCK_SHARE_UPDATE_EXCLUSIVE, each_new_part(f, true, add));
    free(add);
    free(name);
    add_take_over(validate, f);
    if (f->comment != NULL)
        planned_add(validate, PLANNED_COMMENT, LOCK_SHARE_UPDATE_EXCLUSIVE, comment_statement(f, f->on_name));
}

static void
attach_whole(const struct foreign_key *f, struct planned_list *out, struct planned_list *validate)
{
    char *name = name_quoted(f->name);

    planned_add(out, PLANNED_ATTACH, LOCK_NONE, foreign_key_add_statement(f, f->on_name, f->ref_name, false));
    if (f->comment != NULL)
        planned_add(out, PLANNED_ATTACH, LOCK_NONE, comment_statement(f, f->on_name));
    if (f->validated)
        add_validation(validate, f->on_name, name);
    free(name);
}

void
foreign_key_attach(const struct foreign_key *f, const char *ref_columns, struct planned_list *out,
                   struct planned_list *validate)
{
    struct foreign_key there = *f;

    if (ref_columns != NULL)
        there.ref_columns = (char *)ref_columns; /* only read */
    if (f->leaves.count > 0)
        attach_leaves(&there, out, validate);
    else
        attach_whole(&there, out, validate);
}

/* The real name is normally not longer; otherwise the text is left as it is. */
static void
name_real(oid_t oid, const char *real, char *text)
{
    char *stand_in = mem_printf(STAND_IN "%u", oid), *at;

    while (real != NULL && strlen(real) <= strlen(stand_in) && (at = strstr(text, stand_in)) != NULL) {
        const char *rest = at + strlen(stand_in);

        if (strncmp(rest, STAND_IN_CHANGED, strlen(STAND_IN_CHANGED)) == 0)
            rest += strlen(STAND_IN_CHANGED);
        memcpy(at, real, strlen(real));
        memmove(at + strlen(real), rest, strlen(rest) + 1);
    }
    free(stand_in);
}

void
foreign_keys_blame(const struct table *source, const struct referenced_list *list, char *text)
{
    for (int i = 0; text != NULL && i < source->foreign_key_count; i++)
        if (source->foreign_keys[i].other_oid != 0)
            name_real(source->foreign_keys[i].other_oid,
                      known_name(source, NULL, source->foreign_keys[i].other_oid), text);
    for (int i = 0; text != NULL && i < list->count; i++)
        name_real(list->items[i].oid, list->items[i].name, text);
}
