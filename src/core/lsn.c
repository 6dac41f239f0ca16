#include "core/lsn.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

char *
lsn_format(lsn_t lsn, char out[LSN_TEXT_SIZE])
{
    snprintf(out, LSN_TEXT_SIZE, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
    return out;
}

/* 1 to 8 hex digits; advances *text past them. */
static bool
parse_half(const char **text, uint32_t *half)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    size_t len = strspn(*text, digits);

    if (len < 1 || len > 8)
        return false;
    sscanf(*text, "%8" SCNx32, half);
    *text += len;
    return true;
}

bool
lsn_parse(const char *text, lsn_t *lsn)
{
    uint32_t high, low;

    if (!parse_half(&text, &high) || *text++ != '/' || !parse_half(&text, &low) || *text != '\0')
        return false;
    *lsn = (lsn_t)high << 32 | low;
    return true;
}
