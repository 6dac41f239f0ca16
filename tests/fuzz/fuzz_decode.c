/* Any bytes as a message of pgoutput: decoded or refused, and all of it within bounds. */
#include <stdint.h>
#include <stdlib.h>

#include "decode/message.h"
#include "describe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoder *d = decoder_new();
    struct buffer text = {0};
    struct error err = {0};
    struct message m;

    if (decoder_decode(d, data, size, &m, &err))
        message_describe(&m, &text);
    else if (err.kind != ERROR_FAILED || err.message == NULL)
        abort();
    buffer_free(&text);
    error_clear(&err);
    decoder_free(d);
    return 0;
}
