/*
 * Frames: the parts of a segment after its header. A frame is a head (checksum, sequence, length) and a
 * payload.
 *
 * Refuses to decide what a torn or damaged frame means: it reads and writes frames, and the callers decide.
 */
#ifndef PGRECAST_SPOOL_FRAME_H
#define PGRECAST_SPOOL_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

#include "core/buffer.h"

#define FRAME_HEAD_SIZE 20

/*
 * PostgreSQL sends no message above 1 GiB (MaxAllocSize). The rest is for the bytes that protobuf needs in
 * addition to pgoutput's: a few for each of at most 1664 columns, twice.
 */
#define FRAME_PAYLOAD_MAX ((size_t)1025 * 1024 * 1024)

/* Write the head of a frame whose payload is directly after it in memory. */
void frame_seal(unsigned char *frame, uint64_t sequence, uint32_t length);

/* The same for a payload in pieces: begin, add each piece, then end, which writes the head. */
void frame_sum_begin(XXH3_state_t *sum, uint64_t sequence, uint32_t length);
void frame_sum_add(XXH3_state_t *sum, const void *data, size_t len);
void frame_sum_end(XXH3_state_t *sum, unsigned char head[FRAME_HEAD_SIZE], uint64_t sequence,
                   uint32_t length);

/* How many of the len bytes, which begin with a sound frame, belong to complete frames. */
size_t frame_whole(const void *data, size_t len);

/* A window over a file that is read mostly from front to back. Zero-initialise; release with
 * frame_window_free(). */
struct frame_window {
    uint64_t offset; /* offset of its first byte in the file */
    struct buffer bytes;
};

void frame_window_reset(struct frame_window *w); /* to use the window for another file */
void frame_window_free(struct frame_window *w);

struct frame {
    const unsigned char *payload; /* in the window; valid until the window is used again */
    uint32_t length;
    uint64_t sequence;
    uint64_t next; /* offset of the next frame */
};

enum frame_outcome {
    FRAME_SOUND,
    FRAME_NONE,  /* the limit is reached exactly */
    FRAME_SHORT, /* the frame would end beyond the limit; *why says so */
    FRAME_BAD,   /* *why says what is wrong */
    FRAME_IO,    /* see errno */
};

/* Read the frame at offset. Bytes at or beyond limit are not read. */
enum frame_outcome frame_read(struct frame_window *w, int fd, uint64_t offset, uint64_t limit,
                              struct frame *out, const char **why);

#endif
