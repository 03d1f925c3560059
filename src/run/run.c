/* SPDX-License-Identifier: MIT */
#include "run/run.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "config/settings.h"
#include "kernel/file.h"
#include "policy/backoff.h"
#include "run/actions.h"
#include "run/activated.h"
#include "run/inputs.h"
#include "run/pid_file.h"
#include "run/reconfigure.h"

static void trace(const HfEvent *event, const HfActions *actions, HfPhase phase)
{
    HF_CLEANUP_TEXT HfText text = {0};

    for (size_t i = 0; i < actions->n; i++)
        hf_text_addf(&text, " %s", hf_action_name(actions->list[i].type));
    hf_log(LOG_DEBUG, NULL, "event %s of slot %u:%s; %s now", hf_event_name(event->type),
           event->slot, actions->n > 0 ? hf_text_peek(&text) : " nothing", hf_phase_name(phase));
}

static void call_stepped(HfSupervisor *supervisor)
{
    HF_EACH_PART (supervisor, i, stepped)
        supervisor->parts[i]->stepped(supervisor->states[i]);
}

static int on_step(sd_event_source *source, void *userdata)
{
    HfSupervisor *supervisor = userdata;
    HfActions *actions = &supervisor->actions;

    while (supervisor->n_events > 0) {
        HfEvent event = supervisor->events[supervisor->first_event];
        supervisor->n_events--;
        supervisor->first_event = (supervisor->first_event + 1) % HF_SUPERVISOR_EVENTS;
        if (supervisor->n_events == 0) /* starting over keeps the memory in use small */
            supervisor->first_event = 0;
        if (event.type == HF_EVENT_READY) /* the snapshot says so before anybody acts on it */
            call_stepped(supervisor);
        hf_actions_confirm(supervisor, &event);
        hf_machine_step(&supervisor->machine, &event, actions);
        supervisor->steps++;
        if (supervisor->settings->log_level == HF_LOG_LEVEL_DEBUG)
            trace(&event, actions, supervisor->machine.phase);
        for (size_t i = 0; i < actions->n; i++)
            hf_actions_perform(supervisor, &actions->list[i]);
    }
    call_stepped(supervisor);
    malloc_trim(0); /* memory of a preparation is not needed again soon */
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

/* Releases everything that concerns the service; harmless when repeated. */
static void detach_service(HfSupervisor *supervisor)
{
    HF_EACH_PART (supervisor, i, detach)
        supervisor->parts[i]->detach(supervisor->states[i]);
    hf_pid_file_remove(supervisor);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        supervisor->generations[i] = hf_generation_free(supervisor->generations[i]);
    for (unsigned timer = 0; timer < HF_TIMER_MAX_; timer++)
        for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
            supervisor->timers[timer][i] =
                sd_event_source_disable_unref(supervisor->timers[timer][i]);
    supervisor->prepare = hf_prepare_abort(supervisor->prepare);
    supervisor->prepared = hf_plan_unref(supervisor->prepared);
    supervisor->current = hf_plan_unref(supervisor->current);
    hf_listener_array_clear(&supervisor->activated, &supervisor->n_activated);
}

/* Closes the sockets, and ends the loop once no part has anything left to do. */
static int on_ending(sd_event_source *source, void *userdata)
{
    HfSupervisor *supervisor = userdata;

    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    supervisor->n_ending = 1;
    HF_EACH_PART (supervisor, i, end)
        supervisor->n_ending += supervisor->parts[i]->end(supervisor->states[i]);
    detach_service(supervisor);
    hf_supervisor_ended(supervisor);
    return 0;
}

static int begin_parts(HfSupervisor *supervisor, HfText *error)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && supervisor->parts[i]; i++) {
        const HfPart *part = supervisor->parts[i];
        if (part->state_size == 0)
            continue;
        supervisor->states[i] = hf_allocate(1, part->state_size);
        if (!supervisor->states[i])
            return -ENOMEM;
        *(HfSupervisor **)supervisor->states[i] = supervisor;
        r = part->begin ? part->begin(supervisor->states[i], error) : 0;
    }
    return r;
}

static int add_source(HfSupervisor *supervisor, sd_event_source **source,
                      sd_event_handler_t callback)
{
    int r = sd_event_add_defer(supervisor->loop, source, callback, supervisor);
    if (r >= 0) /* before any other source: events are decided before new input is read */
        r = sd_event_source_set_priority(*source, SD_EVENT_PRIORITY_IMPORTANT);
    return r < 0 ? r : sd_event_source_set_enabled(*source, SD_EVENT_OFF);
}

static int make_loop(HfSupervisor *supervisor)
{
    int r = sd_event_new(&supervisor->loop);
    if (r >= 0)
        r = add_source(supervisor, &supervisor->step, on_step);
    if (r >= 0)
        r = add_source(supervisor, &supervisor->ending, on_ending);
    if (r >= 0)
        r = hf_inputs_block();
    return r < 0 ? r : hf_reaper_new(supervisor->loop, &supervisor->reaper);
}

/* A resumed instance holds the lock already. */
static int claim_runtime(HfSupervisor *supervisor, HfText *error)
{
    HF_CLEANUP_TEXT HfText ignored = {0};

    supervisor->runtime.lock = hf_notes_take(&supervisor->notes, HF_NOTES_LOCK);
    if (supervisor->runtime.lock >= 0)
        return hf_runtime_remake(&supervisor->runtime, supervisor->name, &ignored) < 0
                   ? hf_runtime_lose(&supervisor->runtime, supervisor->name)
                   : 0;
    return hf_runtime_claim(&supervisor->runtime, supervisor->name, error);
}

/* The notify socket of restored generations; -1: none. */
static int take_notify(HfSupervisor *supervisor)
{
    struct stat status;

    if (supervisor->first == HF_EVENT_START || lstat(supervisor->runtime.notify, &status) < 0 ||
        !S_ISSOCK(status.st_mode))
        return -1;
    return hf_notes_take(&supervisor->notes, HF_NOTES_NOTIFY);
}

static int check_kernel(HfText *error)
{
    const char *call;

    int r = hf_process_check_kernel(&call);
    if (r < 0)
        hf_text_addf(error,
                     "%s(2) is refused: %s; holdfast needs Linux 5.11 or later, and a sandbox that "
                     "allows this call (docker from 20.10.10 on, or --security-opt "
                     "seccomp=PROFILE; in a unit SystemCallFilter=@system-service)",
                     call, strerror(-r));
    return r;
}

static int take_sockets(HfSupervisor *supervisor, HfText *error)
{
    HF_CLEANUP_TEXT HfText why = {0};

    if (supervisor->first == HF_EVENT_START && hf_activated_is_anothers(&why))
        hf_log(LOG_WARNING, NULL, "%s", hf_text_peek(&why));
    return hf_activated_take(&supervisor->activated, &supervisor->n_activated, &supervisor->notes,
                             error);
}

static int set_up(HfSupervisor *supervisor, HfText *error)
{
    int r = check_kernel(error);
    if (r >= 0)
        r = hf_process_raise_files(); /* each listener, member and caller takes a descriptor */
    if (r >= 0)
        r = hf_runtime_name(supervisor->name, &supervisor->runtime);
    if (r >= 0)
        r = hf_runtime_begin(&supervisor->runtime);
    if (r >= 0)
        r = make_loop(supervisor);
    if (r >= 0)
        r = take_sockets(supervisor, error);
    if (r >= 0)
        r = begin_parts(supervisor, error);
    if (r >= 0)
        r = claim_runtime(supervisor, error);
    if (r >= 0)
        r = hf_cgroups_find(supervisor->name, supervisor->settings->cgroup == HF_CGROUP_USE_AUTO,
                            &supervisor->runtime.cgroups);
    HF_EACH_PART (supervisor, i, claimed)
        r = r < 0 ? r : supervisor->parts[i]->claimed(supervisor->states[i], error);
    if (r >= 0)
        r = hf_inputs_new(supervisor, take_notify(supervisor), &supervisor->inputs);
    if (r >= 0)
        hf_supervisor_post(supervisor, &(HfEvent){.type = supervisor->first});
    HF_EACH_PART (supervisor, i, begun)
        r = r < 0 ? r : supervisor->parts[i]->begun(supervisor->states[i], error);
    hf_notes_clear(&supervisor->notes, true);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "the instance cannot be set up: %s", strerror(-r));
    return r;
}

static void tear_down(HfSupervisor *supervisor)
{
    detach_service(supervisor);
    hf_inputs_free(supervisor->inputs);
    hf_runtime_release(&supervisor->runtime);
    for (size_t i = 0; supervisor->parts[i]; i++) {
        if (supervisor->states[i] && supervisor->parts[i]->clear)
            supervisor->parts[i]->clear(supervisor->states[i]);
        hf_freep(&supervisor->states[i]);
    }
    hf_reaper_free(supervisor->reaper);
    sd_event_source_disable_unref(supervisor->step);
    sd_event_source_disable_unref(supervisor->ending);
    sd_event_unref(supervisor->loop);
    hf_reconfigure_clear(supervisor);
    free(supervisor->failure);
    free(supervisor->unhealthy);
}

/* ---- a first start that fails again and again ---- */

#define FAILURES_BYTES 32
#define DELAY_MAX      (30 * HF_USEC_PER_SEC)

/* Does the runtime directory belong to systemd, which keeps it until it starts us again? */
static bool is_preserved(const char *directory)
{
    const char *list = getenv("RUNTIME_DIRECTORY");
    size_t length = strlen(directory);

    for (; list && *list; list += strcspn(list, ":"), list += *list == ':')
        if (strcspn(list, ":") == length && strncmp(list, directory, length) == 0)
            return true;
    return false;
}

/* Returns how many first starts have failed in a row, 0 when unknown. */
static unsigned count_failures(const HfSupervisor *supervisor)
{
    const char *directory = supervisor->runtime.directory;
    HF_CLEANUP_TEXT HfText path = {0};
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_FREE char *before = NULL;
    uint64_t n = 0;

    if (!directory || !is_preserved(directory))
        return 0;
    hf_text_addf(&path, "%s/" HF_RUNTIME_FAILURES, directory);
    if (hf_file_read(hf_text_peek(&path), FAILURES_BYTES, &before, NULL) >= 0 &&
        hf_parse_uint(before, UINT32_MAX - 1, &n) < 0)
        n = 0;
    hf_text_addf(&text, "%llu", (unsigned long long)++n);
    if (supervisor->machine.planned)
        unlink(hf_text_peek(&path));
    else if (hf_file_write(hf_text_peek(&path), hf_text_peek(&text), text.length, 0644) >= 0)
        return (unsigned)n;
    return 0;
}

/* systemd before 254 lacks RestartSteps= and would restart us at once, for ever. */
static void delay_end(unsigned failures, const HfSettings *settings)
{
    uint64_t maximum = settings->backoff_max < DELAY_MAX ? settings->backoff_max : DELAY_MAX;
    uint64_t usec = hf_backoff_delay(failures, maximum);
    const struct timespec timeout = {.tv_sec = (time_t)(usec / HF_USEC_PER_SEC),
                                     .tv_nsec = (long)(usec % HF_USEC_PER_SEC * 1000)};
    HF_CLEANUP_TEXT HfText time = {0};
    sigset_t ending;

    if (usec == 0)
        return;
    hf_text_add_time(&time, usec);
    hf_log(LOG_NOTICE, NULL, "the first start has failed %u times in a row: holdfast ends in %s",
           failures, hf_text_peek(&time));
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGQUIT);
    (void)sigtimedwait(&ending, NULL, &timeout);
}

int hf_run(const HfCommandLine *line, const HfPart *const *parts)
{
    HF_CLEANUP_FREE char *name = NULL;
    HF_CLEANUP_TEXT HfText error = {0};
    static HfSupervisor
        instance; /* static: its rings are hardly used, and on the heap they would be cleared */
    HfSupervisor *supervisor = &instance;
    const HfSettings *settings = &line->settings;
    HfMachineLimits limits;

    if (hf_name_of_instance(settings, &name) < 0) {
        hf_log(LOG_ERR, NULL, "out of memory");
        return EXIT_FAILURE;
    }
    hf_log_setup(name, hf_log_priority(settings->log_level), settings->log_format);
    supervisor->line = line;
    supervisor->parts = parts;
    supervisor->settings = settings;
    supervisor->name = name;
    supervisor->runtime.lock = -1;
    hf_reconfigure_limits(supervisor, settings, &limits);
    hf_machine_init(&supervisor->machine, &limits);
    int status = EXIT_FAILURE;
    int r = set_up(supervisor, &error);
    if (r < 0) {
        hf_log(LOG_ERR, NULL, "%s", error.length > 0 ? hf_text_peek(&error) : strerror(-r));
    } else {
        r = sd_event_loop(supervisor->loop);
        status = r < 0 ? EXIT_FAILURE : r;
    }
    unsigned failures = count_failures(supervisor);
    tear_down(supervisor);
    if (status != EXIT_SUCCESS)
        delay_end(failures, settings);
    return status;
}
