/* The user's SQL: what is taken, redirected and refused, and where an error is. */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/list.h"
#include "core/mem.h"
#include "parse/directive.h"
#include "parse/statement.h"

static void
parse(struct statement_list *list, const char *sql)
{
    struct error err = {0};

    if (!statements_parse(sql, "scratch", list, &err))
        fail_msg("%s: %s", sql, err.message);
}

static void
refuse(const char *sql, enum error_kind kind, const char *message, const char *detail)
{
    struct statement_list list;
    struct error err = {0};

    assert_false(statements_parse(sql, "scratch", &list, &err));
    assert_int_equal(err.kind, kind);
    assert_string_equal(err.message, message);
    if (detail != NULL)
        assert_string_equal(err.detail, detail);
    error_clear(&err);
}

static void
test_the_table_is_redirected_and_nothing_else(void **state)
{
    static const char *const cases[][2] = {
        {"ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE \"scratch\".\"t\" ALTER a TYPE bigint"},
        {"alter table public.\"T x\" * add b int", "alter table \"scratch\".\"T x\" * add b int"},
        {" /* t */ ALTER TABLE IF EXISTS\n t -- t\n DROP t ; ",
         "ALTER TABLE IF EXISTS\n \"scratch\".\"t\" -- t\n DROP t"},
        {"ALTER TABLE s.t ADD CHECK (s.t.a > t.b)", "ALTER TABLE \"scratch\".\"t\" ADD CHECK (t.a > t.b)"},
        {"ALTER TABLE é ADD CHECK (x.é.a > 0)", "ALTER TABLE \"scratch\".\"é\" ADD CHECK (é.a > 0)"},
        {"CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "CREATE UNIQUE INDEX  i ON \"scratch\".\"t\" (a)"},
        {"DROP INDEX CONCURRENTLY IF EXISTS s.i, j CASCADE",
         "DROP INDEX IF EXISTS \"scratch\".\"i\", \"scratch\".\"j\" CASCADE"},
        {"ALTER INDEX s.i RENAME TO j", "ALTER INDEX \"scratch\".\"i\" RENAME TO j"},
        {"ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES t, ADD b int REFERENCES s.t (t) ON DELETE CASCADE",
         "ALTER TABLE \"scratch\".\"t\" ADD FOREIGN KEY (a) REFERENCES \"scratch\".\"t\", ADD b int "
         "REFERENCES "
         "\"scratch\".\"pgrecast_referenced_0000\" (t) ON DELETE CASCADE"},
        {"ALTER TABLE t RENAME COLUMN t TO u", "ALTER TABLE \"scratch\".\"t\" RENAME COLUMN t TO u"},
        {"COMMENT ON COLUMN s.t.c IS 'it''s'", "COMMENT ON COLUMN \"scratch\".\"t\".\"c\" IS 'it''s'"},
        {"COMMENT ON CONSTRAINT c ON t IS NULL", "COMMENT ON CONSTRAINT \"c\" ON \"scratch\".\"t\" IS NULL"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct statement_list list;

        parse(&list, cases[i][0]);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.items[0].sql, cases[i][1]);
        statements_free(&list);
    }
}

static void
test_clauses_are_told_apart(void **state)
{
    struct statement_list list;
    const struct statement *s;

    (void)state;
    parse(
        &list,
        "ALTER TABLE t ALTER a TYPE numeric(10, 2) USING round(a, 2), /* , */ ADD b text DEFAULT 'x, y', "
        "ADD EXCLUDE USING gist (c WITH &&, d WITH =), ALTER e TYPE date USING 'x', ALTER i RESTART WITH 5");
    s = &list.items[0];
    assert_int_equal(s->clause_count, 5);
    assert_string_equal(s->clauses[0].text, "ALTER a TYPE numeric(10, 2) USING round(a, 2)");
    assert_string_equal(s->clauses[0].column, "a");
    assert_string_equal(s->clauses[0].using_expr, "round(a, 2)");
    assert_false(s->clauses[0].using_literal);
    assert_string_equal(s->clauses[1].sql, "ALTER TABLE \"scratch\".\"t\" ADD b text DEFAULT 'x, y'");
    assert_false(s->clauses[2].has_using);
    assert_true(s->clauses[3].using_literal);
    assert_true(s->clauses[4].restarts);
    statements_free(&list);
}

/* libpg_query has functions of its own that are called like some of this program's: list_free() is one. */
static void
test_the_parser_uses_its_own_functions(void **state)
{
    struct statement_list list;

    (void)state;
    parse(&list, "ALTER TABLE t ADD b text COLLATE \"C\"");
    assert_string_equal(list.items[0].clauses[0].text, "ADD b text COLLATE \"C\"");
    statements_free(&list);
}

static void
test_a_using_names_its_columns(void **state)
{
    struct statement_list list;
    const struct clause *clause;

    (void)state;
    parse(&list,
          "ALTER TABLE s.t ALTER a TYPE text USING CASE WHEN b > 0 THEN f(t.c) ELSE s.t.d[e] || a END");
    clause = &list.items[0].clauses[0];
    assert_int_equal(clause->using_columns.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(list_has(&clause->using_columns, ((const char *const[]){"a", "b", "c", "d", "e"})[i]));
    assert_false(clause->using_row);
    assert_string_equal(clause->using_expr, "CASE WHEN b > 0 THEN f(t.c) ELSE t.d[e] || a END");
    statements_free(&list);
    parse(&list, "ALTER TABLE t ALTER a TYPE text USING (t.*)::text");
    assert_true(list.items[0].clauses[0].using_row);
    statements_free(&list);
}

static void
test_what_cannot_be_done_is_refused_by_name(void **state)
{
    (void)state;
    refuse("SELECT 1", ERROR_USAGE,
           "only ALTER TABLE, CREATE INDEX, ALTER INDEX, DROP INDEX, ALTER SEQUENCE and COMMENT can be done: "
           "\"SELECT 1\"",
           NULL);
    refuse("", ERROR_USAGE, "there is no statement in the SQL", NULL);
    refuse("ALTER VIEW v ALTER a SET DEFAULT 1", ERROR_USAGE,
           "not a statement on a table: \"ALTER VIEW v ALTER a SET DEFAULT 1\"", NULL);
    refuse("ALTER TABLE d.s.t ADD a int", ERROR_USAGE, "a name with a database in it: \"d.s.t\"", NULL);
    refuse("ALTER TABLE t RENAME TO u", ERROR_REFUSED,
           "cannot do \"ALTER TABLE t RENAME TO u\": renaming the table is not part of a rewrite", NULL);
    refuse("ALTER TABLE t SET SCHEMA s", ERROR_REFUSED,
           "cannot do \"ALTER TABLE t SET SCHEMA s\": moving to another schema is not part of a rewrite",
           NULL);
    refuse("ALTER TABLE t ADD a int REFERENCES d.s.o", ERROR_USAGE, "a name with a database in it: \"d.s.o\"",
           NULL);
    refuse("ALTER TABLE t ADD b int, DISABLE TRIGGER x", ERROR_REFUSED,
           "cannot do \"DISABLE TRIGGER x\": it changes the catalog only", NULL);
    refuse("ALTER TABLE t OWNER TO o", ERROR_REFUSED, "cannot do \"OWNER TO o\": it changes the catalog only",
           NULL);
}

static void
test_a_syntax_error_is_pointed_at(void **state)
{
    (void)state;
    refuse("ALTER TABLE t ALTER a TPE int", ERROR_USAGE, "syntax error at or near \"TPE\"",
           "line 1, column 23:\nALTER TABLE t ALTER a TPE int\n                      ^");
    refuse("ALTER TABLE t\n  ALTER \"é\" TPE int,\n  ADD x int", ERROR_USAGE,
           "syntax error at or near \"TPE\"", "line 2, column 13:\n  ALTER \"é\" TPE int,\n            ^");
}

static void
test_a_typed_name_is_read_as_sql_reads_it(void **state)
{
    struct typed_name name = {0};
    struct error err = {0};

    (void)state;
    assert_true(typed_name_parse("Public.\"T.x\"", &name, &err));
    assert_string_equal(name.schema, "public");
    assert_string_equal(name.name, "T.x");
    typed_name_free(&name);
    assert_false(typed_name_parse("t WHERE true", &name, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    error_clear(&err);
    assert_false(typed_name_parse("t; DROP TABLE t", &name, &err));
    error_clear(&err);
}

static void
test_what_surrounds_a_migration_is_passed_over(void **state)
{
    struct statement_list list;

    (void)state;
    parse(&list, "\\set ON_ERROR_STOP on\n"
                 "BEGIN;\n"
                 "SET LOCAL lock_timeout = '5s'; SET statement_timeout TO 0;\n"
                 "  \\echo it's on\n"
                 "SET CONSTRAINTS \"fk\" IMMEDIATE;\n"
                 "ALTER TABLE t ADD a text DEFAULT 'a\n\\echo b';--> statement-breakpoint\n"
                 "RESET lock_timeout; COMMIT;\n");
    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].sql, "ALTER TABLE \"scratch\".\"t\" ADD a text DEFAULT 'a\n\\echo b'");
    assert_int_equal(list.ignored.count, 6);
    assert_string_equal(list.ignored.items[1], "SET LOCAL lock_timeout = '5s'");
    assert_null(list.search_path);
    statements_free(&list);
}

static void
test_a_backfill_is_a_change_of_type(void **state)
{
    struct statement_list list;
    const struct statement *s;

    (void)state;
    parse(&list, "ALTER TABLE s.t ADD a numeric(10, 2) NOT NULL COLLATE \"C\" DEFAULT 0, ADD b text[];\n"
                 "UPDATE s.t SET b = ARRAY[c, s.t.d], a = coalesce(e, 0)");
    assert_int_equal(list.count, 2);
    s = &list.items[1];
    assert_int_equal(s->kind, STATEMENT_BACKFILL);
    assert_string_equal(s->sql,
                        "ALTER TABLE \"scratch\".\"t\" ALTER COLUMN \"b\" TYPE text[] USING (ARRAY[c, t.d]), "
                        "ALTER COLUMN \"a\" TYPE numeric(10, 2) COLLATE \"C\" USING (coalesce(e, 0))");
    assert_int_equal(s->clause_count, 2);
    assert_string_equal(s->clauses[1].using_expr, "coalesce(e, 0)");
    assert_true(list_has(&s->clauses[0].using_columns, "d"));
    statements_free(&list);
}

static void
test_what_is_no_backfill_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"UPDATE t SET a = 1", "the statements before it do not add the column"},
        {"ALTER TABLE t ADD a int; UPDATE u SET a = 1", "the statements before it do not add the column"},
        {"ALTER TABLE t ADD a int, ALTER a TYPE text; UPDATE t SET a = 1",
         "the statements before it do not add the column"},
        {"ALTER TABLE t ADD a int; UPDATE t SET a = 1 WHERE b > 0", "it has a condition"},
        {"ALTER TABLE t ADD a int; UPDATE t SET a = u.b FROM u", "it reads other tables"},
        {"ALTER TABLE t ADD a int; UPDATE t AS x SET a = 1", "it has more than SET"},
        {"ALTER TABLE t ADD a int[]; UPDATE t SET a[1] = 1", "it sets a part of a column"},
        {"ALTER TABLE t ADD a int; UPDATE t SET (a, b) = (SELECT 1, 2)", "it sets several columns at once"},
        {"ALTER TABLE t ADD a int; UPDATE t SET a = DEFAULT",
         "it sets a default, which the column has already"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *update = strstr(cases[i][0], "UPDATE");
        char message[200];

        snprintf(message, sizeof(message), "cannot do \"%s\": %s", update, cases[i][1]);
        refuse(cases[i][0], ERROR_USAGE, message, NULL);
    }
}

static void
test_a_search_path_is_read(void **state)
{
    static const char *const cases[][2] = {
        {"SET search_path = app, \"My Schema\"; ALTER TABLE t ADD a int", "\"app\", \"My Schema\""},
        {"SET LOCAL search_path TO 'a, b'; ALTER TABLE t ADD a int", "\"a, b\""},
        {"SELECT pg_catalog.set_config('search_path', '', false); ALTER TABLE s.t ADD a int", ""},
        {"select set_config('search_path', 'a, b', true); ALTER TABLE t ADD a int; SET search_path = 'x'",
         NULL},
        {"SET search_path = x; ALTER TABLE t ADD a int; SET search_path = x", "\"x\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct statement_list list;

        if (cases[i][1] == NULL) {
            refuse(cases[i][0], ERROR_USAGE,
                   "cannot do \"SET search_path = 'x'\": the search_path changes between the statements",
                   NULL);
            continue;
        }
        parse(&list, cases[i][0]);
        assert_int_equal(list.count, 1);
        assert_string_equal(list.search_path, cases[i][1]);
        statements_free(&list);
    }
}

static void
test_what_cannot_be_passed_over_is_refused_with_its_place(void **state)
{
    (void)state;
    refuse("BEGIN;\nALTER TABLE t ADD a int;\n  ROLLBACK;", ERROR_USAGE,
           "cannot do \"ROLLBACK\": of transactions, only BEGIN and COMMIT are read",
           "line 3, column 3:\n  ROLLBACK;\n  ^");
    refuse("SET datestyle = 'dmy'; ALTER TABLE t ADD a int", ERROR_USAGE,
           "cannot do \"SET datestyle = 'dmy'\": of settings, only timeouts and the search_path are read",
           "line 1, column 1:\nSET datestyle = 'dmy'; ALTER TABLE t ADD a int\n^");
    refuse("ALTER TABLE t ADD a int;\n\\i more.sql\n", ERROR_USAGE,
           "cannot do \"\\i more.sql\": a command of psql that can change the SQL",
           "line 2, column 1:\n\\i more.sql\n^");
    refuse("BEGIN; COMMIT", ERROR_USAGE, "there is no statement on a table in the SQL", NULL);
    refuse("SELECT set_config('work_mem', '1GB', false)", ERROR_USAGE,
           "only ALTER TABLE, CREATE INDEX, ALTER INDEX, DROP INDEX, ALTER SEQUENCE and COMMENT can be done: "
           "\"SELECT set_config('work_mem', '1GB', false)\"",
           NULL);
}

/* A row as "column=sql, …"; the caller frees it. */
static char *
row_text_of(const struct history_row *row)
{
    struct buffer text = {0};

    buffer_add(&text, "", 0);
    for (int i = 0; i < row->count; i++)
        buffer_printf(&text, "%s%s=%s", i > 0 ? ", " : "", row->items[i].column, row->items[i].sql);
    return buffer_take(&text);
}

static void
test_what_a_migration_tool_notes_is_read(void **state)
{
    static const struct {
        const char *sql;
        enum history_kind kind;
        int rows;
        const char *row, *where;
    } cases[] = {
        {"INSERT INTO s.h (a, b, c) VALUES ('it''s', -7, NULL), (true, 1.50, 'x'::text) RETURNING a",
         HISTORY_INSERT, 2, "a='it''s', b=-7, c=NULL", ""},
        {"insert into h (a, at, t) values ('2'::timestamp, now(), current_timestamp)", HISTORY_INSERT, 1,
         "a=CAST('2' AS \"pg_catalog\".\"timestamp\"), at=pg_catalog.now(), t=pg_catalog.now()", ""},
        {"UPDATE h SET v = 'b' WHERE h.v = 'a' AND 3 = n", HISTORY_UPDATE, 1, "v='b'", "v='a', n=3"},
        {"DELETE FROM h WHERE (v = 'a')", HISTORY_DELETE, 0, NULL, "v='a'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *sql = mem_printf("ALTER TABLE t ADD a int; %s", cases[i].sql);
        struct statement_list list;
        const struct history_change *c;
        char *text;

        parse(&list, sql);
        assert_int_equal(list.count, 1);
        assert_int_equal(list.history.count, 1);
        c = &list.history.items[0];
        assert_int_equal(c->kind, cases[i].kind);
        assert_string_equal(c->text, cases[i].sql);
        assert_string_equal(c->table.name, "h");
        assert_int_equal(c->row_count, cases[i].rows);
        if (cases[i].row != NULL) {
            text = row_text_of(&c->rows[0]);
            assert_string_equal(text, cases[i].row);
            free(text);
        }
        text = row_text_of(&c->where);
        assert_string_equal(text, cases[i].where);
        free(text);
        statements_free(&list);
        free(sql);
    }
}

static void
test_what_has_no_inverse_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"INSERT INTO h VALUES (1)", "it does not name its columns"},
        {"INSERT INTO h (a) SELECT 1", "it has more than VALUES"},
        {"INSERT INTO h (a) VALUES (1) ON CONFLICT DO NOTHING", "it has more than VALUES"},
        {"INSERT INTO h (a, b) VALUES (1)", "it does not have a value for each column"},
        {"INSERT INTO h (a) VALUES (random())", "it has values that are no constants"},
        {"INSERT INTO h (a) VALUES ('x'::varchar(3))", "it has values that are no constants"},
        {"INSERT INTO h AS k (a) VALUES (1)", "it gives the table another name"},
        {"UPDATE h SET a = 2 WHERE b = 1", "its conditions do not say which values it replaces"},
        {"UPDATE h SET a = a + 1 WHERE a = 1", "it has values that are no constants"},
        {"UPDATE h SET a = 2 FROM k WHERE a = 1", "it reads other tables"},
        {"UPDATE h SET a = 2 WHERE a = 1 OR a = 3",
         "its conditions are not all of the form column = constant"},
        {"UPDATE h SET a = 2 WHERE a > 1", "its conditions are not all of the form column = constant"},
        {"DELETE FROM h WHERE a = NULL", "its conditions are not all of the form column = constant"},
        {"DELETE FROM h USING k WHERE a = 1", "it reads other tables"},
        {"DELETE FROM h", "its conditions are not all of the form column = constant"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *sql = mem_printf("ALTER TABLE t ADD a int; %s", cases[i][0]);
        char *message = mem_printf("cannot do \"%s\": %s", cases[i][0], cases[i][1]);

        refuse(sql, ERROR_USAGE, message, NULL);
        free(message);
        free(sql);
    }
}

static void
test_directives_are_read(void **state)
{
    static const char sql[] = "\\set a 1\n--  pgrecast: a=1  b\tc='x '' y' d=''\r\nSELECT '\n-- pgrecast: "
                              "no', $$\n-- pgrecast: no\n$$"
                              " /* pgrecast: no */ -- not pgrecast: no\n--pgrecast:e=f=g";
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    static const char *const values[] = {"1", NULL, "x ' y", "", "f=g"};
    struct directive_list list = {0};
    struct error err = {0};

    (void)state;
    assert_ok(directives_read(sql, &list, &err), &err);
    assert_int_equal(list.count, 5);
    for (int i = 0; i < list.count; i++) {
        assert_string_equal(list.items[i].name, names[i]);
        if (values[i] == NULL)
            assert_null(list.items[i].value);
        else
            assert_string_equal(list.items[i].value, values[i]);
        assert_memory_equal(sql + list.items[i].byte, names[i], 1);
    }
    directives_free(&list);
    assert_false(directives_read("SELECT 1;\n -- pgrecast: a='x\n", &list, &err));
    assert_int_equal(err.kind, ERROR_USAGE);
    assert_string_equal(err.message, "the value of \"a\" has no closing quote");
    assert_string_equal(err.detail, "line 2, column 15:\n -- pgrecast: a='x\n              ^");
    error_clear(&err);
    directives_free(&list);
    assert_ok(directives_read("SELECT 'open\n-- pgrecast: a", &list, &err), &err);
    assert_int_equal(list.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_table_is_redirected_and_nothing_else),
        cmocka_unit_test(test_clauses_are_told_apart),
        cmocka_unit_test(test_the_parser_uses_its_own_functions),
        cmocka_unit_test(test_a_using_names_its_columns),
        cmocka_unit_test(test_what_cannot_be_done_is_refused_by_name),
        cmocka_unit_test(test_a_syntax_error_is_pointed_at),
        cmocka_unit_test(test_a_typed_name_is_read_as_sql_reads_it),
        cmocka_unit_test(test_what_surrounds_a_migration_is_passed_over),
        cmocka_unit_test(test_a_backfill_is_a_change_of_type),
        cmocka_unit_test(test_what_is_no_backfill_is_refused),
        cmocka_unit_test(test_a_search_path_is_read),
        cmocka_unit_test(test_what_cannot_be_passed_over_is_refused_with_its_place),
        cmocka_unit_test(test_what_a_migration_tool_notes_is_read),
        cmocka_unit_test(test_what_has_no_inverse_is_refused),
        cmocka_unit_test(test_directives_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
