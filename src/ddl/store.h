/* The fields of struct plan_set and struct plan (ddl/plan.h): to write them down, read and free them. */
#ifndef PGRECAST_DDL_STORE_H
#define PGRECAST_DDL_STORE_H

#include "core/fields.h"

extern const struct shape plan_set_shape;
extern const struct shape plan_shape;

#endif
