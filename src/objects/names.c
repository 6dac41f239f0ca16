#include "objects/names.h"

#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

char *
name_with_suffix(const char *name, const char *suffix)
{
    size_t room = NAME_BYTES - strlen(suffix);
    size_t len = strlen(name);

    if (len > room) {
        len = room;
        while (len > 0 && ((unsigned char)name[len] & 0xC0) == 0x80)
            len--;
    }
    return mem_printf("%.*s%s", (int)len, name, suffix);
}

char *
name_unlike(const char *name, const char *suffix, struct string_list *taken)
{
    char *unlike = name_with_suffix(name, suffix);

    for (int i = 2; list_has(taken, unlike); i++) {
        char *numbered = mem_printf("%s%d", suffix, i);

        free(unlike);
        unlike = name_with_suffix(name, numbered);
        free(numbered);
    }
    list_add(taken, mem_strdup(unlike));
    return unlike;
}

const char *
name_map_find(const struct name_map *map, const char *final)
{
    for (int i = 0; map != NULL && i < map->count; i++)
        if (strcmp(map->pairs[i].final, final) == 0)
            return map->pairs[i].shadow;
    return final;
}

void
name_map_add(struct name_map *map, const char *final, char *shadow)
{
    map->pairs = mem_array(map->pairs, (size_t)map->count + 1, sizeof(*map->pairs));
    map->pairs[map->count++] = (struct name_pair){.final = mem_strdup(final), .shadow = shadow};
}

void
name_map_free(struct name_map *map)
{
    for (int i = 0; i < map->count; i++) {
        free(map->pairs[i].final);
        free(map->pairs[i].shadow);
    }
    free(map->pairs);
    *map = (struct name_map){0};
}
