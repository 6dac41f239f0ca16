/* A reader of the spool, and its search for the position at which to begin. Private to src/spool. */
#ifndef PGRECAST_SPOOL_READER_H
#define PGRECAST_SPOOL_READER_H

#include "frame.h"
#include "state.h"

/*
 * Where a definition was read. Rows at a position are described only by definitions before it in the same
 * segment.
 */
struct definition_place {
    struct spool_position position;
    uint64_t end; /* offset after its record */
    bool is_relation;
    uint32_t oid;
};

/*
 * The search for the first transaction that ends after an LSN. It continues as long as there is none: the
 * spool may be behind that LSN, and transactions that it receives later up to there are passed over.
 */
struct search {
    lsn_t after;
    bool over;
    bool in_transaction;
    bool begin_known; /* false: the beginning was trimmed */
    struct spool_position begin;
    struct spool_position found; /* the result, when the search has ended */
};

struct spool_reader {
    struct spool *spool; /* NULL for a reader of a directory */
    char *directory;
    int dirfd;
    int fd;
    struct segment_header header; /* of the segment that is read */
    uint64_t limit;               /* up to where that segment may be read, as far as is known */
    struct spool_position next;
    uint64_t sequence; /* of the next record; 0: not known */
    lsn_t reached;     /* see spool_reader_lsn() */
    struct frame_window window;
    struct record_unpacker *unpacker;
    struct search search;

    struct definition_place *places; /* all definitions read, in their order */
    size_t place_count;
    size_t place_room;
    size_t *repeats; /* indexes of the definitions to be returned again before the next record, last first */
    size_t repeat_count;
    size_t repeat_room;
};

/* Less than, equal to, or greater than 0. */
int position_compare(struct spool_position a, struct spool_position b);

/* Move to the beginning of a segment. */
bool reader_enter(struct spool_reader *r, uint64_t number, struct error *err);

/* Move to a position; the definitions that are valid there are returned first. */
bool reader_seek(struct spool_reader *r, struct spool_position position, struct error *err);

/* Read the record at r->next. */
enum spool_outcome reader_next(struct spool_reader *r, struct spool_record *out, struct error *err);

/* Begin the search at the reader's position. */
void search_begin(struct spool_reader *r, lsn_t after);

/*
 * SPOOL_RECORD: the search has ended, and the reader is at the position. SPOOL_EMPTY: it continues when there
 * is more.
 */
enum spool_outcome search_go_on(struct spool_reader *r, struct error *err);

#endif
