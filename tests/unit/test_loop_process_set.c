/* SPDX-License-Identifier: MIT */
#include "child_helpers.h"

#include "base/parse.h"
#include "loop/process_set.h"

#define CHILDREN 12

/* Children of the test that do not end on TERM, as they ignore it; and what a set does to them. */
typedef struct Children {
    sd_event *loop;
    HfProcess list[CHILDREN];
    HfProcessList listed;
    HfProcessSet *set;
    int spared; /* signal that none is sent */
    size_t sent[SIGTERM + 1];
    pid_t last; /* that was sent one */
    size_t rounds;
    bool gone;
} Children;

static int count_signal(pid_t pid, int signal, void *userdata)
{
    Children *children = userdata;

    assert_in_range(signal, 1, SIGTERM);
    children->sent[signal]++;
    children->last = pid;
    return signal == children->spared ? 0 : signal;
}

static void on_gone(void *userdata)
{
    Children *children = userdata;

    children->gone = true;
    sd_event_exit(children->loop, 0);
}

static void open_children(Children *children, size_t n, const char *does)
{
    const HfProcessSetSpec spec = {
        .match = hf_process_is_listed,
        .wanted = &children->listed,
        .who = "the test",
        .signal_for = count_signal,
        .gone = on_gone,
        .userdata = children,
    };

    assert_int_equal(sd_event_new(&children->loop), 0);
    for (size_t i = 0; i < n; i++) {
        HfSpawn spawn = spawning("/bin/sh", STRINGS("sh", "-c", does, "sh"));
        int ready[2];
        char byte;
        HfSpawnStage stage;
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        spawn.stdout_fd = ready[1];
        assert_int_equal(hf_process_spawn(&spawn, &children->list[i], &stage), 0);
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        assert_int_equal(hf_process_list_add(&children->listed, children->list[i].pid), 0);
    }
    HfProcessSetSpec full = spec;
    full.loop = children->loop;
    assert_int_equal(hf_process_set_new(&full, &children->set), 0);
}

static void close_children(Children *children)
{
    hf_process_set_free(children->set);
    for (size_t i = 0; i < CHILDREN; i++)
        if (children->list[i].pid > 0) {
            hf_process_signal(children->list[i].pidfd, SIGKILL);
            reap(&children->list[i]);
        }
    hf_process_list_clear(&children->listed);
    sd_event_unref(children->loop);
}

#define STAYS  "trap '' TERM; echo; exec sleep 100"
#define LEAVES "echo; exec sleep 100"

static void what_ignores_term_is_killed(void **state)
{
    Children children = {0};

    (void)state;
    open_children(&children, 1, STAYS);
    hf_process_set_end(children.set, &(HfEscalation){.first = SIGTERM, .patience = 1});
    assert_int_equal(sd_event_loop(children.loop), 0);
    assert_true(children.gone);
    assert_int_equal(children.sent[SIGTERM], 1);
    assert_int_equal(children.sent[SIGKILL], 1);
    assert_false(hf_process_set_left_some(children.set));
    siginfo_t info = reap(&children.list[0]);
    assert_int_equal(info.si_status, SIGKILL);
    close_children(&children);
}

/* Stuck in the kernel, or so it seems: KILL does not arrive. */
static void after_ten_kills_it_is_left_behind(void **state)
{
    Children children = {.spared = SIGKILL};

    (void)state;
    open_children(&children, 1, STAYS);
    hf_process_set_end(children.set, &(HfEscalation){.first = SIGKILL, .patience = 1});
    while (!children.gone) {
        hf_process_set_escalate(children.set);
        assert_true(sd_event_run(children.loop, UINT64_MAX) >= 0);
    }
    assert_int_equal(children.sent[SIGKILL], 10);
    assert_true(hf_process_set_left_some(children.set));
    assert_false(hf_process_set_signal(children.set, SIGKILL));
    close_children(&children);
}

/* Who can be signalled is, however few descriptors there may be. */
static void more_than_there_may_be_descriptors(void **state)
{
    Children children = {0};

    (void)state;
    open_children(&children, CHILDREN, LEAVES);
    struct rlimit old = limit_fds(8);
    hf_process_set_end(children.set, &(HfEscalation){.first = SIGTERM, .patience = UINT32_MAX});
    assert_int_equal(sd_event_loop(children.loop), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(children.gone);
    assert_int_equal(children.sent[SIGTERM], CHILDREN);
    assert_int_equal(children.sent[SIGKILL], 0);
    close_children(&children);
}

static void on_asked(void *userdata)
{
    sd_event_exit(((Children *)userdata)->loop, 0);
}

/* One after another; what comes to light while they are asked hears of it later. */
static void they_are_asked_one_by_one(void **state)
{
    Children children = {0};

    (void)state;
    open_children(&children, 3, STAYS);
    hf_process_set_ask(children.set, SIGTERM, 1, HF_USEC_INFINITY, on_asked);
    assert_int_equal(children.sent[SIGTERM], 0);
    assert_int_equal(sd_event_loop(children.loop), 0);
    assert_int_equal(children.sent[SIGTERM], 2 * 3); /* who is asked is looked up once more */
    assert_false(children.gone);
    close_children(&children);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ignores_term_is_killed),
        cmocka_unit_test(after_ten_kills_it_is_left_behind),
        cmocka_unit_test(more_than_there_may_be_descriptors),
        cmocka_unit_test(they_are_asked_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
