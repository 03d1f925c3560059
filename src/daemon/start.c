#include "daemon/start.h"

#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/confine.h"
#include "daemon/continuity.h"
#include "daemon/crashpoint.h"
#include "daemon/oversize.h"
#include "daemon/perform.h"
#include "daemon/pidfile.h"
#include "daemon/queuewatch.h"
#include "daemon/received.h"
#include "daemon/self.h"
#include "daemon/start_stored.h"
#include "daemon/strays.h"
#include "sys/memfile.h"

void hf_start_clear(HfStart *start)
{
    hf_snapshot_clear(&start->snapshot);
    hf_stored_free(start->stored, start->n_stored);
}

/* It was tested a moment ago: what can not be read now is lost. */
static int read_passed(HfStart *start, HfText *error)
{
    HF_CLEANUP_FD int fd = hf_self_take_snapshot();
    HF_CLEANUP_FREE char *text = NULL;
    size_t length;

    int r = hf_memfile_read(fd, HF_SNAPSHOT_MAX, &text, &length);
    if (r >= 0)
        r = hf_snapshot_read(text, length, &start->snapshot);
    if (r < 0)
        hf_text_addf(error, "what the holdfast before this one has left can not be read: %s",
                     strerror(-r));
    return r;
}

int hf_start_begin(HfSupervisor *supervisor, HfStart *start, HfText *error)
{
    start->event = HF_EVENT_START;
    if (hf_self_mode() == HF_SELF_RESUMED) {
        HF_CRASH_POINT("upgrade-executed");
        int r = read_passed(start, error);
        if (r < 0)
            return r;
        start->event = HF_EVENT_RESUME;
        start->sequence = start->snapshot.sequence;
        supervisor->runtime.lock = hf_fd_steal(&start->snapshot.lock_fd);
        r = hf_fd_set_cloexec(supervisor->runtime.lock, true);
        return r < 0 ? r : hf_store_take_passed(&start->snapshot, &start->stored, &start->n_stored);
    }
    int r = hf_store_take(&start->stored, &start->n_stored);
    if (r >= 0)
        r = hf_received_take(&supervisor->received, &supervisor->n_received, error);
    if (r >= 0)
        r = hf_runtime_claim(&supervisor->runtime, supervisor->name, error);
    HF_CRASH_POINT("adopt-claimed");
    return r < 0 ? r : hf_start_stored(supervisor, start);
}

/* What was given up came back with execve(2). */
static int confine(HfSupervisor *supervisor, HfText *error)
{
    return supervisor->current ? hf_confine(supervisor, supervisor->current, error) : 0;
}

/* What changes with the process: systemd waits for READY=1 again, the user's pid file names us. */
static void settle_in(HfSupervisor *supervisor)
{
    int active = hf_machine_find(&supervisor->machine, HF_GENERATION_ACTIVE);

    supervisor->announced = false;
    hf_string_set(&supervisor->pid_file, NULL);
    if (active >= 0 && supervisor->generations[active])
        hf_pidfile_write(supervisor, (unsigned)active);
}

int hf_start_end(HfSupervisor *supervisor, HfStart *start, HfText *error)
{
    hf_store_continue(supervisor->store, start->stored, start->n_stored, start->sequence);
    hf_supervisor_post(supervisor, &(HfEvent){.type = start->event});
    if (start->event == HF_EVENT_START) {
        hf_strays_find(supervisor, start);
        return 0;
    }
    HF_CRASH_POINT("restore");
    int r = hf_continuity_restore(supervisor, &start->snapshot, hf_perform_callbacks(supervisor),
                                  error);
    hf_reaper_sweep(supervisor->reaper); /* who ended meanwhile */
    hf_queuewatch_apply(supervisor->queuewatch);
    hf_oversize_apply(supervisor->oversize);
    if (r >= 0)
        r = confine(supervisor, error);
    if (r >= 0 && start->event == HF_EVENT_ADOPT)
        settle_in(supervisor);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "what the holdfast before this one has left can not be taken over: %s",
                     strerror(-r));
    if (r >= 0)
        hf_strays_find(supervisor, start);
    HF_CRASH_POINT("restored");
    return r;
}
