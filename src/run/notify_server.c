#include "run/notify_server.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "format/notify.h"
#include "kernel/notify_socket.h"
#include "run/members.h"

#define DATAGRAMS_AT_ONCE 16   /* before other sources have their turn */
#define DATAGRAMS_QUEUED  1024 /* more than a queue holds: net.unix.max_dgram_qlen is 10 to 512 */

static bool speaks_for(const HfGeneration *generation, HfNotifyAccess access, pid_t pid)
{
    return !generation->main_exited &&
           (pid == generation->main.pid ||
            (access == HF_NOTIFY_ACCESS_ALL && hf_members_has(&generation->members, pid)));
}

/* The generation that is believed to speak with the voice of pid, or NULL. */
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

/* A generation whose main process hands over to another and leaves says MAINPID= first. That is
 * heard before its exit, which is looked into only after all that was said before it: then the exit
 * is that of just another process. MAINPID= that is sent after the exit comes too late: the
 * generation has crashed, and what is left of it has been asked to leave. */
static void take_main_pid(HfGeneration *generation, pid_t pid)
{
    const HfLogFields fields = {.generation = generation->number};
    unsigned long long number = generation->number;
    HfProcess process;

    if (generation->main_exited || pid == generation->main.pid)
        return;
    if (hf_members_open(&generation->members, pid, &process) <= 0) {
        if (!generation->main_refused)
            hf_log(LOG_WARNING, &fields,
                   "generation %llu names %d as its main process (MAINPID), which is none of its "
                   "own; that is ignored",
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

/* Without memory the old one stays. */
static void keep_status(HfGeneration *generation, const char *text)
{
    if (!generation->status_text || strcmp(generation->status_text, text) != 0)
        (void)hf_string_set(&generation->status_text, text);
}

/* Extensions are counted: what would lengthen nothing is not asked for. */
static void extend(HfSupervisor *supervisor, const HfGeneration *generation, uint64_t usec)
{
    if (!hf_supervisor_waits_longer(supervisor, HF_TIMER_DEADLINE, generation->slot, usec))
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_EXTEND,
                                                  .slot = generation->slot,
                                                  .number = generation->number,
                                                  .usec = usec});
}

static void take(HfSupervisor *supervisor, HfGeneration *generation, const HfNotify *message)
{
    if (message->has_main_pid)
        take_main_pid(generation, (pid_t)message->main_pid);
    if (message->has_status)
        keep_status(generation, message->status);
    if (message->ready)
        hf_generation_notify_ready(generation);
    if (message->stopping)
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_LEAVING,
                                                  .slot = generation->slot,
                                                  .number = generation->number});
    if (message->has_extend_timeout)
        extend(supervisor, generation, message->extend_timeout);
}

/* The next message that can be read, of at most *most datagrams. Returns false without one. */
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

static void hear(HfSupervisor *supervisor, int fd, unsigned most)
{
    HfNotify message;
    pid_t pid;

    for (; next(fd, &most, &message, &pid); most--) {
        HfGeneration *generation = find_speaker(supervisor, pid);
        if (generation)
            take(supervisor, generation, &message);
    }
}

void hf_notify_server(HfSupervisor *supervisor, int fd)
{
    hear(supervisor, fd, DATAGRAMS_AT_ONCE);
}

void hf_notify_server_last_words(HfSupervisor *supervisor, int fd)
{
    hear(supervisor, fd, DATAGRAMS_QUEUED);
}

void hf_notify_server_canary(HfGeneration *canary, HfNotifyAccess access, int fd)
{
    unsigned most = DATAGRAMS_QUEUED;
    HfNotify message;
    pid_t pid;

    for (; next(fd, &most, &message, &pid); most--) {
        if (!speaks_for(canary, access, pid))
            continue;
        if (message.has_main_pid)
            take_main_pid(canary, (pid_t)message.main_pid);
        if (message.ready)
            hf_generation_notify_ready(canary);
    }
}
