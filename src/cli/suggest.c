/* "Did you mean": the word of a list that is nearest to one that was mistyped. */
#include <stdlib.h>
#include <string.h>

#include "suggest.h"

#define LONGEST 40 /* longer words get no suggestion */

static int
least(int a, int b)
{
    return a < b ? a : b;
}

/* Characters to insert, remove, replace, or to exchange with the next one. Both at most LONGEST long. */
static int
distance(const char *a, const char *b)
{
    int rows[3][LONGEST + 2], *before = rows[0], *last = rows[1], *row = rows[2], *spare;
    int length = (int)strlen(b);

    for (int k = 0; k <= length; k++)
        before[k] = last[k] = k;
    for (int i = 1; a[i - 1] != '\0'; i++) {
        row[0] = i;
        for (int k = 1; k <= length; k++) {
            row[k] = least(least(last[k] + 1, row[k - 1] + 1), last[k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                row[k] = least(row[k], before[k - 2] + 1);
        }
        spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[length];
}

void
suggest_begin(struct suggestion *s, const char *typed)
{
    *s = (struct suggestion){.typed = typed, .distance = (int)strlen(typed) / 3 + 1};
}

void
suggest_consider(struct suggestion *s, const char *word)
{
    size_t typed = strlen(s->typed), length = strlen(word);
    int d;

    if (typed < 2 || typed > LONGEST || length > LONGEST)
        return;
    d = length > typed && strncmp(word, s->typed, typed) == 0 ? 1 : distance(s->typed, word);
    if (d < s->distance || (d == s->distance && s->word == NULL)) {
        s->distance = d;
        s->word = word;
    }
}
