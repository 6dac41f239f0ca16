/* A list of strings that owns what it holds. */
#ifndef PGRECAST_CORE_LIST_H
#define PGRECAST_CORE_LIST_H

struct string_list {
    int count;
    char **items;
};

#endif
