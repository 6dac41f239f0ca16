/* Lists of strings that own what they hold. */
#ifndef PGRECAST_CORE_LIST_H
#define PGRECAST_CORE_LIST_H

#include <stdbool.h>

struct string_list {
    int count;
    char **items;
};

void list_add(struct string_list *list, char *text); /* takes the text over */
void list_addf(struct string_list *list, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* adds a copy if the list does not have it yet */
void list_add_once(struct string_list *list, const char *text);
void list_add_all(struct string_list *list, const struct string_list *from); /* copies */
bool list_has(const struct string_list *list, const char *text);
void list_free(struct string_list *list);

/* The texts with the separator between them. The caller frees it. */
char *list_join(const struct string_list *list, const char *separator);

/* Statements as one text, to be run or stored together. The caller frees it. */
char *statements_join(const struct string_list *list);

#endif
