#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/stop.h"

/* One course of events: a request cannot be taken back. */
static void
test_request_hold_and_a_second_request(void **state)
{
    struct pollfd fd;
    pid_t child;
    int status;

    (void)state;
    assert_int_equal(stop_fd(), -1);
    stop_install();
    fd.fd = stop_fd();
    fd.events = POLLIN;
    assert_false(stop_requested());
    assert_int_equal(poll(&fd, 1, 0), 0);

    raise(SIGTERM);
    assert_true(stop_requested());
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_false(clock_sleep(10000));

    stop_hold();
    assert_false(stop_requested());
    assert_int_equal(stop_fd(), -1);
    assert_true(clock_sleep(1));
    stop_release();
    assert_true(stop_requested());

    child = fork();
    if (child == 0) {
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        raise(SIGINT);
        _exit(77); /* not reached: the second signal ends the process */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_request_hold_and_a_second_request)};

    return cmocka_run_group_tests_name("core/stop", tests, NULL, NULL);
}
