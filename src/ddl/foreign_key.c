#include "ddl/foreign_key.h"

#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "core/list.h"
#include "ddl/names.h"
#include "sql/sql.h"

#define STAND_IN "pgrecast_table_"
#define TAKE_OVER_LOCK_MS                                                                                    \
    200 /* for the locks of all partitions, and again for that of the referenced table */

static char *
stand_in_name(const char *schema, oid_t oid)
{
    return mem_printf("%s." STAND_IN "%u", schema, oid);
}

/* False in *made where there is no such table any more. */
static bool
make_stand_in(struct session *s, const char *schema, oid_t oid, bool *made, struct error *err)
{
    char *name = stand_in_name(schema, oid), text[16];
    struct result r = {0};
    bool ok;

    snprintf(text, sizeof(text), "%u", oid);
    ok = session_query(s, &r, err, sql_catalog_stand_in, 2, text, name);
    *made = ok && result_rows(&r) > 0;
    for (int i = 0; ok && i < result_rows(&r); i++)
        ok = session_execute(s, err, result_text(&r, i, 1));
    result_free(&r);
    free(name);
    return ok;
}

/* The name that one side has: a real table's, or its stand-in's. */
static char *
side_on_clone(const struct table *source, const char *schema, oid_t oid)
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
add_statement(const struct foreign_key *f, const char *on, const char *ref, bool valid)
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
    char *on = side_on_clone(source, schema, f->on_oid), *ref = side_on_clone(source, schema, f->ref_oid);
    char *add = add_statement(f, on, ref, f->validated);
    char *comment = f->comment != NULL ? comment_statement(f, on) : NULL;
    bool ok = session_execute(s, err, add) && (comment == NULL || session_execute(s, err, comment));

    free(comment);
    free(add);
    free(ref);
    free(on);
    return ok;
}

/* One stand-in for each other table, however many keys there are between the two. */
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
            ok = make_stand_in(s, schema, f->other_oid, &made[i], err);
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
same_key(const struct table *ta, const struct foreign_key *a, const struct table *tb,
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
            found = same_key(source, &source->foreign_keys[i], clone, &clone->foreign_keys[k]);
        if (!found)
            return false;
    }
    return true;
}

/* The real table that a stand-in, by its name, stands for. */
static oid_t
real_oid(const char *name)
{
    const char *at = strstr(name, "." STAND_IN);

    return at == NULL ? 0 : (oid_t)strtoul(at + strlen("." STAND_IN), NULL, 10);
}

/* A table's name as the source's keys have it. */
static const char *
known_name(const struct table *source, oid_t oid)
{
    for (int i = 0; i < source->foreign_key_count; i++) {
        const struct foreign_key *f = &source->foreign_keys[i];

        if (f->on_oid == oid || f->ref_oid == oid)
            return f->on_oid == oid ? f->on_name : f->ref_name;
    }
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

/* On the clone the other table is a stand-in: never a partitioned one, and not what is to be locked. */
static void
copy_other(const struct table *source, struct foreign_key *f)
{
    free(f->lock);
    f->lock = NULL;
    for (int i = 0; i < source->foreign_key_count; i++) {
        const struct foreign_key *like = &source->foreign_keys[i];

        if (like->on_oid != f->on_oid || strcmp(like->name, f->name) != 0)
            continue;
        list_add_all(&f->leaves, &like->leaves);
        if (like->lock != NULL && f->lock == NULL)
            f->lock = mem_strdup(like->lock);
    }
}

static void
settle_side(const struct table *source, const struct table *target, oid_t *oid, char **name)
{
    *oid = *oid == target->oid ? source->oid : real_oid(*name);
    free(*name);
    *name = mem_strdup(known_name(source, *oid));
}

void
foreign_keys_settle(const struct table *source, struct table *target)
{
    for (int i = 0; i < target->foreign_key_count; i++) {
        struct foreign_key *f = &target->foreign_keys[i];

        settle_side(source, target, &f->on_oid, &f->on_name);
        settle_side(source, target, &f->ref_oid, &f->ref_name);
        f->other_oid = f->on_oid == f->ref_oid ? 0 : f->on_oid == source->oid ? f->ref_oid : f->on_oid;
        f->on_kind = known_kind(source, f->on_oid);
        copy_other(source, f);
        free(f->description);
        f->description = mem_printf("foreign key %s of %s to %s", f->name, f->on_name, f->ref_name);
    }
}

/*
 * For each partition that was made since the plan, with the constraint or without: ALTER TABLE … action. The
 * table's own constraint, which would have come with the partition, may be away just then.
 */
static char *
each_new_part(const struct foreign_key *f, bool with, const char *action)
{
    struct buffer sql = {0};

    buffer_add_text(&sql, PLAN_EACH_PART "DECLARE part pg_catalog.text; BEGIN FOR part IN "
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

/* The parts may be there already while the whole is not: see attach_leaves(). Partitions come and go. */
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
 * The partitioned table's own key takes over those of its partitions, and looks at no row. The server locks
 * the referenced table in SHARE ROW EXCLUSIVE for it, and then, to drop triggers, in ACCESS EXCLUSIVE
 * (tryAttachPartitionForeignKey() in tablecmds.c): who has read the table and comes to write it in between is
 * ended at once, as a deadlock. So all locks are taken before, each in its strongest mode, those of the
 * partitions together within a time in which nobody looks for deadlocks. And before them, with patience, one
 * that writers do not feel, so that an autovacuum gives way.
 */
static char *
take_over_statement(const struct foreign_key *f)
{
    struct buffer sql = {0};
    char *add = add_statement(f, f->on_name, f->ref_name, true);

    buffer_add_text(&sql,
                    PLAN_LOCKS "BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = ");
    buffer_add_literal(&sql, f->on_name);
    buffer_add_text(&sql, "::pg_catalog.regclass AND conname = ");
    buffer_add_literal(&sql, f->name);
    buffer_printf(&sql,
                  ") THEN RAISE duplicate_object; END IF; END $pgrecast_key$; "
                  "LOCK TABLE ONLY %s IN SHARE UPDATE EXCLUSIVE MODE; ",
                  f->ref_name);
    if (f->lock != NULL)
        buffer_printf(&sql, "LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE; ", f->on_name);
    buffer_printf(&sql, "SET LOCAL statement_timeout TO %d; ", TAKE_OVER_LOCK_MS);
    if (f->lock != NULL)
        buffer_printf(&sql, "LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE; ", f->on_name);
    buffer_printf(&sql, "LOCK TABLE ONLY %s IN ACCESS EXCLUSIVE MODE; " PLAN_LOCKED "%s", f->ref_name, add);
    free(add);
    return buffer_take(&sql);
}

/* A partitioned table does not take it NOT VALID, but each partition does, and is validated by itself. */
static void
attach_leaves(const struct foreign_key *f, struct string_list *out, struct string_list *validate)
{
    char *name = name_quoted(f->name), *add;

    for (int i = 0; i + 1 < f->leaves.count; i += 2) {
        char *leaf = mem_printf("IF EXISTS %s", f->leaves.items[i]);

        list_add(out, add_named(f, f->leaves.items[i + 1], leaf, f->ref_name, false));
        free(leaf);
        list_addf(validate, "ALTER TABLE %s VALIDATE CONSTRAINT %s", f->leaves.items[i],
                  f->leaves.items[i + 1]);
    }
    add = add_named(f, name, "", f->ref_name, false);
    list_add(out, each_new_part(f, false, add + strlen("ALTER TABLE ")));
    list_add(validate, each_new_part(f, false, add + strlen("ALTER TABLE ")));
    free(add);
    add = mem_printf(" VALIDATE CONSTRAINT %s", name);
    list_add(validate, each_new_part(f, true, add));
    free(add);
    free(name);
    list_add(validate, take_over_statement(f));
    if (f->comment != NULL)
        list_add(validate, comment_statement(f, f->on_name));
}

static void
attach_whole(const struct foreign_key *f, struct string_list *out, struct string_list *validate)
{
    char *name = name_quoted(f->name);

    list_add(out, add_statement(f, f->on_name, f->ref_name, false));
    if (f->comment != NULL)
        list_add(out, comment_statement(f, f->on_name));
    if (f->validated)
        list_addf(validate, "ALTER TABLE %s VALIDATE CONSTRAINT %s", f->on_name, name);
    free(name);
}

void
foreign_key_attach(const struct foreign_key *f, const char *ref_columns, struct string_list *out,
                   struct string_list *validate)
{
    struct foreign_key there = *f;

    if (ref_columns != NULL)
        there.ref_columns = (char *)ref_columns; /* only read */
    if (f->leaves.count > 0)
        attach_leaves(&there, out, validate);
    else
        attach_whole(&there, out, validate);
}

void
foreign_keys_blame(const struct table *source, char *text)
{
    for (int i = 0; text != NULL && i < source->foreign_key_count; i++) {
        const struct foreign_key *f = &source->foreign_keys[i];
        const char *real = f->other_oid != 0 ? known_name(source, f->other_oid) : NULL;
        char *stand_in = mem_printf(STAND_IN "%u", f->other_oid), *at;

        /* the real name is not longer, or the text is left alone */
        while (real != NULL && strlen(real) <= strlen(stand_in) && (at = strstr(text, stand_in)) != NULL) {
            memcpy(at, real, strlen(real));
            memmove(at + strlen(real), at + strlen(stand_in), strlen(at + strlen(stand_in)) + 1);
        }
        free(stand_in);
    }
}
