#include "core/stop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

/* Signal handlers can reach nothing but file scope: the one place that has it. */
static atomic_int requests;
static atomic_int held;
static int wake_pipe[2] = {-1, -1};

/*
 * The second time the user does not want to wait for the clean-up: the process ends here. What is left is in
 * the ledger of the database.
 */
static void
on_signal(int signo)
{
    static const char message[] = "\npgrecast: stopped at once; see what is left with: pgrecast status\n";
    ssize_t ignored;

    (void)signo;
    if (atomic_load(&requests) > 0) {
        ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
        (void)ignored;
        _exit(1);
    }
    stop_request();
}

void
stop_install(void)
{
    struct sigaction action;

    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        wake_pipe[0] = wake_pipe[1] = -1; /* waits then notice the stop at their next time-out */
    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

void
stop_request(void)
{
    ssize_t ignored;

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
