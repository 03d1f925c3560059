/* SPDX-License-Identifier: MIT */
/* What the verbs print of what an instance says, which is given here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/client.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "cli/view.h"

static struct {
    HfView views[2];
    size_t n;
    int status;
    unsigned reads; /* of --watch, before the instance has ended */
    int end;        /* by which a read says so */
    int resizes;    /* while it waits */
    bool terminal;
    bool full; /* the disk that is printed to */
    unsigned short columns;
    HfText printed;
} told;

static int forget(void **state)
{
    (void)state;
    hf_text_clear(&told.printed);
    memset(&told, 0, sizeof(told));
    told.end = -ECONNRESET;
    return 0;
}

/* Rows are of the heap: whoever has read a view clears it. */
static HfView copy_of(const HfView *view)
{
    HfView copy = *view;

    for (size_t i = 0; i < HF_VIEW_LISTS; i++) {
        const HfViewList *list = &hf_view_lists[i];
        void **rows = (void **)((char *)&copy + list->rows);
        size_t n = *(const size_t *)((const char *)view + list->n_rows);
        void *copied = calloc(n + 1, list->size);
        assert_non_null(copied);
        if (n > 0)
            memcpy(copied, *rows, n * list->size);
        *rows = copied;
    }
    return copy;
}

int __wrap_hf_views_read(const char *name, HfViews *ret, bool *ret_several);
int __wrap_hf_views_read(const char *name, HfViews *ret, bool *ret_several)
{
    (void)name;
    *ret = (HfViews){calloc(told.n + 1, sizeof(HfView)), told.n};
    assert_non_null(ret->views);
    for (size_t i = 0; i < told.n; i++)
        ret->views[i] = copy_of(&told.views[i]);
    *ret_several = told.n > 1;
    return told.status;
}

int __wrap_hf_views_read_history(const char *name, HfViews *ret);
int __wrap_hf_views_read_history(const char *name, HfViews *ret)
{
    bool several;

    return __wrap_hf_views_read(name, ret, &several);
}

int __wrap_hf_client_connect_or_log(const char *name, HfInstance *ret);
int __wrap_hf_client_connect_or_log(const char *name, HfInstance *ret)
{
    (void)name;
    *ret = (HfInstance){0};
    return told.status;
}

int __wrap_hf_view_read(sd_bus *bus, HfView *ret);
int __wrap_hf_view_read(sd_bus *bus, HfView *ret)
{
    (void)bus;
    if (told.reads == 0)
        return told.end;
    told.reads--;
    *ret = copy_of(&told.views[0]);
    return 0;
}

int __wrap_sd_bus_process(sd_bus *bus, sd_bus_message **message);
int __wrap_sd_bus_process(sd_bus *bus, sd_bus_message **message)
{
    (void)bus;
    (void)message;
    return 0;
}

static uint64_t now = 1000000;

uint64_t __wrap_hf_clock_monotonic(void);
uint64_t __wrap_hf_clock_monotonic(void)
{
    return now;
}

/* Takes no time. A signal says that the window has another size. */
int __wrap_sd_bus_wait(sd_bus *bus, uint64_t usec);
int __wrap_sd_bus_wait(sd_bus *bus, uint64_t usec)
{
    (void)bus;
    if (told.resizes-- > 0) {
        raise(SIGWINCH);
        return -EINTR;
    }
    now += usec;
    return 0;
}

int __wrap_hf_terminal_print(const HfText *text);
int __wrap_hf_terminal_print(const HfText *text)
{
    hf_text_add(&told.printed, hf_text_peek(text));
    return told.full ? HF_EXIT_FAILED : HF_EXIT_DONE;
}

ssize_t __wrap_write(int fd, const void *bytes, size_t length);
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    if (fd != STDOUT_FILENO)
        return __real_write(fd, bytes, length);
    hf_text_add_bytes(&told.printed, bytes, length);
    return (ssize_t)length;
}

int __wrap_isatty(int fd);
int __wrap_isatty(int fd)
{
    (void)fd;
    return told.terminal;
}

int __wrap_ioctl(int fd, unsigned long request, struct winsize *size);
int __wrap_ioctl(int fd, unsigned long request, struct winsize *size)
{
    (void)fd;
    if (request == TIOCGWINSZ)
        *size = (struct winsize){.ws_col = told.columns, .ws_row = told.columns / 2};
    return 0;
}

static const char *shown(void)
{
    return hf_text_peek(&told.printed);
}

static void assert_shows(const char *text)
{
    if (!strstr(shown(), text))
        fail_msg("\"%s\" is not in:\n%s", text, shown());
}

static const HfView bare = {.name = "web",
                            .version = "1",
                            .state = "starting",
                            .handover = "",
                            .spared = "",
                            .started = UINT64_MAX};

static int ask(int (*verb)(const HfCommandLine *), HfCall call)
{
    HfCommandLine line = {.call = call};

    hf_text_clear(&told.printed);
    return verb(&line);
}

static void an_instance_that_has_nothing_yet(void **state)
{
    (void)state;
    told.views[0] = bare;
    told.n = 1;
    assert_int_equal(ask(hf_cli_status, (HfCall){0}), HF_EXIT_DONE);
    assert_string_equal(shown(), "web: starting, 0 listeners\n"
                                 "holdfast 1, pid 0, up 0 seconds\n");
}

static HfViewGeneration generations[] = {
    {6, "draining", "stop", "start", 0, 1, 1, 1, 2, 4096, ""},
    {7, "active", "none", "reload", 42, 1, 1, 61000000, 1, 0, "serving"},
};
static HfViewListener listeners[] = {
    {"a", "127.0.0.1:1", "tcp", 1, 128, 9, 3, 2, 128, ""},
    {"b", "/run/b.sock", "lost", 900, 128, 9, -1, 0, 0, "its path is too long"},
};
static HfViewPool pools[] = {
    {"www", 3, 1, 4, 8, 0, 100, 0, 0, 2 << 20, ""},
    {"api", -1, -1, -1, 8, -1, -1, -1, -1, -1, "no answer within 2 s"},
};
static HfViewCache caches[] = {
    {7, 8, 100, 30, 10, 1 << 20, 1 << 20, 0, 2, ""},
    {7, 8, 100, 0, 0, 1 << 20, 1 << 20, 0, 0, ""},
    {.error = "it is switched off"},
};
static HfViewEvent events[] = {
    {"started", 0, "", "one", 1}, {"ready", 1, "start", "two\nlines\n", 0},
    {"a", 1, "", "3", 1},         {"a", 1, "", "4", 1},
    {"a", 1, "", "5", 1},         {"a", 1, "", "6", 1},
    {"a", 1, "", "7", 1},         {"a", 1, "", "8", 1},
    {"a", 1, "", "9", 1},         {"a", 1, "", "10", 1},
    {"a", 1, "", "", 1},
};

static HfView full_view(void)
{
    HfView view = bare;

    view.state = "running";
    view.started = hf_clock_realtime();
    view.replaced = view.started;
    view.generation = 7;
    view.draining = 1;
    view.failures = 1;
    view.handover = "sharing";
    view.switched_after = 1500000;
    view.gone_after = 250000;
    view.warm_listed = 10;
    view.warm_scripts = 9;
    view.warm_requests = 3;
    view.warm_failures = 1;
    view.warm_time = 1000000;
    view.generations = generations;
    view.n_generations = 2;
    view.listeners = listeners;
    view.n_listeners = 2;
    view.pools = pools;
    view.n_pools = 2;
    view.caches = caches;
    view.n_caches = 3;
    view.events = events;
    view.n_events = sizeof(events) / sizeof(*events);
    return view;
}

static void an_instance_that_has_everything(void **state)
{
    (void)state;
    told.views[0] = full_view();
    told.n = 1;
    assert_int_equal(ask(hf_cli_status, (HfCall){0}), HF_EXIT_DONE);
    assert_shows("web: running, generation 7, 1 draining, 2 listeners\n");
    assert_shows("; last replaced 0 seconds ago (reload); 1 failure\n");
    assert_shows("6  draining (stop)  start     -  0 seconds          2  4 KiB\n");
    assert_shows("7  active           reload   42  1 minute           1  0 bytes  serving\n");
    assert_shows("b         /run/b.sock (lost)    900    128        9        -\n");
    assert_shows("\n2 more wait at the other side of 127.0.0.1:1\n");
    assert_shows("api        -     -     8      -         -     -     -            -\n");
    assert_shows("no figures from api: no answer within 2 s\n");
    assert_shows(" 75% hits, emptied 2 times");
    assert_shows(" 0% hits, emptied 0 times");
    assert_shows("No figures from the opcode cache: it is switched off\n");
    assert_shows(
        "A reload hands over by sharing: /run/b.sock has one side, its path is too long\n");
    assert_shows("The last replacement: 1.5 s from the request until it served, 250 ms more until");
    assert_shows("The last warm-up: 9 of 10 scripts, 3 requests (1 failed), in 1 s\n");
    assert_shows("-  two\n                     lines\n"); /* the time of which is not known */
    assert_null(strstr(shown(), "  one\n"));              /* ten are shown */
}

static void what_is_not_known_is_left_out(void **state)
{
    (void)state;
    told.views[0] = full_view();
    HfView *view = &told.views[0];
    view->generation = 99; /* its cause is in no row */
    view->failures = 2;
    view->gone_after = 0;
    view->warm_failures = 0;
    view->n_events = 1;
    view->handover = "switch";
    listeners[1].one_side = "";
    told.n = 1;
    assert_int_equal(ask(hf_cli_status, (HfCall){0}), HF_EXIT_DONE);
    listeners[1].one_side = "its path is too long";
    assert_shows(" ago; 2 failures\n");
    assert_shows("\nA reload hands over by switch\n");
    assert_shows("until it served\n");
    assert_shows("3 requests, in");
    assert_shows("  one\n");
}

static void several_are_a_line_each(void **state)
{
    (void)state;
    static const char *const states[] = {"outage", "retrying", "replacing", "active"};

    told.terminal = true;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    told.views[0] = told.views[1] = full_view();
    told.n = 2;
    told.status = HF_EXIT_NOT_PERMITTED; /* of a third */
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        told.views[1].state = states[i];
        told.views[1].n_listeners = 1;
        assert_int_equal(ask(hf_cli_status, (HfCall){0}), HF_EXIT_NOT_PERMITTED);
        assert_shows(i < 2 ? "\033[31m" : i == 2 ? "\033[33mreplacing" : "\033[32mactive");
        assert_shows("1 draining, 1 listener\n");
    }
    told.full = true;
    assert_int_equal(ask(hf_cli_status, (HfCall){.json = true}), HF_EXIT_FAILED);
    assert_shows("{\"name\":\"web\",");
    assert_int_equal(ask(hf_cli_metrics, (HfCall){0}), HF_EXIT_FAILED);
    assert_shows("holdfast_state{name=\"web\",state=\"outage\"} 0\n");
}

static void generations_of_the_past(void **state)
{
    (void)state;
    static HfViewPast history[] = {
        {.number = 1, .cause = "start", .end = "not shown", .lifetime = 59000000},
        {2, "reload", 1, 1, 1, 250000, 120000000, 3, "exited with status 0", 0, 0, 0, 0, 0},
    };

    told.views[0] = bare;
    told.views[0].history = history;
    told.views[0].n_history = 2;
    told.n = 1;
    assert_int_equal(ask(hf_cli_history, (HfCall){0}), HF_EXIT_DONE);
    assert_shows("1  start   -");
    assert_shows("59 s               -  -\n");
    assert_shows("250 ms       2 minutes          3  exited with status 0\n");
    assert_int_equal(ask(hf_cli_history, (HfCall){.json = true}), HF_EXIT_DONE);
    assert_shows("\"number\":2,");
    told.status = HF_EXIT_NOT_RUNNING;
    assert_int_equal(ask(hf_cli_history, (HfCall){0}), HF_EXIT_NOT_RUNNING);
    assert_string_equal(shown(), "");
}

static void watched_until_it_ends(void **state)
{
    (void)state;
    told.views[0] = full_view();
    told.status = HF_EXIT_NOT_RUNNING;
    assert_int_equal(ask(hf_cli_status, (HfCall){.watch = true}), HF_EXIT_NOT_RUNNING);
    told.status = HF_EXIT_DONE;
    told.reads = 2;
    assert_int_equal(ask(hf_cli_status, (HfCall){.watch = true}), HF_EXIT_DONE);
    assert_shows("127.0.0.1:1");
    assert_shows("LAST 60 SECONDS");
    assert_shows("█"); /* 900 */
    told.reads = 1;
    assert_int_equal(ask(hf_cli_status, (HfCall){.watch = true, .json = true}), HF_EXIT_DONE);
    assert_shows("{\"name\":\"web\",");
    told.end = -ETIMEDOUT;
    assert_int_equal(ask(hf_cli_status, (HfCall){.watch = true}), HF_EXIT_FAILED);
    told.reads = 1;
    told.full = true;
    assert_int_equal(ask(hf_cli_status, (HfCall){.watch = true}), HF_EXIT_FAILED);
}

static void watched_on_a_terminal(void **state)
{
    (void)state;
    told.views[0] = full_view();
    told.terminal = true;
    told.reads = 1;
    told.columns = 20;
    told.resizes = 1; /* it is drawn again */
    told.end = -EPIPE;
    assert_int_equal(ask(hf_cli_status, (HfCall){.watch = true}), HF_EXIT_DONE);
    assert_memory_equal(shown(), "\033[?1049h", 8);
    assert_non_null(strstr(strstr(shown(), "\033[H") + 1, "\033[H"));
    assert_shows("\033[?1049l");
}

static void a_graph_has_sixty_bars(void **state)
{
    (void)state;
    told.views[0] = full_view();
    told.reads = 70;
    told.end = -ENOTCONN;
    assert_int_equal(ask(hf_cli_status, (HfCall){.watch = true}), HF_EXIT_DONE);
    const char *last = strrchr(shown(), 'Q'); /* of QUEUE */
    size_t n = 0;
    for (const char *bar = last; (bar = strstr(bar, "█")); bar++)
        n++;
    assert_int_equal(n, 60);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_instance_that_has_nothing_yet, forget),
        cmocka_unit_test_setup(an_instance_that_has_everything, forget),
        cmocka_unit_test_setup(what_is_not_known_is_left_out, forget),
        cmocka_unit_test_setup(several_are_a_line_each, forget),
        cmocka_unit_test_setup(generations_of_the_past, forget),
        cmocka_unit_test_setup(watched_until_it_ends, forget),
        cmocka_unit_test_setup(watched_on_a_terminal, forget),
        cmocka_unit_test_setup(a_graph_has_sixty_bars, forget),
    };

    hf_log_setup(NULL, LOG_INFO, HF_LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, forget);
}
