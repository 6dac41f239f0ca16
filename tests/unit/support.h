/*
 * What unit tests share: temporary directories, errors, recorded bytes of real servers.
 */
#ifndef PGRECAST_TESTS_UNIT_SUPPORT_H
#define PGRECAST_TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/buffer.h"
#include "core/error.h"
#include "core/lsn.h"
#include "describe.h"

/* Fail the test with the error's message when ok is false. */
#define assert_ok(ok, err)                                                                                   \
    do {                                                                                                     \
        if (!(ok))                                                                                           \
            fail_msg("%s", (err)->message != NULL ? (err)->message : "failed without a message");            \
    } while (0)

/* The error must be ERROR_FAILED with this message, the whole of it; it is cleared. */
void assert_error(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same for a message of which a part is another library's, or differs with the place where a test that
 * tries every place is. */
void assert_error_begins(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void assert_error_ends(struct error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A new directory; directory_drop() removes it with the files in it. */
char *directory_make_temporary(void);
void directory_drop(char *directory);

/* A message of a server, as recorded by golden/record.sh. */
struct golden_message {
    lsn_t lsn;
    unsigned char *data;
    size_t len;
};

struct golden {
    struct golden_message *messages;
    size_t count;
};

extern const int golden_majors[];
#define GOLDEN_MAJOR_COUNT 5

struct golden golden_load(int major);
void golden_free(struct golden *g);

/* The content of a file beside the goldens, as text. */
char *golden_text(const char *name);

#endif
