/* How planned swaps are changed by what others change during a job (src/objects/swap_job.c). */
#include "support.h"

#include <stdlib.h>

#include "core/mem.h"
#include "objects/swap_job.h"
#include "planned.h"

/* A job of one table, t, with a column a, whose swaps have one statement of each kind. */
struct fixture {
    struct column columns[1];
    struct grant grants[1];
    struct table original, made;
    struct plan forward, back, again;
    struct plan_table tables[1];
    struct plan_swap swaps[3];
    struct plan_set set;
};

static struct plan
plan_of(struct table *source, struct table *target, const char *old)
{
    return (struct plan){
        .source = source, .target = target, .names = {.source_sql = (char *)"s.t", .old_sql = (char *)old}};
}

static void
begin(struct fixture *f)
{
    static const enum planned_kind kinds[] = {PLANNED_DETACH, PLANNED_EXCHANGE, PLANNED_PRIVILEGES,
                                              PLANNED_ATTACH};
    static const char *const texts[] = {"detach", "exchange", "privileges", "attach"};

    *f = (struct fixture){.columns = {{.name = (char *)"a", .attnum = 1}}};
    f->original = (struct table){.schema = (char *)"s",
                                 .name = (char *)"t",
                                 .owner = (char *)"o",
                                 .column_count = 1,
                                 .columns = mem_alloc(sizeof(struct column))};
    f->made = f->original;
    f->made.columns = mem_alloc(sizeof(struct column));
    *f->original.columns = *f->made.columns = f->columns[0];
    f->forward = plan_of(&f->original, &f->made, "s.t_old");
    f->back = plan_of(&f->made, &f->original, "s.t_new");
    f->again = plan_of(&f->original, &f->made, "s.t_old");
    f->tables[0] = (struct plan_table){.forward = &f->forward, .back = &f->back, .again = &f->again};
    f->set = (struct plan_set){.table_count = 1,
                               .tables = f->tables,
                               .cutover = &f->swaps[0],
                               .rollback = &f->swaps[1],
                               .cutover_again = &f->swaps[2]};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
            planned_add(&f->swaps[i].statements, kinds[k], LOCK_NONE, mem_strdup(texts[k]));
}

static void
list_clear(struct planned_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->items[i].sql);
    free(list->items);
}

static void
end(struct fixture *f)
{
    struct table *tables[] = {&f->original, &f->made};
    static const struct grant_list none;

    for (int i = 0; i < 3; i++) {
        list_clear(&f->swaps[i].statements);
        list_clear(&f->swaps[i].locks);
        list_free(&f->swaps[i].locked);
    }
    for (int i = 0; i < 2; i++) {
        grant_list_copy(&tables[i]->grants, &none);
        grant_list_copy(&tables[i]->columns[0].grants, &none);
        free(tables[i]->grants.items);
        free(tables[i]->columns[0].grants.items);
        free(tables[i]->columns);
        for (int k = 0; k < tables[i]->dependent_count; k++) {
            free(tables[i]->dependents[k].kind);
            free(tables[i]->dependents[k].description);
            list_free(&tables[i]->dependents[k].lock);
            list_free(&tables[i]->dependents[k].detach);
            list_free(&tables[i]->dependents[k].attach);
            list_free(&tables[i]->dependents[k].replace);
        }
        free(tables[i]->dependents);
    }
}

static void
assert_list(const struct planned_list *list, const char *expected)
{
    struct buffer text = {0};

    for (int i = 0; i < list->count; i++)
        buffer_printf(&text, "%s%s", i > 0 ? "; " : "", list->items[i].sql);
    assert_string_equal(text.data != NULL ? text.data : "", expected);
    buffer_free(&text);
}

static void
assert_swaps(const struct fixture *f, const char *cutover, const char *rollback, const char *again)
{
    assert_list(&f->swaps[0].statements, cutover);
    assert_list(&f->swaps[1].statements, rollback);
    assert_list(&f->swaps[2].statements, again);
}

static const char *const as_planned = "detach; exchange; privileges; attach";

static void
test_index(void **state)
{
    const struct plan_index_names names = {"i", "i_old", "i_new"}, other = {"i", "i_old", "i_else"};
    struct fixture f;

    (void)state;
    begin(&f);
    swap_job_add_index(&f.set, 0, &names);
    assert_swaps(&f,
                 "detach; exchange; ALTER INDEX \"s\".\"i\" RENAME TO \"i_old\"; ALTER INDEX \"s\".\"i_new\" "
                 "RENAME TO \"i\"; privileges; attach",
                 "detach; exchange; ALTER INDEX IF EXISTS \"s\".\"i\" RENAME TO \"i_new\"; ALTER INDEX "
                 "\"s\".\"i_old\" RENAME TO \"i\"; privileges; attach",
                 "detach; exchange; ALTER INDEX \"s\".\"i\" RENAME TO \"i_old\"; ALTER INDEX IF EXISTS "
                 "\"s\".\"i_new\" RENAME TO \"i\"; privileges; attach");
    assert_true(swap_job_remove_index(&f.set, 0, &names));
    assert_swaps(&f, as_planned, as_planned, as_planned);
    assert_false(swap_job_remove_index(&f.set, 0, &other));
    end(&f);
}

/* All roles of before are forgotten: one that has nothing any more may be dropped. */
static void
test_privileges(void **state)
{
    struct grant of_table = {.grantee = (char *)"r", .privileges = (char *)"SELECT"};
    struct grant of_column = {.grantee = (char *)"q", .privileges = (char *)"UPDATE", .grantable = true};
    struct column column = {.name = (char *)"a", .grants = {1, &of_column}};
    struct table now = {.grants = {1, &of_table}, .column_count = 1, .columns = &column};
    struct table none = {.column_count = 1, .columns = &(struct column){.name = (char *)"a"}};
    struct fixture f;

    (void)state;
    begin(&f);
    swap_job_set_privileges(&f.set, 0, &now);
    assert_swaps(&f,
                 "detach; exchange; REVOKE ALL ON TABLE s.t_old FROM r, q CASCADE; GRANT SELECT ON TABLE s.t "
                 "TO r; GRANT UPDATE (\"a\") ON TABLE s.t TO q WITH GRANT OPTION; attach",
                 "detach; exchange; REVOKE ALL ON TABLE s.t_new FROM r, q CASCADE; GRANT SELECT ON TABLE s.t "
                 "TO r; GRANT UPDATE (\"a\") ON TABLE s.t TO q WITH GRANT OPTION; attach",
                 "detach; exchange; REVOKE ALL ON TABLE s.t_old FROM r, q CASCADE; GRANT SELECT ON TABLE s.t "
                 "TO r; GRANT UPDATE (\"a\") ON TABLE s.t TO q WITH GRANT OPTION; attach");
    swap_job_set_privileges(&f.set, 0, &none);
    assert_swaps(&f, "detach; exchange; attach", "detach; exchange; attach", "detach; exchange; attach");
    swap_job_set_privileges(&f.set, 0, &(struct table){.grants = {1, &of_table}});
    assert_list(&f.swaps[0].statements, "detach; exchange; REVOKE ALL ON TABLE s.t_old FROM r CASCADE; GRANT "
                                        "SELECT ON TABLE s.t TO r; attach");
    end(&f);
}

static void
test_trigger(void **state)
{
    char *drop[] = {(char *)"DROP g"},
         *create[] = {(char *)"SET path", (char *)"CREATE g", (char *)"SET none"};
    struct dependent trigger = {.kind = (char *)"trigger",
                                .description = (char *)"trigger g",
                                .detach = {1, drop},
                                .attach = {3, create}};
    const char *with = "DROP g; detach; exchange; privileges; attach; SET path; CREATE g; SET none";
    struct fixture f;

    (void)state;
    begin(&f);
    assert_true(swap_job_add_dependent(&f.set, 0, &trigger));
    assert_swaps(&f, with, with, with);
    assert_false(swap_job_remove_dependent(&f.set, 0, "trigger h"));
    assert_true(swap_job_remove_dependent(&f.set, 0, "trigger g"));
    assert_swaps(&f, as_planned, as_planned, as_planned);
    assert_false(swap_job_remove_dependent(&f.set, 0, "trigger g"));
    end(&f);
}

/* Statements that are alike belong to another object, if they do not stand one behind the other. */
static void
test_removed_together(void **state)
{
    char *texts[] = {(char *)"SET path", (char *)"CREATE v", (char *)"SET none"};
    struct string_list run = {3, texts};
    struct planned_list list = {0};

    (void)state;
    planned_add(&list, PLANNED_ATTACH, LOCK_NONE, mem_strdup("SET path"));
    planned_add(&list, PLANNED_ATTACH, LOCK_NONE, mem_strdup("CREATE u"));
    planned_add(&list, PLANNED_ATTACH, LOCK_NONE, mem_strdup("SET none"));
    assert_false(planned_remove_run(&list, PLANNED_ATTACH, &run));
    planned_insert_all(&list, 3, PLANNED_ATTACH, &run);
    assert_false(planned_remove_run(&list, PLANNED_DETACH, &run));
    assert_true(planned_remove_run(&list, PLANNED_ATTACH, &run));
    assert_list(&list, "SET path; CREATE u; SET none");
    list_clear(&list);
}

static void
test_view(void **state)
{
    char *lock[] = {(char *)"LOCK v"}, *drop[] = {(char *)"DROP v"}, *create[] = {(char *)"CREATE v"},
         *replace[] = {(char *)"REPLACE v"};
    struct dependent view = {.oid = 77,
                             .kind = (char *)"view",
                             .description = (char *)"view v",
                             .replaceable = true,
                             .lock = {1, lock},
                             .detach = {1, drop},
                             .attach = {1, create},
                             .replace = {1, replace}};
    const char *with = "detach; exchange; privileges; attach; REPLACE v";
    struct fixture f;

    (void)state;
    begin(&f);
    planned_add(&f.swaps[1].locks, PLANNED_LOCK, LOCK_ACCESS_EXCLUSIVE, mem_strdup("LOCK u"));
    assert_true(swap_job_add_dependent(&f.set, 0, &view));
    assert_swaps(&f, with, with, with);
    assert_list(&f.swaps[1].locks, "LOCK v; LOCK u");
    assert_int_equal(f.swaps[1].locks.items[0].lock, LOCK_ACCESS_EXCLUSIVE);
    assert_string_equal(f.swaps[0].locked.items[0], "77");
    assert_true(swap_job_remove_dependent(&f.set, 0, "view v"));
    assert_swaps(&f, as_planned, as_planned, as_planned);
    assert_list(&f.swaps[1].locks, "LOCK u");
    assert_int_equal(f.swaps[0].locked.count, 0);
    end(&f);
}

/* A privilege is lent to the owner, or meanings are proven: the plan stays, and the job is held. */
static void
test_refused(void **state)
{
    char *drop[] = {(char *)"DROP g"}, *create[] = {(char *)"CREATE g"};
    struct dependent trigger = {.kind = (char *)"trigger",
                                .description = (char *)"trigger g",
                                .detach = {1, drop},
                                .attach = {1, create}};
    struct fixture f;

    (void)state;
    begin(&f);
    assert_true(swap_job_add_dependent(&f.set, 0, &trigger));
    planned_add(&f.swaps[1].statements, PLANNED_PROVE, LOCK_NONE, mem_strdup("prove"));
    assert_false(swap_job_remove_dependent(&f.set, 0, "trigger g"));
    end(&f);
    begin(&f);
    planned_add(&f.swaps[2].statements, PLANNED_GRANT, LOCK_NONE, mem_strdup("lend"));
    assert_false(swap_job_add_dependent(&f.set, 0, &trigger));
    end(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index),   cmocka_unit_test(test_privileges),
        cmocka_unit_test(test_trigger), cmocka_unit_test(test_removed_together),
        cmocka_unit_test(test_view),    cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
