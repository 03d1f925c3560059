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
#include "daemon/queuewatch.h"
#include "daemon/received.h"
#include "daemon/self.h"
#include "sys/memfile.h"

void hf_start_clear(HfStart *start)
{
    hf_snapshot_clear(&start->snapshot);
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
        supervisor->runtime.lock = hf_fd_steal(&start->snapshot.lock_fd);
        return hf_fd_set_cloexec(supervisor->runtime.lock, true);
    }
    int r = hf_received_take(&supervisor->received, &supervisor->n_received, error);
    return r < 0 ? r : hf_runtime_claim(&supervisor->runtime, supervisor->name, error);
}

/* What was given up came back with execve(2). */
static int confine(HfSupervisor *supervisor, HfText *error)
{
    return supervisor->current ? hf_confine(supervisor, supervisor->current, error) : 0;
}

int hf_start_end(HfSupervisor *supervisor, HfStart *start, HfText *error)
{
    hf_supervisor_post(supervisor, &(HfEvent){.type = start->event});
    if (start->event == HF_EVENT_START)
        return 0;
    HF_CRASH_POINT("upgrade-restore");
    int r = hf_continuity_restore(supervisor, &start->snapshot, hf_perform_callbacks(supervisor),
                                  error);
    hf_reaper_sweep(supervisor->reaper); /* who ended meanwhile */
    hf_queuewatch_apply(supervisor->queuewatch);
    hf_oversize_apply(supervisor->oversize);
    if (r >= 0)
        r = confine(supervisor, error);
    if (r < 0 && error->length == 0)
        hf_text_addf(error, "what the holdfast before this one has left can not be taken over: %s",
                     strerror(-r));
    HF_CRASH_POINT("upgrade-restored");
    return r;
}
