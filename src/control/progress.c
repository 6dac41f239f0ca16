#include "control/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"

#define BAR_INTERVAL_MS 150
#define LINE_INTERVAL_MS 10000
#define BAR_WIDTH 24
#define BAR_COLUMNS 72 /* a narrower terminal gets the percentage without the bar */

void
progress_init(struct progress *p, enum progress_style style)
{
    memset(p, 0, sizeof(*p));
    if (style == PROGRESS_AUTO)
        style = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_LINE;
    p->style = style;
    p->eta_seconds = -1;
}

void
progress_phase(struct progress *p, const char *phase)
{
    progress_end(p);
    p->phase = phase;
    p->began_ms = p->line_ms = clock_ms();
    p->drawn_ms = 0;
    p->first_done = -1;
    p->fraction = 0;
    p->eta_seconds = -1;
}

/* Adds 1234567 as "1 234 567". */
static void
add_number(struct buffer *text, int64_t number)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)number);

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            buffer_add_char(text, ' ');
        buffer_add_char(text, digits[i]);
    }
}

static void
add_bar(struct buffer *text, double fraction)
{
    int full = (int)(fraction * BAR_WIDTH);

    buffer_add_text(text, " [");
    for (int i = 0; i < BAR_WIDTH; i++)
        buffer_add_char(text, i < full ? '=' : i == full ? '>' : ' ');
    buffer_printf(text, "] %3.0f%%", fraction * 100);
}

static void
compose(struct progress *p, struct buffer *text, int64_t units, double rate, bool known, const char *what,
        const char *extra)
{
    char duration[32];

    buffer_printf(text, "%-8s", p->phase);
    if (known && p->style == PROGRESS_BAR && log_columns() >= BAR_COLUMNS)
        add_bar(text, p->fraction);
    else if (known)
        buffer_printf(text, " %3.0f%%", p->fraction * 100);
    buffer_add_text(text, "  ");
    add_number(text, units);
    buffer_printf(text, " %s", what);
    if (rate >= 1) {
        buffer_add_text(text, ", ");
        add_number(text, (int64_t)rate);
        buffer_add_text(text, "/s");
    }
    if (p->eta_seconds >= 1)
        buffer_printf(text, ", %s left", clock_format_duration(p->eta_seconds, duration));
    if (extra != NULL)
        buffer_printf(text, ", %s", extra);
}

void
progress_show(struct progress *p, int64_t done, int64_t total, int64_t units, const char *what,
              const char *extra)
{
    int64_t now = clock_ms();
    double seconds = (double)(now - p->began_ms) / 1000, rate;
    struct buffer text = {0};

    if (p->first_done < 0)
        p->first_done = units;
    rate = seconds > 0.2 ? (double)(units - p->first_done) / seconds : 0;
    p->fraction = total > 0 ? (double)done / (double)total : 0;
    if (p->fraction > 1)
        p->fraction = 1;
    p->eta_seconds = p->fraction > 0.005 && seconds > 1 ? seconds / p->fraction * (1 - p->fraction) : -1;
    if (p->style == PROGRESS_NONE || now - p->drawn_ms < BAR_INTERVAL_MS ||
        (p->style == PROGRESS_LINE && now - p->line_ms < LINE_INTERVAL_MS))
        return;
    p->drawn_ms = p->line_ms = now;
    compose(p, &text, units, rate, total > 0, what, extra);
    if (p->style == PROGRESS_BAR)
        log_live(text.data);
    else
        log_info("%s", text.data);
    buffer_free(&text);
}

void
progress_end(struct progress *p)
{
    if (p->style == PROGRESS_BAR)
        log_live(NULL);
}
