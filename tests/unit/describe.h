/* Messages as text: for tests to compare, and for fuzz targets to touch all that a message points to. */
#ifndef PGRECAST_TESTS_UNIT_DESCRIBE_H
#define PGRECAST_TESTS_UNIT_DESCRIBE_H

#include "core/buffer.h"
#include "decode/message.h"

/* One line with all fields of the message in it: equal messages have equal lines. */
void message_describe(const struct message *m, struct buffer *out);

#endif
