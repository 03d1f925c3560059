#include "parts/events/record.h"

#include "run/members.h"

int hf_record_measure(HfEvents *events, const HfGeneration *generation, uint64_t *ret_processes,
                      uint64_t *ret_memory)
{
    int r = hf_members_measure(generation, ret_processes, ret_memory);

    if (r >= 0)
        hf_history_count(&events->history, generation->number, *ret_processes);
    return r;
}

static void record_end(HfEvents *events, const HfGeneration *generation)
{
    HF_CLEANUP_TEXT HfText how = {0};

    if (generation->late)
        hf_text_add(&how, "was not ready in time, ");
    hf_generation_explain_status(generation, &how);
    hf_history_end(&events->history, generation->number, hf_text_peek(&how));
}

static void record_spawn(HfEvents *events, const HfAction *action)
{
    hf_history_start(&events->history, action->number, action->cause);
    if (!events->supervisor->generations[action->slot])
        hf_history_end(&events->history, action->number, events->supervisor->failure);
}

static void record_report(HfEvents *events, const HfAction *action)
{
    const HfGeneration *generation = events->supervisor->generations[action->slot];
    HfHistory *history = &events->history;
    uint64_t processes;

    if (action->report == HF_REPORT_START_FAILED || action->report == HF_REPORT_PREPARE_FAILED)
        history->failures++;
    if (!generation || action->number != generation->number)
        return;
    if (action->report == HF_REPORT_START_FAILED && generation->failure)
        hf_history_end(history, generation->number, generation->failure);
    else if (action->report == HF_REPORT_READY)
        hf_history_ready(history, generation->number);
    else if (action->report == HF_REPORT_DRAINING)
        hf_record_measure(events, generation, &processes, NULL);
    else if (action->report == HF_REPORT_CRASHED) /* those it left behind are known by now */
        hf_history_count(history, generation->number, 1 + generation->n_members);
    else if (action->report == HF_REPORT_GONE)
        record_end(events, generation);
}

void hf_record(HfEvents *events, const HfAction *action)
{
    if (action->type == HF_ACTION_SPAWN)
        record_spawn(events, action);
    else if (action->type == HF_ACTION_REPORT)
        record_report(events, action);
}
