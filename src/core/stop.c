#include "core/stop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPEAT_MS 1000 /* within this time after the first signal, another one is the same request */

/* Signal handlers can reach nothing but file scope; this is the only state of that kind. */
static atomic_int requests;
static atomic_llong requested_at_ms; /* when the first request came */
static atomic_int held;
static const char *_Atomic last_words;
static int wake_pipe[2] = {-1, -1};

/* By the clock that a signal handler may read. */
static long long
stop_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * At the second signal the user does not want to wait for the clean-up, so the process ends here. What is
 * left is listed in the ledger in the database. A service manager or a terminal may deliver one request
 * several times (to the process and to its group), so signals within a second are one request.
 */
static void
on_signal(int signo)
{
    const char *message = atomic_load(&last_words);
    ssize_t ignored;

    (void)signo;
    if (atomic_load(&requests) > 0 && stop_now_ms() - atomic_load(&requested_at_ms) < REPEAT_MS)
        return;
    if (atomic_load(&requests) > 0) {
        ignored = message != NULL ? write(STDERR_FILENO, message, strlen(message)) : 0;
        (void)ignored;
        _exit(1);
    }
    stop_request();
}

void
stop_set_message(const char *message)
{
    atomic_store(&last_words, message);
}

void
stop_install(void)
{
    struct sigaction action, before;

    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        wake_pipe[0] = wake_pipe[1] = -1; /* waits then notice the stop only at their next time-out */
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* The terminal was closed. Not under nohup, which has the signal ignored. */
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

void
stop_request(void)
{
    ssize_t ignored;

    if (atomic_load(&requests) == 0)
        atomic_store(&requested_at_ms, stop_now_ms());
    atomic_fetch_add(&requests, 1);
    if (wake_pipe[1] >= 0) {
        ignored = write(wake_pipe[1], "", 1);
        (void)ignored;
    }
}

bool
stop_requested(void)
{
    return atomic_load(&requests) > 0 && atomic_load(&held) == 0;
}

int
stop_fd(void)
{
    return atomic_load(&held) > 0 ? -1 : wake_pipe[0];
}

void
stop_hold(void)
{
    atomic_fetch_add(&held, 1);
}

void
stop_release(void)
{
    atomic_fetch_sub(&held, 1);
}
