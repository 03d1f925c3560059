#include "parts/events/record.h"

#include "run/members.h"

int hf_record_measure(HfSupervisor *supervisor, const HfGeneration *generation,
                      uint64_t *ret_processes, uint64_t *ret_memory)
{
    int r = hf_members_measure(generation, ret_processes, ret_memory);

    if (r >= 0)
        hf_history_count(&supervisor->history, generation->number, *ret_processes);
    return r;
}

static void record_end(HfSupervisor *supervisor, const HfGeneration *generation)
{
    HF_CLEANUP_TEXT HfText how = {0};

    if (generation->late)
        hf_text_add(&how, "was not ready in time, ");
    hf_generation_explain_status(generation, &how);
    hf_history_end(&supervisor->history, generation->number, hf_text_peek(&how));
}

void hf_record(HfSupervisor *supervisor, const HfAction *action)
{
    HfGeneration *generation = supervisor->generations[action->slot];
    HfHistory *history = &supervisor->history;
    uint64_t processes;

    if (action->report == HF_REPORT_START_FAILED || action->report == HF_REPORT_PREPARE_FAILED)
        history->failures++;
    if (!generation || action->number != generation->number)
        return;
    if (action->report == HF_REPORT_START_FAILED)
        generation->late = action->timed_out;
    else if (action->report == HF_REPORT_READY)
        hf_history_ready(history, generation->number);
    else if (action->report == HF_REPORT_DRAINING)
        hf_record_measure(supervisor, generation, &processes, NULL);
    else if (action->report == HF_REPORT_CRASHED) /* those it left behind are known by now */
        hf_history_count(history, generation->number, 1 + generation->n_members);
    else if (action->report == HF_REPORT_GONE)
        record_end(supervisor, generation);
}
