#include "support.h"

#include <poll.h>
#include <signal.h>

#include "core/clock.h"
#include "core/stop.h"

/* One course of events: a request cannot be taken back. */
static void
test_request_hold_and_a_second_request(void **state)
{
    struct pollfd fd;

    (void)state;
    assert_int_equal(stop_fd(), -1);
    stop_install();
    fd.fd = stop_fd();
    fd.events = POLLIN;
    assert_false(stop_requested());
    assert_int_equal(poll(&fd, 1, 0), 0);

    raise(SIGTERM);
    assert_true(stop_requested());
    assert_false(stop_at_once());
    assert_int_equal(poll(&fd, 1, 0), 1);
    assert_false(clock_sleep(10000));

    stop_hold();
    assert_false(stop_requested());
    assert_int_equal(stop_fd(), -1);
    assert_true(clock_sleep(1));
    stop_release();
    assert_true(stop_requested());

    raise(SIGINT);
    assert_true(stop_at_once());
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_request_hold_and_a_second_request)};

    return cmocka_run_group_tests_name("core/stop", tests, NULL, NULL);
}
