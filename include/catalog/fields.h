/*
 * The fields of struct table (catalog/table.h), with everything that depends on it: to write, read and free
 * it.
 */
#ifndef PGRECAST_CATALOG_FIELDS_H
#define PGRECAST_CATALOG_FIELDS_H

#include "core/fields.h"

extern const struct shape table_shape;

#endif
