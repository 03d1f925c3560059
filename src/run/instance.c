#include "run/instance.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "kernel/memfile.h"
#include "parts/inherit/orphans.h"
#include "parts/survive/adoption.h"
#include "parts/survive/reexec.h"
#include "parts/survive/serialize.h"
#include "run/actions.h"
#include "run/activated.h"
#include "run/crash_point.h"
#include "run/drop_capabilities.h"
#include "run/pid_file.h"

void hf_instance_clear(HfInstance *start)
{
    hf_snapshot_clear(&start->snapshot);
    hf_stored_free(start->stored, start->n_stored);
}

/* It was tested a moment ago: what cannot be read now is lost. */
static int read_passed(HfInstance *start, HfText *error)
{
    HF_CLEANUP_FD int fd = hf_reexec_take_snapshot();
    HF_CLEANUP_FREE char *text = NULL;
    size_t length;

    int r = hf_memfile_read(fd, HF_SNAPSHOT_MAX, &text, &length);
    if (r >= 0)
        r = hf_snapshot_read(text, length, &start->snapshot);
    if (r < 0)
        hf_text_addf(error, "what the holdfast before this one has left cannot be read: %s",
                     strerror(-r));
    return r;
}

static int begin(HfSupervisor *supervisor, HfInstance *start, HfText *error)
{
    start->event = HF_EVENT_START;
    if (hf_reexec_mode() == HF_SELF_RESUMED) {
        HF_CRASH_POINT("upgrade-executed");
        int r = read_passed(start, error);
        if (r < 0)
            return r;
        start->event = HF_EVENT_RESUME;
        start->sequence = start->snapshot.sequence;
        supervisor->runtime.lock = hf_fd_steal(&start->snapshot.lock_fd);
        r = hf_fd_set_cloexec(supervisor->runtime.lock, true);
        return r < 0 ? r
                     : hf_fd_store_take_passed(&start->snapshot, &start->stored, &start->n_stored);
    }
    int r = hf_fd_store_take(&start->stored, &start->n_stored);
    if (r >= 0)
        r = hf_activated_take(&supervisor->received, &supervisor->n_received, error);
    if (r >= 0)
        r = hf_runtime_claim(&supervisor->runtime, supervisor->name, error);
    HF_CRASH_POINT("adopt-claimed");
    return r < 0 ? r : hf_instance_stored(supervisor, start);
}

/* For the parts. */
static int take_notes(HfSupervisor *supervisor, HfSnapshot *snapshot)
{
    HF_CLEANUP_TEXT HfText last_id = {0};
    int r = 0;

    hf_text_addf(&last_id, "%llu", (unsigned long long)snapshot->last_id);
    if (snapshot->control_fd >= 0)
        r = hf_fd_set_cloexec(snapshot->control_fd, true);
    if (r >= 0 && snapshot->announced)
        r = hf_notes_add(&supervisor->notes, "announced", "yes", -1);
    if (r >= 0)
        r = hf_notes_add(&supervisor->notes, "last-id", hf_text_peek(&last_id), -1);
    if (r >= 0)
        r = hf_notes_add(&supervisor->notes, "control", NULL, hf_fd_steal(&snapshot->control_fd));
    return r;
}

int hf_instance_begin(HfSupervisor *supervisor, HfInstance *start, HfText *error)
{
    int r = begin(supervisor, start, error);

    supervisor->first = start->event;
    return r < 0 || start->event == HF_EVENT_START ? r : take_notes(supervisor, &start->snapshot);
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
    hf_fd_store_continue(supervisor->store, start->stored, start->n_stored, start->sequence);
    hf_supervisor_post(supervisor, &(HfEvent){.type = start->event});
    if (start->event == HF_EVENT_START) {
        hf_orphans_find(supervisor, start);
        return 0;
    }
    HF_CRASH_POINT("restore");
    int r =
        hf_serialize_restore(supervisor, &start->snapshot, hf_actions_callbacks(supervisor), error);
    hf_reaper_sweep(supervisor->reaper); /* who ended meanwhile */
    if (r >= 0)
        r = confine(supervisor, error);
    if (r >= 0 && start->event == HF_EVENT_ADOPT)
        settle_in(supervisor);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "what the holdfast before this one has left cannot be taken over: %s",
                     strerror(-r));
    if (r >= 0)
        hf_orphans_find(supervisor, start);
    HF_CRASH_POINT("restored");
    return r;
}
