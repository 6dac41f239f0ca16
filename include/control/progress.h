/*
 * Progress for people: on a terminal a line for each phase that is updated in place, otherwise plain lines.
 * Written to standard error, like the log.
 */
#ifndef PGRECAST_CONTROL_PROGRESS_H
#define PGRECAST_CONTROL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_style { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_LINE, PROGRESS_NONE };

/* Zero-initialise, then progress_init(). */
struct progress {
    enum progress_style style;
    const char *phase;
    int64_t began_ms;
    int64_t drawn_ms;
    int64_t line_ms;
    /* Work that was done before the phase was first shown; it does not count for the rate. */
    int64_t first_done;
    double fraction;
    double eta_seconds; /* negative: unknown */
};

/* PROGRESS_AUTO: a bar where standard error is a terminal, lines otherwise. */
void progress_init(struct progress *p, enum progress_style style);

/* Begin a new phase. The phase before is ended with a line of its own duration, where that is of interest. */
void progress_phase(struct progress *p, const char *phase);

/*
 * Show how far the phase is: done of total; total 0 where it has no known end: then there is no bar. units is
 * the number that is shown, what names it ("rows"), and its growth is the rate. extra is shown at the end, or
 * NULL. Draws at most a few times a second (a bar) or every ten seconds (lines).
 */
void progress_show(struct progress *p, int64_t done, int64_t total, int64_t units, const char *what,
                   const char *extra);

/* Remove the line that is updated in place. */
void progress_end(struct progress *p);

#endif
