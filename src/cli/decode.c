/* `decode`: a slot or a spool as JSON lines or length-delimited protobuf on standard output. */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "core/stop.h"
#include "json_record.h"
#include "spool/record.h"
#include "spool/spool.h"
#include "stream/stream.h"

#define POLL_MS 100

/* Where records go, and when it is enough. */
struct output {
    struct json_writer *json; /* or NULL: protobuf */
    struct record_packer *packer;
    struct buffer packed;
    int64_t limit; /* 0: none */
    int64_t written;
    atomic_bool full;
};

static void
output_open(struct output *out, const struct cli_options *o)
{
    memset(out, 0, sizeof(*out));
    out->limit = o->limit;
    if (o->format != NULL && strcmp(o->format, "protobuf") == 0)
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
}

static bool
output_write(struct output *out, const struct message *m, lsn_t lsn, struct error *err)
{
    if (atomic_load(&out->full)) /* ends the stream before it confirms what was not written */
        return error_set(err, ERROR_FAILED, "the limit is reached");
    if (out->json != NULL) {
        json_writer_write(out->json, m, lsn);
    } else {
        buffer_reset(&out->packed);
        record_add_delimited(out->packer, m, lsn, &out->packed);
        fwrite(out->packed.data, 1, out->packed.len, stdout);
    }
    if (out->limit > 0 && ++out->written >= out->limit)
        atomic_store(&out->full, true);
    return ferror(stdout) == 0 ||
           error_set(err, ERROR_FAILED, "writing to standard output: %s", strerror(errno));
}

static bool
sink_append(void *arg, const struct message *m, lsn_t lsn, struct error *err)
{
    return output_write(arg, m, lsn, err);
}

static bool
sink_flush(void *arg, struct error *err)
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
        .sink = {.arg = out, .append = sink_append, .flush = sink_flush, .sync = sink_flush},
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
    return err->message == NULL && sink_flush(out, err);
}

static bool
decode_spool(const struct cli_options *o, struct output *out, struct error *err)
{
    struct spool_reader *reader = spool_reader_open_directory(o->spool_directory, err);
    bool ok = reader != NULL;

    while (ok && !stop_requested() && !atomic_load(&out->full)) {
        struct spool_record record;
        enum spool_outcome outcome = spool_read(reader, &record, err);

        if (outcome == SPOOL_EMPTY)
            break;
        ok = outcome == SPOOL_RECORD && output_write(out, &record.message, record.lsn, err);
    }
    spool_reader_close(reader);
    return ok && sink_flush(out, err);
}

bool
command_decode(const struct cli_options *o, struct error *err)
{
    struct output out;
    bool ok;

    if ((o->spool_directory != NULL) == (o->slot != NULL || o->publication != NULL) ||
        (o->slot != NULL) != (o->publication != NULL))
        return error_set(err, ERROR_USAGE, "say what to decode: --slot and --publication, or --spool-dir");
    output_open(&out, o);
    ok = o->spool_directory != NULL ? decode_spool(o, &out, err) : decode_slot(o, &out, err);
    output_close(&out);
    return ok;
}
