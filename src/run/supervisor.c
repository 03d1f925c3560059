/* SPDX-License-Identifier: MIT */
#include "run/supervisor.h"

#include <assert.h>

#include "base/memory.h"

/* Events that a service can cause at will are kept once per generation; the last one counts. */
static bool merge_event(HfSupervisor *supervisor, const HfEvent *event)
{
    if (event->type != HF_EVENT_READY && event->type != HF_EVENT_LEAVING &&
        event->type != HF_EVENT_EXTEND)
        return false;
    for (size_t i = 0; i < supervisor->n_events; i++) {
        HfEvent *waiting =
            &supervisor->events[(supervisor->first_event + i) % HF_SUPERVISOR_EVENTS];
        if (waiting->type == event->type && waiting->slot == event->slot &&
            waiting->number == event->number) {
            *waiting = *event;
            return true;
        }
    }
    return false;
}

void hf_supervisor_post(HfSupervisor *supervisor, const HfEvent *event)
{
    if (merge_event(supervisor, event))
        return;
    assert(supervisor->n_events < HF_SUPERVISOR_EVENTS);
    size_t last = (supervisor->first_event + supervisor->n_events) % HF_SUPERVISOR_EVENTS;
    supervisor->events[last] = *event;
    supervisor->n_events++;
    sd_event_source_set_enabled(supervisor->step, SD_EVENT_ON);
}

bool hf_supervisor_waits_longer(const HfSupervisor *supervisor, HfTimer timer, unsigned slot,
                                uint64_t usec)
{
    sd_event_source *source = supervisor->timers[timer][slot];
    uint64_t now;
    uint64_t end;

    return source && sd_event_source_get_time(source, &end) >= 0 &&
           sd_event_now(supervisor->loop, CLOCK_MONOTONIC, &now) >= 0 && end > now &&
           end - now > usec;
}

HfGeneration *hf_supervisor_find(const HfSupervisor *supervisor, pid_t pid)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfGeneration *generation = supervisor->generations[i];
        if (generation && !generation->main_exited && generation->main.pid == pid)
            return generation;
    }
    return NULL;
}

HfGeneration *hf_supervisor_active(const HfSupervisor *supervisor)
{
    int slot = hf_machine_find(&supervisor->machine, HF_STAGE_ACTIVE);

    return slot >= 0 ? supervisor->generations[slot] : NULL;
}

void hf_supervisor_set_failure(HfSupervisor *supervisor, const char *text)
{
    if (hf_string_set(&supervisor->failure, text) < 0)
        hf_string_set(&supervisor->failure, NULL);
}

void *hf_supervisor_state(const HfSupervisor *supervisor, const HfPart *part)
{
    for (size_t i = 0; supervisor->parts[i]; i++)
        if (supervisor->parts[i] == part)
            return supervisor->states[i];
    return NULL;
}

void hf_supervisor_end(HfSupervisor *supervisor, int status)
{
    supervisor->status = status;
    sd_event_source_set_enabled(supervisor->ending, SD_EVENT_ON);
}

void hf_supervisor_ended(HfSupervisor *supervisor)
{
    if (--supervisor->n_ending == 0)
        hf_supervisor_post(supervisor, &(HfEvent){.type = HF_EVENT_ENDED});
}
