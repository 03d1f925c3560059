/* How they are asked to leave, and awaited. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "kernel/members.h"
#include "parts/inherit/orphans.h"
#include "run/escalation.h"

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

static void mark_holders(HfOrphans *strays, const HfPlan *plan)
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

/* ---- asked to leave ---- */

static void on_left(bool gone, void *userdata)
{
    HfOrphans *strays = userdata;
    HfSupervisor *supervisor = strays->supervisor;
    bool wanted = strays->wanted;

    if (gone)
        hf_log(LOG_INFO, NULL, "what a holdfast that died had left has gone");
    *strays->place = NULL;
    hf_orphans_free(strays);
    if (wanted)
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_UNBLOCKED});
}

static bool is_to_leave(const HfOrphan *stray, const HfPlan *plan)
{
    return plan->kill_mode == HF_KILL_MODE_ALL || stray->holds ||
           runs(&stray->process, plan->program);
}

/* Returns 1, 0 when none is to, or negative errno. */
static int ask(HfOrphans *strays, const HfPlan *plan)
{
    HF_CLEANUP_FREE HfProcess *leaving = calloc(strays->n, sizeof(*leaving));
    size_t n = 0;

    if (!leaving)
        return -ENOMEM;
    mark_holders(strays, plan);
    for (size_t i = 0; i < strays->n; i++)
        if (is_to_leave(&strays->list[i], plan))
            leaving[n++] = strays->list[i].process;
    int r = n == 0 ? 0
                   : hf_escalation_start(strays->supervisor->loop, "left by a holdfast that died",
                                         leaving, n, plan->stop_signal, plan->drain_timeout,
                                         on_left, strays, &strays->ladder);
    return r < 0 ? r : n > 0;
}

void hf_orphans_begin(HfOrphans *strays, const HfPlan *plan)
{
    if (!strays || strays->ladder)
        return;
    for (size_t i = 0; i < strays->n_held && plan == strays->supervisor->current; i++)
        strays->held[i]->taken = false; /* in use from now on, and with their paths ours */
    hf_listener_array_clear(&strays->held, &strays->n_held);
    int r = ask(strays, plan);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "what a holdfast that died left cannot be awaited, it is left");
    }
    if (r > 0)
        return;
    *strays->place = NULL;
    hf_orphans_free(strays);
}

bool hf_orphans_await(HfOrphans *strays)
{
    if (!strays || !strays->ladder)
        return false;
    strays->wanted = true;
    return true;
}

void hf_orphans_forget(HfOrphans *strays)
{
    if (strays)
        strays->wanted = false;
}
