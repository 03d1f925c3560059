#include "run/instance.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "parts/inherit/orphans.h"
#include "parts/survive/adoption.h"
#include "parts/survive/fd_store.h"
#include "parts/survive/reexec.h"
#include "run/actions.h"
#include "run/activated.h"
#include "run/crash_point.h"
#include "run/drop_capabilities.h"
#include "run/pid_file.h"

void hf_instance_clear(HfInstance *start)
{
    hf_snapshot_clear(&start->snapshot);
}

int hf_instance_begin(HfSupervisor *supervisor, HfInstance *start, HfText *error)
{
    int r = hf_activated_take(&supervisor->received, &supervisor->n_received, &supervisor->notes,
                              error);

    if (r >= 0 && hf_reexec_mode() == HF_SELF_RESUMED) {
        HF_CRASH_POINT("upgrade-executed");
        r = hf_adoption_read(&start->snapshot, &supervisor->notes, error);
        supervisor->first = HF_EVENT_RESUME;
    }
    if (r < 0)
        return r;
    supervisor->runtime.lock = hf_notes_take(&supervisor->notes, HF_NOTES_LOCK);
    if (supervisor->runtime.lock < 0)
        r = hf_runtime_claim(&supervisor->runtime, supervisor->name, error);
    HF_CRASH_POINT("adopt-claimed");
    return r < 0 ? r : hf_adoption_find(supervisor, start);
}

int hf_instance_take_notify(HfSupervisor *supervisor)
{
    struct stat found;

    if (supervisor->first == HF_EVENT_START || lstat(supervisor->runtime.notify, &found) < 0 ||
        !S_ISSOCK(found.st_mode))
        return -1;
    return hf_notes_take(&supervisor->notes, HF_NOTES_NOTIFY);
}

/* What was given up came back with execve(2). */
static int confine(HfSupervisor *supervisor, HfText *error)
{
    return supervisor->current ? hf_drop_capabilities(supervisor, supervisor->current, error) : 0;
}

/* What changes with the process: systemd waits for READY=1 again, the user's pid file names us. */
static void settle_in(HfSupervisor *supervisor)
{
    int active = hf_machine_find(&supervisor->machine, HF_GENERATION_ACTIVE);

    hf_string_set(&supervisor->pid_file, NULL);
    if (active >= 0 && supervisor->generations[active])
        hf_pid_file_write(supervisor, (unsigned)active);
}

int hf_instance_end(HfSupervisor *supervisor, HfInstance *start, HfText *error)
{
    hf_fd_store_continue(supervisor->store, &supervisor->notes, start->sequence);
    hf_supervisor_post(supervisor, &(HfEvent){.type = supervisor->first});
    if (supervisor->first == HF_EVENT_START) {
        hf_orphans_find(supervisor);
        return 0;
    }
    HF_CRASH_POINT("restore");
    int r =
        hf_adoption_restore(supervisor, &start->snapshot, hf_actions_callbacks(supervisor), error);
    hf_reaper_sweep(supervisor->reaper); /* who ended meanwhile */
    if (r >= 0)
        r = confine(supervisor, error);
    if (r >= 0 && supervisor->first == HF_EVENT_ADOPT)
        settle_in(supervisor);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "what the holdfast before this one has left cannot be taken over: %s",
                     strerror(-r));
    if (r >= 0)
        hf_orphans_find(supervisor);
    HF_CRASH_POINT("restored");
    return r;
}
