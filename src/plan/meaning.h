/*
 * Checks that the clone means the same as the table: that its expressions use the same operators, functions,
 * collations and types. Comparing texts is not enough: the server prints some expressions in a form that it
 * reads back as another one ("varchar IN (…)"), and some texts do not say which operators they use.
 */
#ifndef PGRECAST_PLAN_MEANING_H
#define PGRECAST_PLAN_MEANING_H

#include "catalog/expressions.h"
#include "core/list.h"
#include "pg/session.h"

/*
 * For the clone in the schema, before the user's statements. If only the text of an expression differs, the
 * clone gets the source's text, and notes says so. ERROR_REFUSED, with the object and what differs, if the
 * meaning differs.
 */
bool meaning_prove(struct session *s, const struct table *source, const char *schema, struct table *clone,
                   struct string_list *notes, struct error *err);

/*
 * Refuses expressions that depend on the identity of the table, and so would stay bound to the original after
 * a swap: its own name as a constant, the row as a whole, a column generated from tableoid. Also a
 * function in SQL whose body cannot be read with an empty search_path. notes: other functions that may find other names here.
 */
bool meaning_refuse_own(struct session *s, const struct table *source, struct string_list *notes,
                        struct error *err);

/* What the clone's expressions use now, with the clone's schema replaced by the table's. */
bool meaning_read(struct session *s, const struct table *source, const char *schema,
                  const struct table *clone, struct table_uses *uses, struct error *err);

#endif
