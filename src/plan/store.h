/* The fields of struct plan_set and struct plan (plan_data/plan.h): to write, read and free them. */
#ifndef PGRECAST_PLAN_STORE_H
#define PGRECAST_PLAN_STORE_H

#include "core/fields.h"

extern const struct shape plan_set_shape;
extern const struct shape plan_shape;

#endif
