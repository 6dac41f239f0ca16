/* Identity columns whose sequences the user's statements set (ALTER COLUMN … RESTART). */
#ifndef PGRECAST_OBJECTS_RESTART_H
#define PGRECAST_OBJECTS_RESTART_H

#include <stdbool.h>
#include <stdint.h>

struct restart {
    int attnum; /* of the clone */
    int64_t last_value;
    bool is_called;
};

struct restart_list {
    int count;
    struct restart *items;
};

#endif
