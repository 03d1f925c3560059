/* How they are asked to leave, and awaited. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "daemon/loop.h"
#include "daemon/members.h"
#include "daemon/perform.h"
#include "daemon/strays.h"
#include "sys/members.h"

#define TERM_TIMEOUT (5 * HF_USEC_PER_SEC)
#define KILL_TIMEOUT (10 * HF_USEC_PER_SEC) /* then it is stuck in the kernel */

/* ---- which of them ---- */

static bool runs(const HfProcess *process, const char *path)
{
    const char *slash = strrchr(path, '/');
    HfProgram program;
    struct stat status;

    if (hf_process_program(process->pid, &program) < 0)
        return false;
    if (stat(path, &status) == 0 && program.inode != 0 && program.inode == status.st_ino &&
        program.device == status.st_dev)
        return true;
    /* replaced meanwhile, or a script */
    return strncmp(program.comm, slash ? slash + 1 : path, sizeof(program.comm) - 1) == 0;
}

static void mark_holders(HfStrays *strays, const HfPlan *plan)
{
    HF_CLEANUP_FREE int *fds = calloc(plan->n_listeners + 1, sizeof(*fds));
    HfProcess *found;
    size_t n;

    for (size_t i = 0; fds && i < plan->n_listeners; i++)
        fds[i] = plan->listeners[i]->fd;
    if (!fds || plan->n_listeners == 0 ||
        hf_process_socket_holders(fds, plan->n_listeners, false, &found, &n) < 0)
        return;
    for (size_t i = 0; i < strays->n; i++)
        for (size_t j = 0; j < n; j++)
            strays->list[i].holds |= strays->list[i].process.pid == found[j].pid;
    hf_process_array_free(found, n);
}

/* ---- the ladder ---- */

static void finish(HfStrays *strays)
{
    HfSupervisor *supervisor = strays->supervisor;
    const HfAction again = {.type = HF_ACTION_PREPARE, .cause = strays->cause};
    bool wanted = strays->wanted;

    supervisor->strays = hf_strays_free(strays);
    if (wanted)
        hf_perform(supervisor, &again);
}

static int on_exit_of_one(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    HfStrays *strays = userdata;

    (void)fd;
    (void)revents;
    sd_event_source_set_enabled(source, SD_EVENT_OFF);
    for (size_t i = 0; i < strays->n; i++) {
        int enabled = SD_EVENT_OFF;
        if (strays->list[i].source)
            sd_event_source_get_enabled(strays->list[i].source, &enabled);
        if (enabled != SD_EVENT_OFF)
            return 0;
    }
    hf_log(LOG_INFO, NULL, "what a holdfast that died had left has gone");
    finish(strays);
    return 0;
}

/* To those that live still. */
static void send_all(HfStrays *strays, int signal)
{
    HF_CLEANUP_FREE HfProcess *sent = calloc(strays->n, sizeof(*sent));
    HF_CLEANUP_TEXT HfText text = {0};
    size_t n = 0;

    strays->signal = signal;
    for (size_t i = 0; i < strays->n; i++) {
        const HfStray *stray = &strays->list[i];
        int enabled = SD_EVENT_OFF;
        if (stray->source)
            sd_event_source_get_enabled(stray->source, &enabled);
        if (enabled == SD_EVENT_OFF)
            continue;
        if (sent)
            sent[n] = stray->process;
        n++;
    }
    if (sent && n > 0)
        hf_members_describe(sent, n, &text);
    hf_log(signal == SIGKILL || signal == SIGTERM ? LOG_WARNING : LOG_NOTICE, NULL,
           "left by a holdfast that died and sent SIG%s, %zu: %s", sigabbrev_np(signal), n,
           hf_text_peek(&text));
    for (size_t i = 0; i < strays->n; i++)
        if (strays->list[i].source)
            hf_process_signal(strays->list[i].process.pidfd, signal);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfStrays *strays = userdata;

    (void)usec;
    if (strays->signal == SIGKILL) {
        hf_log(LOG_ERR, NULL, "what a holdfast that died left does not end, it is left");
        finish(strays);
        return 0;
    }
    send_all(strays, strays->signal == SIGTERM ? SIGKILL : SIGTERM);
    usec = strays->signal == SIGKILL ? KILL_TIMEOUT : TERM_TIMEOUT;
    sd_event_source_set_time_relative(source, usec);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* Returns how many are to end, or negative errno. */
static int watch(HfStrays *strays, const HfPlan *plan)
{
    int n = 0;

    mark_holders(strays, plan);
    for (size_t i = 0; i < strays->n; i++) {
        HfStray *stray = &strays->list[i];
        if (plan->kill_mode != HF_KILL_MODE_ALL && !stray->holds &&
            !runs(&stray->process, plan->program))
            continue;
        int r = sd_event_add_io(strays->supervisor->loop, &stray->source, stray->process.pidfd,
                                EPOLLIN, on_exit_of_one, strays);
        if (r < 0)
            return r;
        n++;
    }
    return n;
}

void hf_strays_begin(HfStrays *strays, const HfPlan *plan)
{
    if (!strays || strays->signal != 0)
        return;
    for (size_t i = 0; i < strays->n_held && plan == strays->supervisor->current; i++)
        strays->held[i]->taken = false; /* in use from now on, and with their paths ours */
    hf_held_array_clear(&strays->held, &strays->n_held);
    int n = watch(strays, plan);
    int r = n <= 0 ? n
                   : sd_event_add_time_relative(strays->supervisor->loop, &strays->timer,
                                                CLOCK_MONOTONIC, plan->drain_timeout,
                                                HF_LOOP_ACCURACY(plan->drain_timeout), on_timer,
                                                strays);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "what a holdfast that died left can not be awaited, it is left");
    }
    if (n <= 0 || r < 0)
        strays->supervisor->strays = hf_strays_free(strays);
    else
        send_all(strays, plan->stop_signal);
}

bool hf_strays_await(HfStrays *strays, HfCause cause)
{
    if (!strays || strays->signal == 0)
        return false;
    strays->wanted = true;
    strays->cause = cause;
    return true;
}

void hf_strays_forget(HfStrays *strays)
{
    if (strays)
        strays->wanted = false;
}
