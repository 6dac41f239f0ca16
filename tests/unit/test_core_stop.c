#include "support.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/stop.h"

/* So that the next signal is another request. clock_sleep() ends at once after a request. */
static void
pass_a_second(void)
{
    int64_t until = clock_ms() + 1100;

    while (clock_ms() < until)
        poll(NULL, 0, 100);
}

/* A process that was started with SIGHUP ignored, as by nohup, keeps it ignored. */
static void
test_nohup(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    if (child == 0) {
        signal(SIGHUP, SIG_IGN);
        stop_install();
        raise(SIGHUP);
        _exit(stop_requested() ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* One course of events: a request cannot be taken back. */
static void
test_request_hold_and_a_second_request(void **state)
{
    struct pollfd fd;
    pid_t child;
    int status;

    (void)state;
    signal(SIGHUP, SIG_DFL); /* it is ignored where the tests run under nohup */
    assert_int_equal(stop_fd(), -1);
    stop_install();
    fd.fd = stop_fd();
    fd.events = POLLIN;
    assert_false(stop_requested());
    assert_int_equal(poll(&fd, 1, 0), 0);

    raise(SIGHUP);
    assert_true(stop_requested());
    raise(SIGTERM); /* within a second: the same request, delivered again */
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_false(clock_sleep(10000));

    stop_hold();
    assert_false(stop_requested());
    assert_int_equal(stop_fd(), -1);
    assert_true(clock_sleep(1));
    stop_release();
    assert_true(stop_requested());

    pass_a_second();
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nohup),
                                       cmocka_unit_test(test_request_hold_and_a_second_request)};

    return cmocka_run_group_tests_name("core/stop", tests, NULL, NULL);
}
