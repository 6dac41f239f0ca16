/*
 * Frames: what a segment consists of behind its header. A frame is a head (checksum, sequence, length) and a
 * payload.
 *
 * Refuses: to judge. It reads and writes frames; what a torn or damaged one means is decided by the callers.
 */
#ifndef PGRECAST_SPOOL_FRAME_H
#define PGRECAST_SPOOL_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

#include "core/buffer.h"

#define FRAME_HEAD_SIZE 20

/*
 * PostgreSQL sends no message above 1 GiB (MaxAllocSize). The rest is for what protobuf needs more than
 * pgoutput does: a few bytes for each of at most 1664 columns, twice.
 */
#define FRAME_PAYLOAD_MAX ((size_t)1025 * 1024 * 1024)

/* Write the head of a frame whose payload follows it in memory. */
void frame_seal(unsigned char *frame, uint64_t sequence, uint32_t length);

/* The same for a payload in pieces: begin, add each piece, and end, which writes the head. */
void frame_sum_begin(XXH3_state_t *sum, uint64_t sequence, uint32_t length);
void frame_sum_add(XXH3_state_t *sum, const void *data, size_t len);
void frame_sum_end(XXH3_state_t *sum, unsigned char head[FRAME_HEAD_SIZE], uint64_t sequence,
                   uint32_t length);

/* How many of the len bytes, which start with a sound frame, belong to frames that are whole. */
size_t frame_whole(const void *data, size_t len);

/* A window over a file that is read mostly from front to back. Zero-initialise; release with
 * frame_window_free(). */
struct frame_window {
    uint64_t offset; /* of its first byte in the file */
    struct buffer bytes;
};

void frame_window_reset(struct frame_window *w); /* for another file */
void frame_window_free(struct frame_window *w);

struct frame {
    const unsigned char *payload; /* in the window, until that is used again */
    uint32_t length;
    uint64_t sequence;
    uint64_t next; /* offset of the frame behind it */
};

enum frame_outcome {
    FRAME_SOUND,
    FRAME_NONE,  /* the limit is reached exactly */
    FRAME_SHORT, /* it would end beyond the limit; *why says so */
    FRAME_BAD,   /* *why says what is wrong */
    FRAME_IO,    /* errno */
};

/* The frame at offset. Nothing at or beyond limit is looked at. */
enum frame_outcome frame_read(struct frame_window *w, int fd, uint64_t offset, uint64_t limit,
                              struct frame *out, const char **why);

#endif
