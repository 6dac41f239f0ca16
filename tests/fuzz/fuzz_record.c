/* Any bytes as a change record: refused, or a change that survives being packed and unpacked again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "describe.h"
#include "spool/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_roundtrip(const struct message *m, lsn_t lsn)
{
    struct record_packer *packer = record_packer_new();
    struct record_unpacker *unpacker = record_unpacker_new();
    size_t size = record_prepare(packer, m, lsn);
    char *bytes = mem_realloc(NULL, size);
    struct buffer before = {0}, after = {0};
    struct message again;
    const char *why;
    lsn_t lsn_again;

    record_write(packer, bytes);
    if (record_unpack(unpacker, bytes, size, &again, &lsn_again, &why) != RECORD_CHANGE || lsn_again != lsn)
        abort();
    message_describe(m, &before);
    message_describe(&again, &after);
    if (strcmp(before.data, after.data) != 0)
        abort();
    buffer_free(&before);
    buffer_free(&after);
    free(bytes);
    record_unpacker_free(unpacker);
    record_packer_free(packer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_unpacker *unpacker = record_unpacker_new();
    struct message m;
    const char *why = NULL;
    lsn_t lsn;

    switch (record_unpack(unpacker, data, size, &m, &lsn, &why)) {
    case RECORD_CHANGE:
        check_roundtrip(&m, lsn);
        break;
    case RECORD_PROGRESS:
        break;
    case RECORD_BAD:
        if (why == NULL)
            abort();
        break;
    }
    record_unpacker_free(unpacker);
    return 0;
}
