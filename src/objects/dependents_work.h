/* What the files that plan the dependents of a job's tables share (objects/dependents.h). */
#ifndef PGRECAST_OBJECTS_DEPENDENTS_WORK_H
#define PGRECAST_OBJECTS_DEPENDENTS_WORK_H

#include "catalog/expressions.h"
#include "objects/dependents.h"
#include "proof.h"
#include "retarget.h"

/* What becomes of an object in the swap. */
enum fate {
    FATE_NONE,
    FATE_REPLACED,
    FATE_REMADE,
    FATE_EARLY, /* created before the swap, which exchanges the names */
};

/* One object, which may depend on several tables of the job. */
struct dependent_item {
    const struct dependent *d; /* as described for one of the tables */
    bool direct;               /* it depends on one of the tables itself */
    bool early;                /* a materialized view that is created early depends on it */
    int base_count;
    int *bases; /* positions in work.items */
    enum fate fate;
    struct uses uses; /* what its expressions use now */
    struct uses made; /* what they use as created over the clone, with the real names */
};

struct dependents_work {
    struct session *s;
    const struct dependents_table *tables;
    int table_count;
    struct string_list *reasons;
    int count;
    struct dependent_item *items;
    int *order; /* positions of the items: each after everything that it depends on */
    struct retarget map;
    struct string_list schemas; /* schemas of the dependents … */
    struct string_list mirrors; /* … and the scratch schemas in which they are tried out */
    struct string_list notes;
    bool functions;           /* the swap creates some */
    struct string_list types; /* the types that columns get, see uses_difference() */
    struct proof early;       /* that what is created early means the same, in the scratch schemas */
};

/* The item of the object, or NULL. Valid until an item is added. */
struct dependent_item *dependents_item_of(struct dependents_work *w, const struct dependent *d);

/* Put together what depends on the tables; an object that depends on several of them is one item. */
void dependents_collect(struct dependents_work *w);

/* Enter in each item on which others it depends; then find an order in which each comes after all of these. */
void dependents_connect(struct dependents_work *w);
void dependents_sort(struct dependents_work *w);

/* The object is called by a schema and a name. */
bool dependents_is_named(const struct dependent *d);

/* The scratch schema that replaces a real one. */
const char *dependents_mirror_of(struct dependents_work *w, const char *schema);

/*
 * The renames of all tables, under the names that the tables have in those schemas: the clones' or the real
 * ones.
 */
void dependents_plan_renames(const struct dependents_work *w, bool clones, struct string_list *before,
                             struct string_list *after);

/*
 * Prepare the place where everything is tried out: clones with the sources' column names, and a schema for
 * each real one, in which a materialized view can get its owner. Nobody else sees the schemas.
 */
bool dependents_open_mirror(struct dependents_work *w, struct error *err);

#endif
