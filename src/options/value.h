/* The value of an option as a number: of a flag, a choice or a number. Internal to the options. */
#ifndef PGRECAST_OPTIONS_VALUE_H
#define PGRECAST_OPTIONS_VALUE_H

#include "options/option.h"

void option_put(const struct option_spec *o, int64_t value, void *object);
int64_t option_get(const struct option_spec *o, const void *object);

int64_t option_standard(const struct option_spec *o);

/* Whether the value is one that the command line could give it, or its default. */
bool option_may_be(const struct option_spec *o, int64_t value);

#endif
