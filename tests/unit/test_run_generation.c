/* SPDX-License-Identifier: MIT */
/* Generations of small programs, in a loop of the test: each thing that they ask of memory, kernel
 * and loop is refused in turn, and each is reported to have ended, or was never there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/members.h"
#include "loop/reaper.h"
#include "parts/events/events.h"
#include "refusal_helpers.h"
#include "run/generation.h"

CALL(hf_held_sockets_identify, (const int *fds, size_t n, HfHeldSockets *ret), (fds, n, ret),
     EMFILE)
CALL(hf_process_begin, (const HfSpawn *spawn, HfProcess *ret, int *ret_outcome),
     (spawn, ret, ret_outcome), EAGAIN)
CALL(hf_process_program, (pid_t pid, HfProgram *ret), (pid, ret), EACCES)
CALL(hf_process_started, (pid_t pid, uint64_t *ret), (pid, ret), EMFILE)
CALL(hf_reaper_watch, (HfReaper * reaper, pid_t pid, HfReaperCallback callback, void *userdata),
     (reaper, pid, callback, userdata), ENOMEM)
CALL(sd_event_add_io,
     (sd_event * event, sd_event_source **ret, int fd, uint32_t events,
      sd_event_io_handler_t callback, void *userdata),
     (event, ret, fd, events, callback, userdata), ENOMEM)
CALL(sd_event_add_time_relative,
     (sd_event * event, sd_event_source **ret, clockid_t clock, uint64_t usec, uint64_t accuracy,
      sd_event_time_handler_t callback, void *userdata),
     (event, ret, clock, usec, accuracy, callback, userdata), ENOMEM)

typedef struct Case {
    const char *program;
    const char *argument;
    HfReadiness readiness;
    const HfStage stages[4]; /* that it is asked to pass once it runs */
    bool ready;              /* is so for certain */
    bool runs;               /* else it cannot be executed */
} Case;

static const Case *now;
static unsigned heard[HF_EVENT_MAX_]; /* how often */

static void on_happened(HfGeneration *generation, HfEventType event, void *userdata)
{
    (void)userdata;
    heard[event]++;
    assert_true(event != HF_EVENT_SPAWN_FAILED || generation->failure[0]);
    for (size_t i = 0; event == HF_EVENT_READY && i < 4 && now->stages[i] != HF_STAGE_EMPTY; i++)
        hf_generation_signal(generation, now->stages[i], 1000);
    if (event == HF_EVENT_RETIRED)
        hf_generation_continue(generation);
}

static const HfGenerationCallbacks callbacks = {.happened = on_happened};

static int make_plan(HfPlan **ret)
{
    HF_CLEANUP_TEXT HfText error = {0};
    char *const command[] = {(char[]){"/bin/true"}, NULL};
    HfSettings settings;

    hf_settings_init(&settings);
    settings.command = (char **)(uintptr_t)command;
    int r = hf_plan_of_settings(&settings, NULL, ret, &error);
    if (r < 0)
        return r;
    (*ret)->readiness = now->readiness;
    (*ret)->ready_delay = 1000;
    r = hf_string_set(&(*ret)->program, now->program);
    if (r >= 0)
        r = hf_strv_append(&(*ret)->arguments, now->program);
    if (r >= 0)
        r = hf_strv_append(&(*ret)->arguments, now->argument);
    if (r >= 0)
        r = hf_plan_place(*ret, &error);
    return r;
}

static bool is_over(void)
{
    return heard[HF_EVENT_SPAWN_FAILED] > 0 || heard[HF_EVENT_GONE] > 0;
}

/* Until it has ended, at most as long as a hang would take. */
static void await_end(HfLoop *loop, HfGeneration *generation)
{
    uint64_t until = hf_clock_monotonic() + 30 * HF_USEC_PER_SEC;

    while (!is_over() && hf_clock_monotonic() < until) {
        assert_true(sd_event_run(loop->event, HF_USEC_PER_SEC) >= 0);
        hf_reaper_sweep(loop->reaper);
        bool executed = !generation->executed && !generation->failure;
        if (heard[HF_EVENT_READY] == 0 && now->readiness == HF_READINESS_NOTIFY && executed)
            hf_generation_notify_ready(generation);
    }
    assert_true(is_over());
    assert_int_equal(heard[HF_EVENT_SPAWN_FAILED] + heard[HF_EVENT_MAIN_EXITED], 1);
    assert_true(heard[HF_EVENT_GONE] <= 1);
}

static void run_case(HfLoop *loop, const HfRuntime *runtime)
{
    HF_CLEANUP_TEXT HfText error = {0};
    HfGeneration *generation = NULL;
    HfPlan *plan = NULL;
    HfEvents events = {0};
    uint64_t processes;
    uint64_t memory;

    int r = make_plan(&plan);
    if (r >= 0) {
        r = hf_generation_spawn(loop->event, loop->reaper, runtime, plan, 0, 1, 0, HF_CAUSE_START,
                                NULL, &callbacks, &generation, &error);
        assert_true(r == 0 || refused);
        assert_true(r == 0 || error.length > 0 || error.failed || !generation);
    }
    if (r >= 0) {
        (void)hf_events_measure(&events, generation, &processes, &memory);
        (void)hf_events_measure(&events, generation, &processes, NULL);
        hf_generation_reopen(generation);
        await_end(loop, generation);
        assert_true(refused || (heard[HF_EVENT_SPAWN_FAILED] == 0) == now->runs);
        assert_true(refused || !now->ready || heard[HF_EVENT_READY] > 0);
        (void)hf_generation_serves(generation);
        hf_generation_explain_status(generation, &error);
    }
    hf_generation_free(generation);
    hf_plan_unref(plan);
}

static const Case cases[] = {
    {"/bin/true", "", HF_READINESS_NOTIFY, {0}, false, true},
    {"/bin/sleep",
     "100",
     HF_READINESS_DELAY,
     {HF_STAGE_RETIRE, HF_STAGE_STOP, HF_STAGE_TERM, HF_STAGE_KILL},
     true,
     true},
    {"/nowhere/at/all", "", HF_READINESS_NOTIFY, {0}, false, false},
};

static void a_generation_lives(void)
{
    HfRuntime runtime = {.notify = (char[]){"/nowhere"}, .lock = -1};
    HF_CLEANUP_LOOP HfLoop loop = {0};

    if (hf_loop_open(&loop) < 0)
        return;
    memset(&heard, 0, sizeof(heard));
    run_case(&loop, &runtime);
}

static void whatever_is_refused_a_generation_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        now = &cases[i];
        refuse_each(a_generation_lives);
    }
}

static int set_up(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/holdfast-unit-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_refused_a_generation_ends),
    };

    hf_log_setup(NULL, LOG_EMERG, HF_LOG_TEXT);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
