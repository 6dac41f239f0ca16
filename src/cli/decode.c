/* `decode`: a slot or a spool as JSON lines or length-delimited protobuf on standard output. */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "core/encoding.h"
#include "core/list.h"
#include "core/mem.h"
#include "core/stop.h"
#include "json_record.h"
#include "spool/record.h"
#include "spool/spool.h"
#include "stream/stream.h"

#define POLL_MS 100

/* Where records go, and when to end. */
struct output {
    struct json_writer *json; /* NULL: protobuf */
    struct record_packer *packer;
    struct buffer packed;
    const char *encoding;     /* encoding of names and values */
    struct string_list names; /* the names of the current record in UTF-8 */
    int64_t limit;            /* 0: none */
    int64_t written;
    atomic_bool full;
};

static void
output_open(struct output *out, const struct cli_options *o)
{
    memset(out, 0, sizeof(*out));
    out->limit = o->limit;
    if (o->format == DECODE_PROTOBUF)
        out->packer = record_packer_new();
    else
        out->json = json_writer_new(stdout);
}

static void
output_close(struct output *out)
{
    json_writer_free(out->json);
    record_packer_free(out->packer);
    buffer_free(&out->packed);
    list_free(&out->names);
}

static const char *
name_shown(struct output *out, const char *name)
{
    char *shown = encoding_shown(out->encoding, name, strlen(name));

    list_add(&out->names, shown);
    return shown;
}

/* The record with its names in UTF-8, because they are strings in change.proto. The caller frees columns. */
static struct message
with_names(struct output *out, const struct message *m, struct relation_column **columns)
{
    struct message shown = *m;

    list_free(&out->names);
    if (m->kind == MESSAGE_RELATION) {
        *columns = mem_array(NULL, (size_t)m->relation.column_count + 1, sizeof(**columns));
        shown.relation.schema = name_shown(out, m->relation.schema);
        shown.relation.name = name_shown(out, m->relation.name);
        shown.relation.columns = *columns;
        for (int i = 0; i < m->relation.column_count; i++) {
            (*columns)[i] = m->relation.columns[i];
            (*columns)[i].name = name_shown(out, m->relation.columns[i].name);
        }
    } else if (m->kind == MESSAGE_TYPE) {
        shown.type.schema = name_shown(out, m->type.schema);
        shown.type.name = name_shown(out, m->type.name);
    } else if (m->kind == MESSAGE_LOGICAL) {
        shown.logical.prefix = name_shown(out, m->logical.prefix);
    }
    return shown;
}

static bool
output_write(struct output *out, const struct message *m, lsn_t lsn, struct error *err)
{
    struct relation_column *columns = NULL;
    struct message shown;

    if (atomic_load(&out->full)) /* the stream ends before it confirms records that were not written */
        return error_set(err, ERROR_FAILED, "the limit is reached");
    if (out->encoding != NULL) {
        shown = with_names(out, m, &columns);
        m = &shown;
    }
    if (out->json != NULL) {
        json_writer_write(out->json, m, lsn, out->encoding);
    } else {
        buffer_reset(&out->packed);
        record_add_delimited(out->packer, m, lsn, &out->packed);
        fwrite(out->packed.data, 1, out->packed.len, stdout);
    }
    free(columns);
    if (out->limit > 0 && ++out->written >= out->limit)
        atomic_store(&out->full, true);
    return ferror(stdout) == 0 ||
           error_set(err, ERROR_FAILED, "writing to standard output: %s", strerror(errno));
}

static void
decode_sink_encoding(void *arg, const char *encoding)
{
    struct output *out = arg;

    out->encoding = encoding_numbered(encoding_number(encoding)); /* this string outlives the session */
}

static bool
decode_sink_append(void *arg, const struct message *m, lsn_t lsn, struct error *err)
{
    return output_write(arg, m, lsn, err);
}

static bool
decode_sink_flush(void *arg, struct error *err)
{
    (void)arg;
    return fflush(stdout) == 0 ||
           error_set(err, ERROR_FAILED, "writing to standard output: %s", strerror(errno));
}

static bool
decode_slot(const struct cli_options *o, struct output *out, struct error *err)
{
    struct stream_options options = {
        .connection = &o->connection,
        .slot = o->slot,
        .publication = o->publication,
        .any_origin = true,
        .sink = {.arg = out,
                 .encoding = decode_sink_encoding,
                 .append = decode_sink_append,
                 .flush = decode_sink_flush,
                 .sync = decode_sink_flush},
    };
    struct stream *stream = stream_start(&options, err);

    if (stream == NULL)
        return false;
    while (!stream_failed(stream, err) && !atomic_load(&out->full) && clock_sleep(POLL_MS))
        ;
    if (atomic_load(&out->full)) {
        stream_failed(stream, err);
        error_clear(err);
    }
    stream_stop(stream);
    return err->message == NULL && decode_sink_flush(out, err);
}

static bool
decode_spool(const struct cli_options *o, struct output *out, struct error *err)
{
    struct spool_reader *reader = spool_reader_open_directory(o->job.spool_directory, err);
    bool ok = reader != NULL;

    while (ok && !stop_requested() && !atomic_load(&out->full)) {
        struct spool_record record;
        enum spool_outcome outcome = spool_read(reader, &record, err);

        if (outcome == SPOOL_EMPTY)
            break;
        out->encoding = spool_reader_encoding(reader);
        ok = outcome == SPOOL_RECORD && output_write(out, &record.message, record.lsn, err);
    }
    spool_reader_close(reader);
    return ok && decode_sink_flush(out, err);
}

bool
command_decode(const struct cli_options *o, struct error *err)
{
    struct output out;
    bool ok;

    if ((o->job.spool_directory != NULL) == (o->slot != NULL || o->publication != NULL) ||
        (o->slot != NULL) != (o->publication != NULL))
        return error_set(err, ERROR_USAGE, "say what to decode: --slot and --publication, or --spool-dir");
    output_open(&out, o);
    ok = o->job.spool_directory != NULL ? decode_spool(o, &out, err) : decode_slot(o, &out, err);
    output_close(&out);
    return ok;
}
