#include "parts/inherit/takeover.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/parse.h"
#include "kernel/members.h"
#include "run/pid_file.h"
#include "run/reaper.h"
#include "run/supervisor.h"

#define SETTLE_TIME   (100 * HF_USEC_PER_MSEC)
#define PACE          (5 * HF_USEC_PER_MSEC) /* between two workers */
#define TERM_TIMEOUT  (5 * HF_USEC_PER_SEC)
#define KILL_INTERVAL (1 * HF_USEC_PER_SEC)

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata);
static void go_on(HfTakeover *takeover);

static int arm(HfTakeover *takeover, sd_event_source **source, uint64_t usec,
               sd_event_time_handler_t handler)
{
    *source = sd_event_source_disable_unref(*source);
    return sd_event_add_time_relative(takeover->supervisor->loop, source, CLOCK_MONOTONIC, usec,
                                      HF_LOOP_ACCURACY(usec), handler, takeover);
}

/* ---- who is to leave ---- */

static bool runs_the_same(const HfTakeover *takeover, pid_t pid)
{
    HfProgram program;

    return hf_process_program(pid, &program) >= 0 && hf_program_same(&program, &takeover->program);
}

/* Of the old server: the processes that listen with it. Ours have the sockets by now, too. */
static int find_holders(const HfTakeover *takeover, HfProcess **ret, size_t *ret_n)
{
    HF_CLEANUP_FREE int *fds = calloc(takeover->n_held, sizeof(*fds));
    HfProcess *found;
    size_t n_found;
    size_t n = 0;

    if (!fds)
        return -ENOMEM;
    for (size_t i = 0; i < takeover->n_held; i++)
        fds[i] = takeover->held[i]->fd;
    int r = hf_process_socket_holders(fds, takeover->n_held, false, &found, &n_found);
    if (r < 0)
        return r;
    for (size_t i = 0; i < n_found; i++) {
        if (!hf_process_is_descendant(found[i].pid) && runs_the_same(takeover, found[i].pid)) {
            HfProcess process = found[i];
            found[i] = HF_PROCESS_NONE;
            found[n++] = process;
        } else {
            hf_process_clear(&found[i]);
        }
    }
    *ret = found;
    *ret_n = n;
    return 0;
}

static bool are_all_gone(const HfTakeover *takeover)
{
    for (size_t i = 0; i < takeover->n_members; i++) {
        int enabled = SD_EVENT_OFF;
        sd_event_source_get_enabled(takeover->members[i].source, &enabled);
        if (enabled != SD_EVENT_OFF)
            return false;
    }
    return true;
}

static int on_member_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfTakeover *takeover = userdata;

    (void)fd;
    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    if (are_all_gone(takeover))
        go_on(takeover);
    return 0;
}

static int watch(HfTakeover *takeover, HfProcess *process)
{
    HfTakeoverMember *grown =
        reallocarray(takeover->members, takeover->n_members + 1, sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    takeover->members = grown;
    HfTakeoverMember *member = &grown[takeover->n_members++];
    *member = (HfTakeoverMember){.process = *process};
    *process = HF_PROCESS_NONE;
    return sd_event_add_io(takeover->supervisor->loop, &member->source, member->process.pidfd,
                           EPOLLIN, on_member_exit, takeover);
}

/* Adds those that are not known, which are all when none of the known ones lives. */
static int gather(HfTakeover *takeover)
{
    HfProcess *found;
    size_t n;

    int r = takeover->phpfpm
                ? hf_process_children(takeover->holder.pid, &takeover->program, &found, &n)
                : find_holders(takeover, &found, &n);
    if (r < 0)
        return r;
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = watch(takeover, &found[i]);
    hf_process_array_free(found, n);
    return r;
}

/* ---- asking them ---- */

static void send_all(const HfTakeover *takeover)
{
    for (size_t i = 0; i < takeover->n_members; i++)
        hf_process_signal(takeover->members[i].process.pidfd, takeover->signal);
}

static int stop_signal(const HfTakeover *takeover)
{
    return takeover->phpfpm ? SIGQUIT : takeover->supervisor->current->stop_signal;
}

/* One after another, so that the load moves over little by little. */
static int on_pace(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfTakeover *takeover = userdata;

    (void)source;
    (void)usec;
    if (takeover->asked < takeover->n_members)
        hf_process_signal(takeover->members[takeover->asked++].process.pidfd, takeover->signal);
    if (takeover->asked < takeover->n_members &&
        arm(takeover, &takeover->pace, PACE, on_pace) < 0) {
        send_all(takeover);
        takeover->asked = takeover->n_members;
    }
    return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfTakeover *takeover = userdata;
    bool hurried = takeover->signal == SIGTERM || takeover->signal == SIGKILL;

    (void)source;
    (void)usec;
    takeover->signal = hurried ? SIGKILL : SIGTERM;
    takeover->asked = takeover->n_members;
    hf_log(LOG_WARNING, NULL,
           "%s (pid %d), the server taken over from, still has requests; it is "
           "sent %s",
           takeover->name, (int)takeover->holder.pid, hurried ? "SIGKILL" : "SIGTERM");
    send_all(takeover);
    arm(takeover, &takeover->deadline, hurried ? KILL_INTERVAL : TERM_TIMEOUT, on_deadline);
    return 0;
}

/* ---- the end ---- */

static void rebind_lost(const HfTakeover *takeover)
{
    bool lost = false;

    for (size_t i = 0; i < takeover->n_held; i++) {
        if (!hf_listener_is_lost(takeover->held[i]))
            continue;
        const HfLogFields fields = {.listener = takeover->held[i]->label};
        hf_log(LOG_WARNING, &fields, "%s removed %s as it left; it is bound anew by a reload",
               takeover->name, takeover->held[i]->label);
        lost = true;
    }
    if (lost)
        hf_supervisor_post(takeover->supervisor,
                           &(HfEvent){.type = HF_EVENT_REQUEST, .request = HF_REQUEST_RELOAD});
}

/* Nobody else will remove their paths, and nobody is to be continued. */
static void own_sockets(HfTakeover *takeover)
{
    for (size_t i = 0; i < takeover->n_held; i++)
        takeover->held[i]->taken = false;
    takeover->stopped = false;
}

static void finish(HfTakeover *takeover)
{
    HfSupervisor *supervisor = takeover->supervisor;
    int active = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE);

    hf_log(LOG_NOTICE, NULL, "taken over: %s (pid %d) has left, its %zu socket%s held here",
           takeover->name, (int)takeover->holder.pid, takeover->n_held,
           takeover->n_held == 1 ? " is" : "s are");
    own_sockets(takeover);
    rebind_lost(takeover);
    *takeover->place = NULL;
    hf_takeover_free(takeover);
    supervisor->shared = false;
    if (active >= 0)
        hf_pid_file_write(supervisor, (unsigned)active);
}

/* A master that is asked to leave would remove its unix paths; killed, it has no time to. */
static void end_master(HfTakeover *takeover)
{
    HfProcess master = takeover->holder;

    /* watched by what is held of it: killed, its number can be free at once, or another's */
    takeover->holder.pidfd = -1;
    takeover->state = HF_TAKEOVER_ENDING;
    takeover->deadline = sd_event_source_disable_unref(takeover->deadline);
    hf_process_signal(master.pidfd, SIGKILL);
    own_sockets(takeover);
    int r = watch(takeover, &master);
    hf_process_clear(&master);
    if (r < 0)
        finish(takeover);
}

/* All that were known are gone. */
static void go_on(HfTakeover *takeover)
{
    size_t before = takeover->n_members;

    if (takeover->state == HF_TAKEOVER_ENDING) {
        finish(takeover);
        return;
    }
    int r = gather(takeover);
    if (r < 0) { /* what cannot be found cannot be awaited: until the deadline */
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields,
               "the processes of %s (pid %d) cannot be watched, they have "
               "--drain-timeout",
               takeover->name, (int)takeover->holder.pid);
    } else if (takeover->n_members == before && takeover->phpfpm) {
        end_master(takeover);
    } else if (takeover->n_members == before) {
        finish(takeover);
    } else if (arm(takeover, &takeover->pace, 0, on_pace) < 0) {
        send_all(takeover);
    }
}

static int on_settled(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfTakeover *takeover = userdata;

    (void)source;
    (void)usec;
    takeover->state = HF_TAKEOVER_DRAINING;
    takeover->signal = stop_signal(takeover);
    hf_log(LOG_NOTICE, NULL, "%s (pid %d) finishes its requests%s", takeover->name,
           (int)takeover->holder.pid,
           takeover->phpfpm ? "; meanwhile its master is stopped (SIGSTOP)" : "");
    if (takeover->phpfpm)
        takeover->stopped = hf_process_signal(takeover->holder.pidfd, SIGSTOP) >= 0;
    if (arm(takeover, &takeover->deadline, takeover->supervisor->settings->drain_timeout,
            on_deadline) < 0)
        on_deadline(NULL, 0, takeover);
    go_on(takeover);
    return 0;
}

void hf_takeover_begin(HfTakeover *takeover)
{
    takeover->state = HF_TAKEOVER_SETTLING;
    if (arm(takeover, &takeover->timer, SETTLE_TIME, on_settled) < 0)
        on_settled(NULL, 0, takeover);
}
