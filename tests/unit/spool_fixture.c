#include "spool_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

int
make_directory(void **state)
{
    *state = directory_make_temporary();
    return 0;
}

int
drop_directory(void **state)
{
    directory_drop(*state);
    return 0;
}

lsn_t
commit_of(unsigned n)
{
    return (lsn_t)n * 1000 + 900;
}

lsn_t
end_of(unsigned n)
{
    return (lsn_t)n * 1000 + 950;
}

struct spool_identity
fixture_identity(void)
{
    struct spool_identity identity = {.system_identifier = UINT64_C(7123456789012345678),
                                      .timeline = 3,
                                      .job = "unit",
                                      .slot = "pgrecast_unit"};

    return identity;
}

struct spool *
fixture_open(const char *directory, uint64_t segment_bytes)
{
    struct spool_identity identity = fixture_identity();
    struct error err = {0};
    struct spool *s = spool_open(directory, &identity, segment_bytes, &err);

    assert_ok(s != NULL, &err);
    return s;
}

static void
append(struct spool *s, const struct message *m, lsn_t lsn)
{
    struct error err = {0};

    assert_ok(spool_append(s, m, lsn, &err), &err);
}

void
append_begin(struct spool *s, unsigned n)
{
    struct message m = {.kind = MESSAGE_BEGIN};

    m.begin.final_lsn = commit_of(n);
    m.begin.commit_time = (int64_t)n * 1000000;
    m.begin.xid = n;
    append(s, &m, (lsn_t)n * 1000);
}

void
append_table(struct spool *s, unsigned n)
{
    struct relation_column columns[2] = {{true, "id", 23, -1}, {false, "body", TYPE_OID, -1}};
    struct message m = {.kind = MESSAGE_TYPE};

    m.type.oid = TYPE_OID;
    m.type.schema = "public";
    m.type.name = "body_type";
    append(s, &m, (lsn_t)n * 1000);
    memset(&m, 0, sizeof(m));
    m.kind = MESSAGE_RELATION;
    m.relation.oid = TABLE_OID;
    m.relation.schema = "public";
    m.relation.name = "t";
    m.relation.replica_identity = 'd';
    m.relation.column_count = 2;
    m.relation.columns = columns;
    append(s, &m, (lsn_t)n * 1000);
}

void
append_insert(struct spool *s, unsigned n, unsigned id, const char *body, size_t len)
{
    char text[16];
    struct value values[2] = {{VALUE_TEXT, text, (uint32_t)snprintf(text, sizeof(text), "%u", id)},
                              {VALUE_TEXT, body, (uint32_t)len}};
    struct message m = {.kind = MESSAGE_INSERT};

    m.row.relation = TABLE_OID;
    m.row.new_row.count = 2;
    m.row.new_row.values = values;
    append(s, &m, (lsn_t)n * 1000 + id);
}

void
append_commit(struct spool *s, unsigned n)
{
    struct message m = {.kind = MESSAGE_COMMIT};

    m.commit.commit_lsn = commit_of(n);
    m.commit.end_lsn = end_of(n);
    m.commit.commit_time = (int64_t)n * 1000000;
    append(s, &m, commit_of(n));
}

void
append_transaction(struct spool *s, unsigned n, unsigned rows)
{
    char body[50];

    memset(body, 'a' + (int)(n % 26), sizeof(body));
    append_begin(s, n);
    for (unsigned id = 0; id < rows; id++)
        append_insert(s, n, id, body, sizeof(body));
    append_commit(s, n);
}

void
append_transactions(struct spool *s, unsigned first, unsigned last, unsigned rows)
{
    append_table(s, first);
    for (unsigned n = first; n <= last; n++)
        append_transaction(s, n, rows);
}

void
append_progress(struct spool *s, lsn_t lsn)
{
    struct error err = {0};

    assert_ok(spool_append_progress(s, lsn, &err), &err);
}

void
append_unfinished(struct spool *s, unsigned n)
{
    append_begin(s, n);
    for (unsigned id = 0; id < 100; id++)
        append_insert(s, n, id, "a row of a long transaction", 27);
}

void
sync_spool(struct spool *s)
{
    struct error err = {0};

    assert_ok(spool_sync(s, &err), &err);
}

void
flush_spool(struct spool *s)
{
    struct error err = {0};

    assert_ok(spool_flush(s, &err), &err);
}

void
trim_spool(struct spool *s, struct spool_position position)
{
    struct error err = {0};

    assert_ok(spool_trim(s, position, &err), &err);
}

void
trim_all(struct spool *s)
{
    trim_spool(s, (struct spool_position){UINT64_MAX, 0});
}

struct spool_reader *
open_reader(struct spool *s, lsn_t after)
{
    struct error err = {0};
    struct spool_reader *r = spool_reader_open(s, after, &err);

    assert_ok(r != NULL, &err);
    return r;
}

struct spool_reader *
open_directory_reader(const char *directory)
{
    struct error err = {0};
    struct spool_reader *r = spool_reader_open_directory(directory, &err);

    assert_ok(r != NULL, &err);
    return r;
}

void
read_until(struct spool_reader *r, struct spool_record *record, enum message_kind kind)
{
    struct error err = {0};

    do
        assert_int_equal(spool_read(r, record, &err), SPOOL_RECORD);
    while (record->message.kind != kind);
}

char *
read_to_end(struct spool_reader *r)
{
    enum spool_outcome outcome;
    struct spool_record record;
    struct buffer text = {0};
    struct error err = {0};
    char lsn[LSN_TEXT_SIZE];

    while ((outcome = spool_read(r, &record, &err)) == SPOOL_RECORD) {
        buffer_printf(&text, "%s ", lsn_format(record.lsn, lsn));
        message_describe(&record.message, &text);
    }
    assert_ok(outcome == SPOOL_EMPTY, &err);
    spool_reader_close(r);
    return buffer_take(&text);
}

char *
read_spool(struct spool *s, lsn_t after)
{
    flush_spool(s);
    return read_to_end(open_reader(s, after));
}

char *
read_directory(const char *directory)
{
    return read_to_end(open_directory_reader(directory));
}

char *
transactions_of(const char *text)
{
    struct buffer found = {0};
    bool open = false;

    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *what = strchr(line, ' ') + 1;

        if (strncmp(what, "BEGIN", 5) == 0) {
            lsn_t lsn = strtoull(strchr(what + 6, '/') + 1, NULL, 16);

            buffer_printf(&found, "%s%" PRIu64, found.len > 0 ? " " : "", lsn / 1000);
            open = true;
        } else if (strncmp(what, "COMMIT", 6) == 0) {
            if (!open)
                buffer_add_text(&found, " end-without-begin");
            open = false;
        }
    }
    if (open)
        buffer_add_text(&found, " not-ended");
    return buffer_take(&found);
}

void
assert_transactions(char *text, const char *expected)
{
    char *found = transactions_of(text);

    assert_string_equal(found, expected);
    free(found);
    free(text);
}

char *
numbers_from(unsigned first, unsigned last)
{
    struct buffer text = {0};

    for (unsigned n = first; n <= last; n++)
        buffer_printf(&text, "%s%u", n > first ? " " : "", n);
    return buffer_take(&text);
}

static void
copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    char bytes[65536];
    size_t got;

    assert_non_null(in);
    assert_non_null(out);
    while ((got = fread(bytes, 1, sizeof(bytes), in)) > 0)
        assert_int_equal(fwrite(bytes, 1, got, out), got);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

char *
directory_copy(const char *from)
{
    char *to = directory_make_temporary();
    DIR *dir = opendir(from);
    struct dirent *entry;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        char *source = mem_printf("%s/%s", from, entry->d_name);
        char *target = mem_printf("%s/%s", to, entry->d_name);

        if (entry->d_name[0] != '.')
            copy_file(source, target);
        free(source);
        free(target);
    }
    closedir(dir);
    return to;
}

char *
segment_path(const char *directory, uint64_t number)
{
    return mem_printf("%s/%016" PRIx64 ".spool", directory, number);
}

size_t
file_size(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return (size_t)status.st_size;
}

void
file_cut(const char *path, size_t size)
{
    assert_int_equal(truncate(path, (off_t)size), 0);
}

void
file_overwrite(const char *path, size_t offset, const void *data, size_t len)
{
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, (off_t)offset), len);
    close(fd);
}

void
file_flip(const char *path, size_t offset, unsigned char bits)
{
    int fd = open(path, O_RDWR);
    unsigned char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= bits;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

size_t
file_count(const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}
