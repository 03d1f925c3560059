#include "run/retire.h"

#include "kernel/members.h"
#include "run/members.h"

#define PACE UINT64_C(5000) /* usec between two workers */

void hf_retire_end(HfGeneration *generation)
{
    generation->retire_timer = sd_event_source_disable_unref(generation->retire_timer);
    hf_process_array_free(generation->retiring, generation->n_retiring);
    generation->retiring = NULL;
    generation->n_retiring = generation->next_retiring = 0;
}

static uint64_t pace(const HfGeneration *generation, uint64_t time)
{
    uint64_t share = time / (generation->n_retiring + 1);

    return share < PACE ? share : PACE;
}

static int on_pace(sd_event_source *source, uint64_t usec, void *userdata)
{
    HfGeneration *generation = userdata;

    (void)usec;
    while (generation->next_retiring < generation->n_retiring) {
        const HfProcess *worker = &generation->retiring[generation->next_retiring++];
        if (worker->pid == generation->main.pid)
            continue;
        hf_process_signal(worker->pidfd, generation->plan->stop_signal);
        sd_event_source_set_time_relative(source, generation->retire_pace);
        sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
    }
    hf_retire_end(generation);
    generation->callbacks.retired(generation, generation->callbacks.userdata);
    return 0;
}

/* What cannot be found cannot be asked: the main process is continued and does it. */
void hf_retire_begin(HfGeneration *generation, uint64_t time)
{
    if (hf_members_of_service(generation, &generation->retiring, &generation->n_retiring) < 0)
        generation->n_retiring = 0;
    generation->retire_pace = pace(generation, time);
    if (sd_event_add_time_relative(generation->loop, &generation->retire_timer, CLOCK_MONOTONIC, 0,
                                   1, on_pace, generation) < 0)
        hf_retire_end(generation); /* the deadline continues it */
}
