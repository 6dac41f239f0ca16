/*
 * Spools for tests: a table t (id, body) with numbered transactions. Transaction n commits at n*1000+900 and
 * ends at n*1000+950, so that a test can say where it wants to be.
 */
#ifndef PGRECAST_TESTS_UNIT_SPOOL_FIXTURE_H
#define PGRECAST_TESTS_UNIT_SPOOL_FIXTURE_H

#include "spool/spool.h"
#include "support.h"

#define SEGMENT_HEADER 1024
#define SMALL_SEGMENTS 1500 /* bytes: some transactions each */
#define LARGE_SEGMENTS ((uint64_t)1024 * 1024 * 1024)
#define TABLE_OID 16400
#define TYPE_OID 16390

lsn_t commit_of(unsigned n);
lsn_t end_of(unsigned n);

/* Each test has a directory of its own, as *state. */
int make_directory(void **state);
int drop_directory(void **state);
#define IN_DIRECTORY(function) cmocka_unit_test_setup_teardown(function, make_directory, drop_directory)

struct spool_identity fixture_identity(void);
struct spool *fixture_open(const char *directory, uint64_t segment_bytes);

/* All of these fail the test when they fail. */
void append_begin(struct spool *s, unsigned n);
void append_table(struct spool *s, unsigned n);
void append_insert(struct spool *s, unsigned n, unsigned id, const char *body, size_t len);
void append_commit(struct spool *s, unsigned n);
void append_progress(struct spool *s, lsn_t lsn);

/* The begin of transaction n and a hundred rows, over many small segments; no end. */
void append_unfinished(struct spool *s, unsigned n);

/* Transaction n with so many rows; their body is the letter 'a' + n % 26, 50 times. */
void append_transaction(struct spool *s, unsigned n, unsigned rows);

/* Transactions first to last, the definition of the table first. */
void append_transactions(struct spool *s, unsigned first, unsigned last, unsigned rows);

void sync_spool(struct spool *s);
void flush_spool(struct spool *s);
void trim_spool(struct spool *s, struct spool_position position);
void trim_all(struct spool *s); /* but what has to stay */

struct spool_reader *open_reader(struct spool *s, lsn_t after);
struct spool_reader *open_directory_reader(const char *directory);

/* Up to a record of that kind. */
void read_until(struct spool_reader *r, struct spool_record *record, enum message_kind kind);

/* All that a reader gives until it is empty, as text. The reader is closed. */
char *read_to_end(struct spool_reader *r);
char *read_spool(struct spool *s, lsn_t after);
char *read_directory(const char *directory);

/* The transactions in such a text, e.g. "1 2 3"; without definitions and rows. */
char *transactions_of(const char *text);
char *numbers_from(unsigned first, unsigned last);          /* such a list */
void assert_transactions(char *text, const char *expected); /* frees text */

/* A spool as a crash would leave it: what was written, without the writer's farewell. */
char *directory_copy(const char *from);

char *segment_path(const char *directory, uint64_t number);
size_t file_size(const char *path);
void file_cut(const char *path, size_t size);
void file_overwrite(const char *path, size_t offset, const void *data, size_t len);
void file_flip(const char *path, size_t offset, unsigned char bits);
size_t file_count(const char *directory);

#endif
