/* The word that a user may have meant. No I/O; owns nothing. */
#ifndef PGRECAST_CLI_SUGGEST_H
#define PGRECAST_CLI_SUGGEST_H

struct suggestion {
    const char *typed;
    const char *word; /* the nearest word so far; NULL: none is near enough */
    int distance;
};

/* typed must outlive the suggestion, and so must the words. */
void suggest_begin(struct suggestion *s, const char *typed);
void suggest_consider(struct suggestion *s, const char *word);

#endif
