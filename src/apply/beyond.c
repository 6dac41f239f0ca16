#include "beyond.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

bool
beyond_has(const struct beyond *x, lsn_t commit)
{
    if (commit >= x->until)
        return false;
    for (int i = 0; i < x->count; i++) {
        if (x->held[i] == commit)
            return false;
    }
    return true;
}

void
beyond_hold(struct beyond *x, lsn_t commit)
{
    x->held = mem_array(x->held, (size_t)x->count + 1, sizeof(*x->held));
    x->held[x->count++] = commit;
}

void
beyond_free(struct beyond *x)
{
    free(x->held);
    memset(x, 0, sizeof(*x));
}

void
beyond_merge(const struct beyond *last, const struct beyond *now, lsn_t position, lsn_t read,
             struct beyond *out)
{
    memset(out, 0, sizeof(*out));
    if (last->until <= position && now->until <= position)
        return;
    out->until = last->until > now->until ? last->until : now->until;
    for (int i = 0; i < now->count; i++)
        beyond_hold(out, now->held[i]);
    for (int i = 0; i < last->count; i++) {
        if (last->held[i] >= read) /* otherwise it was applied by now, or is held back again */
            beyond_hold(out, last->held[i]);
    }
}

void
beyond_write(const struct beyond *x, struct buffer *array)
{
    char text[LSN_TEXT_SIZE];

    buffer_add_char(array, '{');
    for (int i = 0; i < x->count; i++)
        buffer_printf(array, "%s%s", i > 0 ? "," : "", lsn_format(x->held[i], text));
    buffer_add_char(array, '}');
}

bool
beyond_load(struct beyond *x, struct session *s, struct state_table owner, struct error *err)
{
    beyond_free(x);
    return state_position_read_beyond(s, &owner, &x->until, &x->held, &x->count, err) ||
           error_context(err, "reading what is applied already");
}
