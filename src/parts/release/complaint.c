/* SPDX-License-Identifier: MIT */
#include "parts/release/complaint.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"
#include "run/part.h"

#define COMPLAINT_LINES 20

struct HfComplaint {
    HfSupervisor *supervisor;
    HfCapture *capture; /* in progress */
    HfPlan *plan;       /* its plan, a reference */
    char *failure;      /* the reason known so far */
    HfAction *answers;
    size_t n;
    size_t capacity;
};

int hf_complaint_new(HfSupervisor *supervisor, HfComplaint **ret)
{
    HfComplaint *complaint = calloc(1, sizeof(*complaint));

    if (!complaint)
        return -ENOMEM;
    complaint->supervisor = supervisor;
    *ret = complaint;
    return 0;
}

static void clear(HfComplaint *complaint)
{
    complaint->capture = hf_capture_abort(complaint->capture);
    complaint->plan = hf_plan_unref(complaint->plan);
    free(HF_STEAL(complaint->failure));
}

HfComplaint *hf_complaint_free(HfComplaint *complaint)
{
    if (!complaint)
        return NULL;
    clear(complaint);
    free(complaint->answers);
    free(complaint);
    return NULL;
}

/* Answers the callers with everything that is known. */
static void end_complaint(HfComplaint *complaint)
{
    HfSupervisor *supervisor = complaint->supervisor;
    HF_CLEANUP_FREE HfAction *answers = HF_STEAL(complaint->answers);
    size_t n = complaint->n;
    char *later = HF_STEAL(supervisor->failure);

    complaint->n = complaint->capacity = 0;
    supervisor->failure = HF_STEAL(complaint->failure);
    clear(complaint);
    for (size_t i = 0; i < n; i++)
        HF_EACH_PART (supervisor, j, performed)
            supervisor->parts[j]->performed(supervisor->states[j], &answers[i]);
    free(supervisor->failure);
    supervisor->failure = later;
}

static void on_words(const HfCaptured *captured, void *userdata)
{
    HfComplaint *complaint = userdata;
    HF_CLEANUP_TEXT HfText text = {0};
    HF_CLEANUP_TEXT HfText words = {0};

    complaint->capture = NULL;
    if (hf_command_succeeded(captured))
        hf_text_add(&words, "it finds no fault in its configuration; its own log says more");
    else if (captured->error == 0 && !captured->timed_out)
        complaint->plan->adapter->complain(captured->output, captured->length, COMPLAINT_LINES,
                                           &words);
    if (words.length > 0) {
        hf_log_lines(LOG_ERR, NULL, hf_text_peek(&words));
        hf_text_addf(&text, "%s:\n%s", complaint->failure, hf_text_peek(&words));
        (void)hf_string_set(&complaint->failure, hf_text_peek(&text));
    }
    end_complaint(complaint);
}

static void begin_complaint(HfComplaint *complaint, HfPlan *plan)
{
    HfSupervisor *supervisor = complaint->supervisor;
    HF_CLEANUP_QUESTION HfQuestion question = {0};

    clear(complaint);
    if (hf_string_set(&complaint->failure, supervisor->failure) < 0 || !complaint->failure ||
        plan->adapter->verdict(plan, &question) < 0)
        return;
    complaint->plan = hf_plan_ref(plan);
    if (hf_prepare_put(supervisor->loop, supervisor->reaper, plan, &question, true,
                       supervisor->machine.limits.ready_timeout, on_words, complaint,
                       &complaint->capture) < 0)
        clear(complaint);
}

bool hf_complaint_holds(HfComplaint *complaint, const HfAction *answer)
{
    if (!complaint->capture || answer->outcome != HF_OUTCOME_FAILED ||
        complaint->n == HF_MACHINE_REQUESTS ||
        hf_array_reserve(&complaint->answers, &complaint->capacity, complaint->n + 1,
                         sizeof(*answer)) < 0)
        return false;
    complaint->answers[complaint->n++] = *answer;
    return true;
}

/* Not for a generation that merely was not ready in time: its configuration is fine. */
void hf_complaint_performed(HfComplaint *complaint, const HfAction *action)
{
    const HfSupervisor *supervisor = complaint->supervisor;

    if (action->type == HF_ACTION_REPORT && action->report == HF_REPORT_RELOAD_FAILED) {
        const HfGeneration *generation = supervisor->generations[action->slot];
        if (generation && generation->plan->unproven && !action->timed_out && !generation->failure)
            begin_complaint(complaint, generation->plan);
    } else if (complaint->capture &&
               (action->type == HF_ACTION_PREPARE || action->type == HF_ACTION_UPGRADE ||
                action->type == HF_ACTION_END)) {
        end_complaint(complaint);
    }
}
