/* SPDX-License-Identifier: MIT */
#include "run/generation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "loop/reaper.h"
#include "run/generation_files.h"
#include "run/plan.h"

static void report_event(HfGeneration *generation, HfEventType event)
{
    generation->callbacks.happened(generation, event, generation->callbacks.userdata);
}

static void leave_ready_watch(HfGeneration *generation)
{
    generation->pid_file_watch = sd_event_source_disable_unref(generation->pid_file_watch);
    generation->alive_timer = sd_event_source_disable_unref(generation->alive_timer);
    if (generation->relay)
        generation->relays->ignore(generation->relay);
}

/* The program executed first may have been a script that has since executed the service. */
void hf_generation_learn_program(HfGeneration *generation)
{
    if (!generation->main_exited)
        hf_process_program(generation->main.pid, &generation->program);
}

static void learn_start(HfGeneration *generation)
{
    if (hf_process_started(generation->main.pid, &generation->started) < 0)
        generation->started = 0; /* it has ended already */
}

static void explain_outcome(HfGeneration *generation, int r, HfSpawnStage stage)
{
    static const char *const stages[] = {
        [HF_SPAWN_FORK] = "no process can be created",
        [HF_SPAWN_SESSION] = "no session can be created",
        [HF_SPAWN_CAPABILITIES] = "its capabilities cannot be narrowed",
        [HF_SPAWN_USER] = "its user and group cannot be set",
        [HF_SPAWN_DIRECTORY] = "its working directory cannot be entered",
        [HF_SPAWN_DESCRIPTORS] = "its sockets cannot be handed over",
        [HF_SPAWN_EXEC] = "it cannot be executed",
        [HF_SPAWN_INTERPRETER] = HF_SPAWN_NO_INTERPRETER,
    };
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "%s: %s: %s", generation->plan->program, stages[stage], strerror(-r));
    const char *why = text.failed ? "out of memory" : hf_text_peek(&text);
    if (hf_string_set(&generation->failure, why) < 0)
        generation->failure = NULL; /* so its end is an ordinary one */
}

/* Until now it was holdfast's own program. If readiness is a delay, it begins now. */
static void on_executed(HfGeneration *generation)
{
    hf_subgroup_entered(&generation->subgroup, generation->number, generation->main.pid);
    hf_generation_learn_program(generation);
    if (!generation->alive_timer)
        return;
    sd_event_source_set_time_relative(generation->alive_timer, generation->plan->ready_delay);
    sd_event_source_set_enabled(generation->alive_timer, SD_EVENT_ONESHOT);
}

static void learn_outcome(HfGeneration *generation)
{
    HfSpawnStage stage = HF_SPAWN_FORK;

    if (!generation->executed)
        return;
    int r = hf_process_outcome(sd_event_source_get_io_fd(generation->executed), &stage);
    if (r == HF_SPAWN_PENDING)
        return;
    generation->executed = sd_event_source_disable_unref(generation->executed);
    if (r < 0)
        explain_outcome(generation, r, stage); /* the process ends now, which is the event */
    else
        on_executed(generation);
}

static int on_outcome(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)fd;
    (void)revents;
    learn_outcome(userdata);
    return 0;
}

void hf_generation_ready(HfGeneration *generation)
{
    learn_outcome(generation);
    leave_ready_watch(generation);
    hf_generation_learn_program(generation);
    generation->served = true;
    generation->alive = hf_clock_monotonic();
    generation->plan->failures = 0;
    if (!generation->main_exited)
        report_event(generation, HF_EVENT_READY);
}

void hf_generation_notify_ready(HfGeneration *generation)
{
    HfReadiness readiness = generation->plan->readiness;

    if (readiness == HF_READINESS_NOTIFY || readiness == HF_READINESS_DELAY)
        hf_generation_ready(generation);
}

/* A pid file with another pid says nothing about this generation. */
static int on_pid_file(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    HfGeneration *generation = userdata;

    (void)source;
    (void)event;
    if (hf_files_pid(&generation->files) == generation->main.pid)
        hf_generation_ready(generation);
    return 0;
}

static int on_alive(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    hf_generation_ready(userdata);
    return 0;
}

static int watch_ready(HfGeneration *generation, const HfRuntime *runtime)
{
    switch (generation->plan->readiness) {
    case HF_READINESS_PIDFILE:
        return hf_files_watch(&generation->files, runtime, generation->loop, on_pid_file,
                              generation, &generation->pid_file_watch);
    case HF_READINESS_DELAY:
        return sd_event_add_time_relative(generation->loop, &generation->alive_timer,
                                          CLOCK_MONOTONIC, generation->plan->ready_delay,
                                          HF_LOOP_ACCURACY(generation->plan->ready_delay), on_alive,
                                          generation);
    case HF_READINESS_LOG: /* the relay, made with the service, tells; for a start begun by another
                              holdfast there is none, and the deadline passes */
    case HF_READINESS_NOTIFY:
        return 0;
    case HF_READINESS_AUTO:
    case HF_READINESS_MAX_:
        break;
    }
    return -EINVAL;
}

void hf_generation_main_exited(HfGeneration *generation, const siginfo_t *info)
{
    generation->main_watch = sd_event_source_disable_unref(generation->main_watch);
    generation->status = *info;
    generation->oom_verdict = hf_oom_look(&generation->oom);
    generation->main_exited = true;
    generation->plan->failures += !generation->served;
    generation->members.main = 0;
    leave_ready_watch(generation);
    report_event(generation, HF_EVENT_MAIN_EXITED);
    if (generation->members.sockets.n > 0 && generation->asked != 0 && !generation->killed)
        hf_members_pass_on(&generation->members, generation->asked);
    else if (generation->members.set)
        hf_process_set_await(generation->members.set);
}

static void on_main_exit(const siginfo_t *info, void *userdata)
{
    HfGeneration *generation = userdata;

    learn_outcome(generation);
    if (generation->failure && !generation->served) {
        generation->status = *info;
        generation->main_exited = true;
        leave_ready_watch(generation);
        report_event(generation, HF_EVENT_SPAWN_FAILED);
        return;
    }
    if (generation->callbacks.last_words)
        generation->callbacks.last_words(generation, generation->callbacks.userdata);
    if (generation->main.pid == info->si_pid)
        hf_generation_main_exited(generation, info);
}

/* A main process named by MAINPID= becomes our child, and is reaped, only once its parent leaves;
 * until then only its pidfd reports its end. */
static int on_main_ended(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfGeneration *generation = userdata;
    const siginfo_t unknown = {.si_pid = generation->main.pid};
    pid_t parent;

    (void)fd;
    (void)revents;
    if (hf_process_parent(generation->main.pid, &parent) == 0 && parent == getpid()) {
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return 0;
    }
    hf_reaper_forget(generation->reaper, generation->main.pid);
    hf_generation_main_exited(generation, &unknown);
    return 0;
}

int hf_generation_set_main(HfGeneration *generation, HfProcess *process)
{
    sd_event_source *watch = NULL;

    int r = hf_reaper_watch(generation->reaper, process->pid, on_main_exit, generation);
    if (r < 0)
        return r;
    r = sd_event_add_io(generation->loop, &watch, process->pidfd, EPOLLIN, on_main_ended,
                        generation);
    if (r < 0) {
        hf_reaper_forget(generation->reaper, process->pid);
        return r;
    }
    hf_reaper_forget(generation->reaper, generation->main.pid);
    sd_event_source_disable_unref(generation->main_watch);
    hf_process_clear(&generation->main);
    generation->main_watch = watch;
    generation->main = *process;
    generation->members.main = process->pid;
    *process = HF_PROCESS_NONE;
    hf_generation_learn_program(generation);
    learn_start(generation);
    return 0;
}

/* ---- its members ---- */

int *hf_generation_sockets(const HfGeneration *generation)
{
    size_t n = generation->plan->n_listeners;
    int *fds = hf_allocate(n + 1, sizeof(*fds));

    if (!fds)
        return NULL;
    for (size_t i = 0; i < n; i++)
        fds[i] = hf_listener_fd(generation->listeners[i], generation->side);
    return fds;
}

/* Background processes of its scripts go on. */
static void on_members_gone(void *userdata)
{
    HfGeneration *generation = userdata;
    const HfLogFields fields = {.generation = generation->number};
    HF_CLEANUP_NAMES HfProcessNames names = {0};

    if (generation->gone)
        return;
    generation->gone = true;
    hf_members_name_all(&generation->members, &names);
    if (names.n > 0)
        hf_log(LOG_NOTICE, &fields, "generation %llu leaves in the background: %s",
               (unsigned long long)generation->number, hf_process_names_text(&names));
    report_event(generation, HF_EVENT_GONE);
}

static void on_members_retired(void *userdata)
{
    report_event(userdata, HF_EVENT_RETIRED);
}

bool hf_generation_serves(const HfGeneration *generation)
{
    const HfPlan *plan = generation->plan;
    HF_CLEANUP_FREE int *fds = NULL;

    if (!generation->served)
        return false;
    if (!plan->adapter->retires && !(fds = hf_generation_sockets(generation)))
        return false;
    return hf_members_serve(&generation->members, fds, plan->n_listeners);
}

static int begin_members(HfGeneration *generation)
{
    const HfPlan *plan = generation->plan;
    const HfMembersCallbacks callbacks = {
        .gone = on_members_gone,
        .retired = on_members_retired,
        .userdata = generation,
        .owed = &generation->owed,
    };

    generation->members = (HfMembers){
        .service = {generation->session, generation->subgroup.path, &generation->program,
                    plan->adapter->program},
        .keeper = plan->adapter->keeper,
        .began = generation->started,
        .kill_mode = plan->kill_mode,
        .main = generation->main_exited ? 0 : generation->main.pid,
        .number = generation->number,
    };
    HF_CLEANUP_FREE int *fds = plan->adapter->leaks ? NULL : hf_generation_sockets(generation);
    if (fds) /* if that fails, as before Linux 5.14, only the program counts */
        (void)hf_held_sockets_identify(fds, plan->n_listeners, &generation->members.sockets);
    return hf_members_begin(&generation->members, generation->loop, &callbacks);
}

/* ---- its start ---- */

static int write_files(HfGeneration *generation, const HfRuntime *runtime)
{
    int r =
        hf_scoreboard_make(generation->plan, runtime, generation->number, &generation->statuses);

    return r < 0 ? r
                 : hf_files_make(generation->plan, runtime, generation->number,
                                 generation->statuses, &generation->files);
}

static int make_arguments(const HfGeneration *generation, char ***ret)
{
    HF_CLEANUP_STRV char **arguments = NULL;

    int r = hf_strv_copy(generation->plan->arguments, &arguments);
    if (r >= 0 && generation->files.overlay)
        r = hf_plan_overlay_arguments(generation->plan, generation->files.overlay, &arguments);
    if (r >= 0)
        *ret = HF_STEAL(arguments);
    return r;
}

static int make_environment(const HfGeneration *generation, const HfRuntime *runtime, char ***ret)
{
    HF_CLEANUP_TEXT HfText notify = {0};
    HF_CLEANUP_TEXT HfText watchdog = {0};
    HF_CLEANUP_STRV char **own = NULL;

    hf_text_addf(&notify, "NOTIFY_SOCKET=%s", runtime->notify);
    hf_text_addf(&watchdog, "WATCHDOG_USEC=%llu", (unsigned long long)generation->plan->watchdog);
    int r = hf_strv_copy(generation->plan->environment, &own);
    if (r >= 0)
        r = hf_strv_append(&own, hf_text_peek(&notify));
    if (r >= 0 && generation->plan->watchdog != HF_USEC_INFINITY)
        r = hf_strv_append(&own, hf_text_peek(&watchdog));
    if (r >= 0)
        r = hf_plan_number_environment(generation->plan, generation->number, &own);
    if (r >= 0)
        r = hf_environment_make(generation->plan->placement.environment, (const char *const *)own,
                                ret);
    return r;
}

static int watch_main(HfGeneration *generation, int *outcome)
{
    generation->session = generation->main.pid;
    learn_start(generation);
    if (generation->alive_timer)
        sd_event_source_set_enabled(generation->alive_timer, SD_EVENT_OFF);
    int r = begin_members(generation);
    if (r < 0)
        return r;
    r = sd_event_add_io(generation->loop, &generation->executed, *outcome, EPOLLIN, on_outcome,
                        generation);
    if (r >= 0)
        r = sd_event_source_set_io_fd_own(generation->executed, true);
    if (r < 0)
        return r;
    hf_fd_steal(outcome);
    return hf_reaper_watch(generation->reaper, generation->main.pid, on_main_exit, generation);
}

/* Returns -1 for none. A canary must not read input meant for the service. */
static int find_input(const HfGeneration *generation)
{
    const HfPlan *plan = generation->plan;

    if (plan->placement.on_stdin)
        return hf_listener_fd(generation->listeners[0], generation->side);
    return plan->standard_input == HF_STDIN_INHERIT && generation->number > 0 ? STDIN_FILENO : -1;
}

static int run_main(HfGeneration *generation, const HfRuntime *runtime, int output)
{
    const HfPlan *plan = generation->plan;
    HF_CLEANUP_STRV char **arguments = NULL;
    HF_CLEANUP_STRV char **environment = NULL;
    HF_CLEANUP_FREE int *fds =
        hf_allocate(plan->placement.n_sources + HF_FILES_PASSED_MAX, sizeof(*fds));
    HF_CLEANUP_FD int outcome = -1;

    if (!fds)
        return -ENOMEM;
    for (size_t i = 0; i < plan->placement.n_sources; i++)
        fds[i] =
            hf_listener_fd(generation->listeners[plan->placement.sources[i]], generation->side);
    size_t n_fds = plan->placement.n_sources +
                   hf_files_pass(&generation->files, fds + plan->placement.n_sources);
    int r = make_arguments(generation, &arguments);
    if (r >= 0)
        r = make_environment(generation, runtime, &environment);
    if (r < 0)
        return r;
    int out = output;
    int err = output;
    if (plan->readiness == HF_READINESS_LOG && generation->relays)
        r = generation->relays->begin(generation->relays->userdata, generation, output, &out, &err,
                                      &generation->relay);
    if (r < 0)
        return r;
    const HfSpawn spawn = {
        .program = plan->program,
        .argv = arguments,
        .envp = environment,
        .listen_pid = plan->placement.listen_pid,
        .directory = plan->directory,
        .stdin_fd = find_input(generation),
        .stdout_fd = out,
        .stderr_fd = err,
        .fds = fds,
        .n_fds = n_fds,
        .session = true,
        .credentials = &plan->credentials,
        .cgroup = generation->subgroup.directory ? &generation->subgroup.procs : NULL,
    };
    hf_oom_begin(&generation->oom, generation->cgroups, &generation->subgroup);
    r = hf_process_begin(&spawn, &generation->main, &outcome);
    if (generation->relay)
        generation->relays->spawned(generation->relay);
    return r < 0 ? r : watch_main(generation, &outcome);
}

int hf_generation_spawn(sd_event *loop, HfReaper *reaper, const HfRuntime *runtime, HfPlan *plan,
                        unsigned slot, uint64_t number, unsigned side, HfCause cause,
                        const HfStandIn *stand_in, const HfGenerationCallbacks *callbacks,
                        HfGeneration **ret, HfText *error)
{
    HfGeneration *generation = hf_allocate(1, sizeof(*generation));
    if (!generation)
        return -ENOMEM;
    *generation = HF_GENERATION_NONE;
    generation->number = number;
    generation->slot = slot;
    generation->side = side;
    generation->cause = cause;
    generation->plan = hf_plan_ref(plan);
    generation->listeners = stand_in ? stand_in->listeners : plan->listeners;
    generation->loop = loop;
    generation->reaper = reaper;
    generation->callbacks = *callbacks;
    generation->cgroups = &runtime->cgroups;
    generation->relays = runtime->relays;
    generation->spawned = hf_clock_monotonic();

    int r = plan->adapter->overlay ? write_files(generation, runtime) : 0;
    if (r < 0)
        hf_text_addf(error, "%s cannot be written: %s",
                     generation->files.overlay ? generation->files.overlay : "its overlay",
                     strerror(-r));
    if (r >= 0)
        r = watch_ready(generation, runtime);
    if (r >= 0)
        r = hf_subgroup_make(generation->cgroups, number, &generation->subgroup);
    if (r >= 0)
        r = run_main(generation, runtime, stand_in ? stand_in->output : -1);
    if (r < 0) {
        if (error->length == 0)
            hf_text_addf(error, "%s cannot be started: %s", plan->program, strerror(-r));
        if (generation->main.pid > 0)
            hf_process_signal(generation->main.pidfd, SIGKILL);
        hf_generation_free(generation);
        return r;
    }
    *ret = generation;
    return 0;
}

/* Whether it is our child only shows when it ends. */
static int watch_restored(HfGeneration *generation, const HfRuntime *runtime, bool starting)
{
    int r = hf_reaper_watch(generation->reaper, generation->main.pid, on_main_exit, generation);

    if (r >= 0)
        r = sd_event_add_io(generation->loop, &generation->main_watch, generation->main.pidfd,
                            EPOLLIN, on_main_ended, generation);
    return r >= 0 && starting ? watch_ready(generation, runtime) : r;
}

int hf_generation_restore(HfGeneration *generation, sd_event *loop, HfReaper *reaper,
                          const HfRuntime *runtime, bool starting,
                          const HfGenerationCallbacks *callbacks)
{
    hf_plan_ref(generation->plan);
    generation->listeners = generation->plan->listeners;
    generation->loop = loop;
    generation->reaper = reaper;
    generation->callbacks = *callbacks;
    generation->cgroups = &runtime->cgroups;
    bool ready = starting && generation->served; /* that has not been handled yet */
    generation->served |= !starting;
    generation->alive = hf_clock_monotonic();
    if (generation->session == 0)
        generation->session = generation->main.pid;
    int r =
        hf_subgroup_find(generation->cgroups, generation->number,
                         generation->main_exited ? 0 : generation->main.pid, &generation->subgroup);
    int owed = generation->owed;
    int begun = begin_members(generation);
    r = r < 0 ? r : begun;
    hf_oom_begin(&generation->oom, generation->cgroups, &generation->subgroup);
    if (r >= 0 && !generation->main_exited)
        r = watch_restored(generation, runtime, starting);
    if (generation->main_exited && begun >= 0 && owed != 0)
        hf_process_set_signal(generation->members.set, owed);
    else if (generation->main_exited && begun >= 0)
        hf_process_set_await(generation->members.set);
    else if (generation->pid_file_watch)
        on_pid_file(NULL, NULL, generation);
    if (ready)
        hf_generation_ready(generation);
    return r;
}

HfGeneration *hf_generation_free(HfGeneration *generation)
{
    if (!generation)
        return NULL;
    leave_ready_watch(generation);
    sd_event_source_disable_unref(generation->executed);
    if (generation->relay)
        generation->relays->forget(generation->relay);
    hf_members_end(&generation->members);
    if (generation->main.pid > 0)
        hf_reaper_forget(generation->reaper, generation->main.pid);
    sd_event_source_disable_unref(generation->main_watch);
    hf_process_clear(&generation->main);
    hf_subgroup_clear(&generation->subgroup);
    hf_cgroups_sweep(generation->cgroups);
    hf_oom_clear(&generation->oom);
    hf_files_remove(&generation->files);
    free(generation->status_text);
    free(generation->failure);
    hf_scoreboard_remove(generation->plan, generation->statuses);
    free(generation->statuses);
    hf_plan_unref(generation->plan);
    free(generation);
    return NULL;
}
