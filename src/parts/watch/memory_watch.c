#include "parts/watch/memory_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-event.h>

#include "base/log.h"
#include "format/quantity.h"
#include "run/loop.h"
#include "run/members.h"
#include "run/supervisor.h"

#define DOUBLINGS_MAX 7 /* of the time until a generation that is still there is recycled again */

struct HfMemoryWatch {
    HfSupervisor *supervisor;
    sd_event_source *timer;
    uint64_t number; /* of the generation that was too large last */
    unsigned times;  /* that this was posted of it: its replacements fail */
};

static void post(HfMemoryWatch *oversize, const HfGeneration *generation, uint64_t bytes)
{
    HF_CLEANUP_TEXT HfText text = {0};

    hf_text_addf(&text, "generation %llu uses ", (unsigned long long)generation->number);
    hf_text_add_bytes_of(&text, bytes);
    hf_text_add(&text, " of memory, more than ");
    hf_text_add_bytes_of(&text, oversize->supervisor->settings->recycle_memory);
    hf_text_add(&text, "; it is recycled");
    hf_log(LOG_NOTICE, &(HfLogFields){.generation = generation->number}, "%s", hf_text_peek(&text));
    if (oversize->number != generation->number)
        oversize->times = 0;
    if (oversize->times < DOUBLINGS_MAX)
        oversize->times++;
    oversize->number = generation->number;
    hf_supervisor_post(oversize->supervisor,
                       &(HfEvent){.type = HF_EVENT_OVERSIZE, .slot = generation->slot});
}

static void check(HfMemoryWatch *oversize)
{
    const HfSupervisor *supervisor = oversize->supervisor;
    const HfGeneration *active = hf_supervisor_active(supervisor);
    uint64_t processes;
    uint64_t bytes;

    if (!active || supervisor->machine.phase != HF_PHASE_IDLE)
        return;
    int r = hf_members_measure(active, &processes, &bytes);
    if (r < 0) {
        const HfLogFields fields = {.generation = active->number, .error = r};
        hf_log(LOG_WARNING, &fields, "the memory of generation %llu cannot be measured",
               (unsigned long long)active->number);
    } else if (bytes > supervisor->settings->recycle_memory) {
        post(oversize, active, bytes);
    }
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfMemoryWatch *oversize = userdata;

    (void)source;
    (void)usec;
    check(oversize);
    hf_memory_watch_apply(oversize);
    return 0;
}

int hf_memory_watch_new(HfSupervisor *supervisor, HfMemoryWatch **ret)
{
    HfMemoryWatch *oversize = calloc(1, sizeof(*oversize));

    if (!oversize)
        return -ENOMEM;
    oversize->supervisor = supervisor;
    int r = sd_event_add_time(supervisor->loop, &oversize->timer, CLOCK_MONOTONIC, 0, 0, on_time,
                              oversize);
    if (r >= 0)
        r = sd_event_source_set_enabled(oversize->timer, SD_EVENT_OFF);
    if (r < 0) {
        hf_memory_watch_free(oversize);
        return r;
    }
    *ret = oversize;
    return 0;
}

void hf_memory_watch_apply(HfMemoryWatch *oversize)
{
    const HfSettings *settings = oversize->supervisor->settings;
    const HfGeneration *active = hf_supervisor_active(oversize->supervisor);
    bool again = active && oversize->number == active->number;
    uint64_t period = settings->recycle_check << (again ? oversize->times : 0);

    if (settings->recycle_memory == 0) {
        sd_event_source_set_enabled(oversize->timer, SD_EVENT_OFF);
        return;
    }
    int r = sd_event_source_set_time_relative(oversize->timer, period);
    if (r >= 0)
        r = sd_event_source_set_time_accuracy(oversize->timer, HF_LOOP_ACCURACY(period));
    if (r >= 0)
        r = sd_event_source_set_enabled(oversize->timer, SD_EVENT_ONESHOT);
    if (r < 0) {
        const HfLogFields fields = {.error = r};
        hf_log(LOG_ERR, &fields, "the memory is not looked at any more");
    }
}

HfMemoryWatch *hf_memory_watch_free(HfMemoryWatch *oversize)
{
    if (!oversize)
        return NULL;
    sd_event_source_disable_unref(oversize->timer);
    free(oversize);
    return NULL;
}
