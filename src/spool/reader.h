/*
 * A reader of the spool, and its search for the place to start. Private to src/spool.
 */
#ifndef PGRECAST_SPOOL_READER_H
#define PGRECAST_SPOOL_READER_H

#include "frame.h"
#include "state.h"

/* Where a definition was read. Only those in the segment of a place say how rows are read there. */
struct definition_place {
    struct spool_position position;
    uint64_t end; /* offset of the record behind it */
    bool is_relation;
    uint32_t oid;
};

/*
 * The search for the first transaction that ends after an LSN. It goes on for as long as there is none: the
 * spool may be behind that LSN, and what it has yet to receive up to there is passed over.
 */
struct search {
    lsn_t after;
    bool over;
    bool in_transaction;
    bool begin_known; /* false: it was trimmed */
    struct spool_position begin;
    struct spool_position found; /* when it is over */
};

struct spool_reader {
    struct spool *spool; /* NULL over a directory */
    char *directory;
    int dirfd;
    int fd;
    struct segment_header header; /* of the segment that is read */
    uint64_t limit;               /* how far that may be read, as far as is known */
    struct spool_position next;
    uint64_t sequence; /* of the next record, 0: not known */
    lsn_t reached;     /* see spool_reader_lsn() */
    struct frame_window window;
    struct record_unpacker *unpacker;
    struct search search;

    struct definition_place *places; /* all definitions read, in order */
    size_t place_count;
    size_t place_room;
    size_t *repeats; /* indexes of those to be given out again before the next record, last first */
    size_t repeat_count;
    size_t repeat_room;
};

/* Less than, equal to, or greater than 0. */
int position_compare(struct spool_position a, struct spool_position b);

/* Be at the start of a segment. */
bool reader_enter(struct spool_reader *r, uint64_t number, struct error *err);

/* Be at a position; the definitions that hold there come first. */
bool reader_seek(struct spool_reader *r, struct spool_position position, struct error *err);

/* The record at r->next. */
enum spool_outcome reader_next(struct spool_reader *r, struct spool_record *out, struct error *err);

/* Search from where the reader is. */
void search_begin(struct spool_reader *r, lsn_t after);

/* SPOOL_RECORD: it is over, and the reader is at the place. SPOOL_EMPTY: it goes on when there is more. */
enum spool_outcome search_go_on(struct spool_reader *r, struct error *err);

#endif
