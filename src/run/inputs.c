/* SPDX-License-Identifier: MIT */
#include "run/inputs.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "format/notify.h"
#include "kernel/notify_socket.h"
#include "run/members.h"
#include "run/part.h"

#define DATAGRAMS_AT_ONCE 16   /* before other sources get their turn */
#define DATAGRAMS_QUEUED  1024 /* more than a queue holds: net.unix.max_dgram_qlen is 10 to 512 */

struct HfInputs {
    HfSupervisor *supervisor;
    int fd;
    sd_event_source *notify;
    sd_event_source *signals;
    sd_event_source *place; /* on the runtime directory; NULL: in memory */
};

static const struct {
    int signal;
    HfEvent event;
} taken[] = {
    {SIGTERM, {.type = HF_EVENT_STOP_SIGNAL}},
    {SIGINT, {.type = HF_EVENT_STOP_SIGNAL}},
    {SIGQUIT, {.type = HF_EVENT_STOP_SIGNAL}},
    {SIGHUP, {.type = HF_EVENT_REQUEST, .request = HF_REQUEST_RELOAD}},
    {SIGUSR2, {.type = HF_EVENT_REQUEST, .request = HF_REQUEST_RELOAD}},
    {SIGUSR1, {.type = HF_EVENT_REOPEN}},
};

/* Possible STOPSIGNALs of containers; holdfast gets none of these for another purpose. */
static const int stops[] = {SIGWINCH, SIGPWR, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGSTKFLT};
#define N_STOPS (sizeof(stops) / sizeof(*stops))

/* The signals we handle, counted from 0; 0 after the last. */
static int taken_signal(size_t i)
{
    const size_t n = sizeof(taken) / sizeof(*taken);

    if (i < n)
        return taken[i].signal;
    if (i < n + N_STOPS)
        return stops[i - n];
    i -= n + N_STOPS;
    return i <= (size_t)(SIGRTMAX - SIGRTMIN) ? SIGRTMIN + (int)i : 0;
}

/* A container's first process gets the STOPSIGNAL of the image, which is meant for its server. */
static HfEvent event_of_signal(const HfSupervisor *supervisor, int signal)
{
    bool image = getpid() == 1 && signal == (int)supervisor->settings->stop_signal;

    for (size_t i = 0; !image && i < sizeof(taken) / sizeof(*taken); i++)
        if (taken[i].signal == signal)
            return taken[i].event;
    return (HfEvent){.type = HF_EVENT_STOP_SIGNAL};
}

static int on_signal(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    HfSupervisor *supervisor = userdata;
    struct signalfd_siginfo info;

    (void)source;
    (void)events;
    if (read(fd, &info, sizeof(info)) != sizeof(info))
        return 0;
    const HfEvent event = event_of_signal(supervisor, (int)info.ssi_signo);
    /* WINCH from the kernel means that the terminal was resized */
    if (info.ssi_signo == SIGWINCH && info.ssi_code > 0)
        return 0;
    hf_supervisor_post(supervisor, &event);
    return 0;
}

/* ---- messages of generations ---- */

static bool speaks_for(const HfGeneration *generation, HfNotifyAccess access, pid_t pid)
{
    return !generation->main_exited &&
           (pid == generation->main.pid ||
            (access == HF_NOTIFY_ACCESS_ALL && hf_members_has(&generation->members, pid)));
}

/* The generation for which pid may speak, or NULL. */
static HfGeneration *find_speaker(const HfSupervisor *supervisor, pid_t pid)
{
    HfGeneration *speaker = hf_supervisor_find(supervisor, pid);

    for (unsigned i = 0; !speaker && i < HF_MACHINE_SLOTS; i++) {
        HfGeneration *generation = supervisor->generations[i];
        if (generation && speaks_for(generation, supervisor->settings->notify_access, pid))
            speaker = generation;
    }
    return speaker;
}

/* A main process that hands over to another one and leaves sends MAINPID= first. Messages are
 * handled before an exit, so that exit then is an ordinary process's. A MAINPID= that comes after
 * the exit is too late: the generation has crashed, and its remaining processes have been asked to
 * leave. */
static void take_main_pid(HfGeneration *generation, pid_t pid)
{
    const HfLogFields fields = {.generation = generation->number};
    unsigned long long number = generation->number;
    HfProcess process;

    if (generation->main_exited || pid == generation->main.pid)
        return;
    if (hf_members_open(&generation->members, pid, &process) <= 0) {
        if (!generation->main_refused)
            hf_log(
                LOG_WARNING, &fields,
                "generation %llu names %d as its main process (MAINPID), which is not one of its "
                "own processes; that is ignored",
                number, (int)pid);
        generation->main_refused = true;
        return;
    }
    int r = hf_generation_set_main(generation, &process);
    const HfLogFields failed = {.generation = generation->number, .error = r};
    if (r < 0)
        hf_log(LOG_ERR, &failed, "pid %d cannot be watched, the main process stays pid %d",
               (int)pid, (int)generation->main.pid);
    else
        hf_log(LOG_INFO, &fields, "the main process of generation %llu is pid %d from now on",
               number, (int)pid);
    hf_process_clear(&process);
}

/* Without memory the previous text stays. */
static void set_status(HfGeneration *generation, const char *text)
{
    if (!generation->status_text || strcmp(generation->status_text, text) != 0)
        (void)hf_string_set(&generation->status_text, text);
}

/* Extensions are counted, so one that would not prolong anything is not used up. */
static void extend(HfSupervisor *supervisor, const HfGeneration *generation, uint64_t usec)
{
    if (!hf_supervisor_waits_longer(supervisor, HF_TIMER_DEADLINE, generation->slot, usec))
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_EXTEND,
                                                  .slot = generation->slot,
                                                  .number = generation->number,
                                                  .usec = usec});
}

static void handle_message(HfSupervisor *supervisor, HfGeneration *generation,
                           const HfNotify *message)
{
    if (message->has_main_pid)
        take_main_pid(generation, (pid_t)message->main_pid);
    if (message->has_status)
        set_status(generation, message->status);
    if (message->ready)
        hf_generation_notify_ready(generation);
    if (message->alive)
        generation->alive = hf_clock_monotonic();
    if (message->trouble)
        generation->alive = 0;
    if (message->stopping)
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_LEAVING,
                                                  .slot = generation->slot,
                                                  .number = generation->number});
    if (message->has_extend_timeout)
        extend(supervisor, generation, message->extend_timeout);
}

/* The next readable message, taking at most *most datagrams. Returns false if there is none. */
static bool next(int fd, unsigned *most, HfNotify *ret, pid_t *ret_pid)
{
    char buffer[HF_NOTIFY_MAX];
    uid_t uid;

    for (; *most > 0; (*most)--) {
        ssize_t n = hf_notifysocket_receive(fd, buffer, sizeof(buffer), ret_pid, &uid);
        if (n < 0 && n != -EMSGSIZE && n != -EPROTO)
            return false;
        if (n >= 0 && hf_notify_parse(buffer, (size_t)n, ret) >= 0)
            return true;
    }
    return false;
}

/* Logged once, as it explains why such a service never becomes ready. */
static void log_refused_sender(HfGeneration *generation, HfNotifyAccess access, pid_t pid)
{
    const HfLogFields fields = {.generation = generation->number};
    HF_CLEANUP_NAMES HfProcessNames names = {0};

    if (generation->voice_refused || generation->served || generation->main_exited)
        return;
    generation->voice_refused = true;
    hf_process_names_add(&names, pid);
    hf_log(LOG_WARNING, &fields,
           access == HF_NOTIFY_ACCESS_MAIN
               ? "READY=1 from %s is ignored: it is not the main process of generation %llu (%d); "
                 "--notify-access=all accepts it from every process of the session"
               : "READY=1 from %s is ignored: it does not belong to the session of generation %llu "
                 "(%d), or has ended already",
           hf_process_names_text(&names), (unsigned long long)generation->number,
           (int)generation->main.pid);
}

static void hear(HfSupervisor *supervisor, int fd, unsigned most)
{
    HfNotifyAccess access = supervisor->settings->notify_access;
    HfNotify message;
    pid_t pid;

    for (; next(fd, &most, &message, &pid); most--) {
        HfGeneration *generation = find_speaker(supervisor, pid);
        if (generation)
            handle_message(supervisor, generation, &message);
        for (unsigned i = 0; !generation && message.ready && i < HF_MACHINE_SLOTS; i++)
            if (supervisor->generations[i])
                log_refused_sender(supervisor->generations[i], access, pid);
    }
}

void hf_inputs_canary(HfGeneration *canary, HfNotifyAccess access, int fd)
{
    unsigned most = DATAGRAMS_QUEUED;
    HfNotify message;
    pid_t pid;

    for (; next(fd, &most, &message, &pid); most--) {
        if (!speaks_for(canary, access, pid)) {
            if (message.ready)
                log_refused_sender(canary, access, pid);
            continue;
        }
        if (message.has_main_pid)
            take_main_pid(canary, (pid_t)message.main_pid);
        if (message.ready)
            hf_generation_notify_ready(canary);
    }
}

static int on_notify(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    const HfInputs *inputs = userdata;

    (void)source;
    (void)revents;
    hear(inputs->supervisor, fd, DATAGRAMS_AT_ONCE);
    return 0;
}

void hf_inputs_last_words(HfInputs *inputs)
{
    hear(inputs->supervisor, inputs->fd, DATAGRAMS_QUEUED);
}

/* ---- the runtime directory ---- */

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    (void)source;
    (void)event;
    hf_inputs_restore(userdata, false);
    return 0;
}

/* Watches anew, since the directory may have been replaced. */
static int watch_place(HfInputs *inputs)
{
    const HfRuntime *runtime = &inputs->supervisor->runtime;

    inputs->place = sd_event_source_disable_unref(inputs->place);
    return runtime->in_memory
               ? 0
               : sd_event_add_inotify(inputs->supervisor->loop, &inputs->place, runtime->directory,
                                      HF_RUNTIME_CHANGES | IN_ONLYDIR, on_change, inputs);
}

/* fd: -1: opens a new one. */
static int listen_to_services(HfInputs *inputs, int fd)
{
    const HfSupervisor *supervisor = inputs->supervisor;
    sd_event_source *source = NULL;
    HF_CLEANUP_FD int socket = fd >= 0 ? fd : hf_notifysocket_open(supervisor->runtime.notify);

    int r = socket < 0
                ? socket
                : sd_event_add_io(supervisor->loop, &source, socket, EPOLLIN, on_notify, inputs);
    if (r < 0)
        return r;
    sd_event_source_disable_unref(inputs->notify);
    hf_fd_close(inputs->fd);
    inputs->notify = source;
    inputs->fd = hf_fd_steal(&socket);
    return 0;
}

static int remake_place(HfInputs *inputs, HfText *error)
{
    HfSupervisor *supervisor = inputs->supervisor;

    int remade = hf_runtime_remake(&supervisor->runtime, supervisor->name, error);
    if (remade < 0 || hf_notifysocket_stands(supervisor->runtime.notify))
        return remade;
    int r = listen_to_services(inputs, -1);
    if (r < 0)
        hf_text_addf(error, "%s cannot be bound: %s", supervisor->runtime.notify, strerror(-r));
    return r < 0 ? r : 1;
}

static void lose_place(HfInputs *inputs, const char *why)
{
    HfRuntime *runtime = &inputs->supervisor->runtime;

    if (!runtime->lost)
        hf_log(LOG_ERR, NULL,
               "the runtime directory was removed, and %s: everything is kept in memory, and "
               "signals are the only control; create it again, and a reload uses it",
               why);
    int r = hf_runtime_lose(runtime, inputs->supervisor->name);
    if (r >= 0 && !hf_notifysocket_stands(runtime->notify))
        r = listen_to_services(inputs, -1);
    if (r < 0)
        hf_log(LOG_ERR, &(HfLogFields){.error = r}, "services cannot say that they are ready");
}

/* A php-fpm that restarts itself reads its overlay again. */
static void restore_files(const HfSupervisor *supervisor)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfGeneration *generation = supervisor->generations[i];
        int r = generation
                    ? hf_files_restore(&generation->files, generation->plan, generation->statuses)
                    : 0;
        if (r < 0)
            hf_log(LOG_WARNING, &(HfLogFields){.generation = generation->number, .error = r},
                   "%s cannot be written again", generation->files.overlay);
    }
}

void hf_inputs_restore(HfInputs *inputs, bool lose)
{
    HfSupervisor *supervisor = inputs->supervisor;
    HF_CLEANUP_TEXT HfText error = {0};
    bool in_memory = supervisor->runtime.in_memory;

    if (in_memory && !(supervisor->runtime.lost && lose))
        return;
    int r = remake_place(inputs, &error);
    if (r < 0) {
        if (lose)
            lose_place(inputs, error.length > 0 ? hf_text_peek(&error) : strerror(-r));
        return;
    }
    restore_files(supervisor);
    HF_EACH_PART (supervisor, i, placed)
        r |= supervisor->parts[i]->placed(supervisor->states[i]);
    if (r > 0)
        hf_log(LOG_WARNING, NULL,
               "the runtime directory %s, or a file in it, was removed; it is created again",
               supervisor->runtime.directory);
    if (r > 0 || !inputs->place)
        (void)watch_place(inputs);
}

static void add_taken_signals(sigset_t *set)
{
    for (size_t i = 0; taken_signal(i) > 0; i++)
        sigaddset(set, taken_signal(i));
}

int hf_inputs_block(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD); /* for the reaper */
    sigaddset(&set, SIGPIPE); /* blocked rather than ignored, as the service would inherit that */
    add_taken_signals(&set);
    return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

/* One source for all of them: sd-event would have one for each of more than forty. */
static int take_signals(HfInputs *inputs)
{
    HF_CLEANUP_FD int fd = -1;
    sigset_t set;

    sigemptyset(&set);
    add_taken_signals(&set);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int r = sd_event_add_io(inputs->supervisor->loop, &inputs->signals, fd, EPOLLIN, on_signal,
                            inputs->supervisor);
    if (r >= 0)
        r = sd_event_source_set_io_fd_own(inputs->signals, true);
    if (r >= 0)
        fd = -1; /* the source's */
    return r;
}

int hf_inputs_fd(const HfInputs *inputs)
{
    return inputs->fd;
}

int hf_inputs_new(HfSupervisor *supervisor, int fd, HfInputs **ret)
{
    HfInputs *inputs = calloc(1, sizeof(*inputs));
    if (!inputs)
        return -ENOMEM;
    inputs->supervisor = supervisor;
    inputs->fd = -1;
    if (supervisor->first == HF_EVENT_RESUME) /* then our predecessor has blocked them */
        hf_process_set_mask(hf_notes_text(&supervisor->notes, HF_NOTES_MASK));
    if (fd >= 0 && !hf_notifysocket_stands(supervisor->runtime.notify))
        fd = hf_fd_close(fd);
    int r = listen_to_services(inputs, fd);
    if (r >= 0)
        r = take_signals(inputs);
    if (r >= 0)
        r = watch_place(inputs);
    if (r < 0) {
        hf_inputs_free(inputs);
        return r;
    }
    *ret = inputs;
    return 0;
}

HfInputs *hf_inputs_free(HfInputs *inputs)
{
    if (!inputs)
        return NULL;
    sd_event_source_disable_unref(inputs->place);
    sd_event_source_disable_unref(inputs->signals);
    sd_event_source_disable_unref(inputs->notify);
    hf_fd_close(inputs->fd);
    free(inputs);
    return NULL;
}
