#include "pg/params.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/mem.h"

static struct param *
next(struct params *p)
{
    if (p->count == PARAMS_MOST)
        mem_mistake("a statement has more than %d parameters", PARAMS_MOST);
    return &p->items[p->count++];
}

void
params_text(struct params *p, const char *value)
{
    next(p)->text = value;
}

void
params_null(struct params *p)
{
    params_text(p, NULL);
}

void
params_int(struct params *p, int64_t value)
{
    struct param *param = next(p);

    snprintf(param->room, sizeof(param->room), "%" PRId64, value);
}

void
params_uint(struct params *p, uint64_t value)
{
    struct param *param = next(p);

    snprintf(param->room, sizeof(param->room), "%" PRIu64, value);
}

void
params_real(struct params *p, double value)
{
    struct param *param = next(p);

    snprintf(param->room, sizeof(param->room), "%.3f", value);
}

void
params_lsn(struct params *p, lsn_t value)
{
    lsn_format(value, next(p)->room);
}

void
params_bool(struct params *p, bool value)
{
    params_text(p, value ? "true" : "false");
}

void
params_values(const struct params *p, const char *values[PARAMS_MOST])
{
    for (int i = 0; i < p->count; i++) {
        const struct param *param = &p->items[i];

        values[i] = param->text != NULL ? param->text : param->room[0] != '\0' ? param->room : NULL;
    }
}
