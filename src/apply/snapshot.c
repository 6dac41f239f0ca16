#include "snapshot.h"

#include <stdlib.h>

#include "core/mem.h"

struct snapshot {
    uint64_t xmin, xmax;
    int running_count;
    uint64_t *running;
};

static bool
parse_number(const char **text, uint64_t *number)
{
    char *end;

    if (**text < '0' || **text > '9')
        return false;
    *number = strtoull(*text, &end, 10);
    *text = end;
    return true;
}

struct snapshot *
snapshot_parse(const char *text)
{
    struct snapshot *s = mem_alloc(sizeof(*s));

    if (!parse_number(&text, &s->xmin) || *text++ != ':' || !parse_number(&text, &s->xmax) || *text++ != ':')
        goto failed;
    while (*text != '\0') {
        s->running = mem_array(s->running, (size_t)s->running_count + 1, sizeof(*s->running));
        if (!parse_number(&text, &s->running[s->running_count++]))
            goto failed;
        if (*text == ',')
            text++;
        else if (*text != '\0')
            goto failed;
    }
    return s;
failed:
    snapshot_free(s);
    return NULL;
}

void
snapshot_free(struct snapshot *s)
{
    if (s == NULL)
        return;
    free(s->running);
    free(s);
}

bool
snapshot_sees(const struct snapshot *s, uint64_t xid)
{
    if (xid < s->xmin)
        return true;
    if (xid >= s->xmax)
        return false;
    for (int i = 0; i < s->running_count; i++) {
        if (s->running[i] == xid)
            return false;
    }
    return true;
}

uint64_t
snapshot_xmax(const struct snapshot *s)
{
    return s->xmax;
}
