/*
 * Progress for people: a live line per phase on a terminal, plain lines otherwise. Standard error, like the
 * log.
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
    int64_t first_done; /* work done when the phase began to be shown: the rate leaves it out */
    double fraction;
    double eta_seconds; /* negative: unknown */
};

/* PROGRESS_AUTO: a bar where standard error is a terminal, lines otherwise. */
void progress_init(struct progress *p, enum progress_style style);

/* A new phase; the one before is closed with a line of its own duration where that is of interest. */
void progress_phase(struct progress *p, const char *phase);

/*
 * How far the phase is: done of total units; total 0 where unknown. what names the unit ("rows"), rate_of
 * counts them for the rate. extra is shown behind, or NULL. Draws at most a few times a second (a bar) or
 * every ten seconds (lines).
 */
void progress_show(struct progress *p, int64_t done, int64_t total, int64_t units, const char *what,
                   const char *extra);

/* Remove the live line. */
void progress_end(struct progress *p);

#endif
