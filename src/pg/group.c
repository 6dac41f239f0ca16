#include "pg/group.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/buffer.h"
#include "core/mem.h"
#include "group_members.h"

struct session_group {
    pthread_t thread;
    session_waiting waiting;
    void *arg;
    bool inside; /* .waiting is running; used by its thread only */
    pthread_mutex_t lock;
    int count;
    int *pids;
};

struct session_group *
session_group_new(session_waiting waiting, void *arg)
{
    struct session_group *g = mem_alloc(sizeof(*g));

    g->thread = pthread_self();
    g->waiting = waiting;
    g->arg = arg;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void
session_group_free(struct session_group *g)
{
    if (g == NULL)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g->pids);
    free(g);
}

char *
session_group_pids(struct session_group *g)
{
    struct buffer list = {0};

    buffer_add_char(&list, '{');
    pthread_mutex_lock(&g->lock);
    for (int i = 0; i < g->count; i++)
        buffer_printf(&list, "%s%d", i > 0 ? "," : "", g->pids[i]);
    pthread_mutex_unlock(&g->lock);
    buffer_add_char(&list, '}');
    return buffer_take(&list);
}

void
group_add(struct session_group *g, int pid)
{
    pthread_mutex_lock(&g->lock);
    g->pids = mem_array(g->pids, (size_t)g->count + 1, sizeof(*g->pids));
    g->pids[g->count++] = pid;
    pthread_mutex_unlock(&g->lock);
}

void
group_remove(struct session_group *g, int pid)
{
    pthread_mutex_lock(&g->lock);
    for (int i = 0; i < g->count; i++) {
        if (g->pids[i] == pid) {
            g->pids[i] = g->pids[--g->count];
            break;
        }
    }
    pthread_mutex_unlock(&g->lock);
}

void
group_wait(struct session_group *g, struct session *s, int64_t waited_ms)
{
    if (!pthread_equal(g->thread, pthread_self()) || g->inside)
        return;
    g->inside = true;
    g->waiting(g->arg, s, waited_ms);
    g->inside = false;
}
