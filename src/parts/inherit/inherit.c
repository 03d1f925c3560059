/* SPDX-License-Identifier: MIT */
#include "parts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "parts/inherit/inherit_parts.h"
#include "parts/inherit/shared_listener.h"
#include "run/supervisor.h"

typedef struct HfInherit {
    HfSupervisor *supervisor;
    HfTakeover *takeover; /* NULL once the old server has left */
    HfUnitCheck *check;   /* of its unit; NULL: not asked, or the answer has been used */
    HfOrphans *orphans;   /* NULL: none are left */
} HfInherit;

static int inherit_verb(const HfCommandLine *line, const HfPart *const *parts)
{
    (void)parts;
    if (line->verb != HF_VERB_STOP || !line->call.unit)
        return -1;
    return hf_unit_cleanup(line->call.unit, line->settings.drain_timeout) < 0 ? EXIT_FAILURE
                                                                              : EXIT_SUCCESS;
}

static int inherit_begun(void *state, HfText *error)
{
    HfInherit *inherit = state;

    (void)error;
    hf_orphans_find(inherit->supervisor, &inherit->orphans);
    return 0;
}

/* A listener of ours that another holdfast has taken over may be shared as before or, if the user
 * wants that, taken back. */
static bool may_be_used(const HfPlan *plan, HfListener *listener)
{
    if (!hf_listener_is_anothers(listener))
        return true;
    for (size_t i = 0; i < plan->n_wanted; i++)
        if (hf_listener_find(&listener, 1, &plan->wanted[i].spec)) {
            bool retaken = hf_shared_listener_retake(listener);
            listener->stays |= !retaken; /* it is copied as a whole, with the sides added there */
            return retaken;
        }
    return true;
}

static void retake_listeners(const HfPlan *plan, HfOffer *offer)
{
    size_t n = 0;

    for (size_t i = 0; i < offer->n; i++)
        if (may_be_used(plan, offer->list[i]))
            offer->list[n++] = offer->list[i];
    offer->n = n;
}

static int inherit_offer(void *state, HfPlan *plan, HfOffer *offer, HfText *error)
{
    HfInherit *inherit = state;
    HfSupervisor *supervisor = inherit->supervisor;
    const HfSettings *settings = &supervisor->line->settings;
    int r = 0;

    if (supervisor->shares)
        retake_listeners(plan, offer);
    if (settings->take_over && !inherit->takeover && !supervisor->current) {
        r = hf_takeover_new(supervisor, plan, (pid_t)settings->take_over_pid, &inherit->check,
                            &inherit->takeover, error);
        r = r == -EALREADY ? 0 : r;
    }
    supervisor->taking_over = inherit->takeover != NULL;
    if (r >= 0 && inherit->takeover)
        r = hf_offer_add(offer, inherit->takeover->held, inherit->takeover->n_held);
    if (r >= 0)
        r = hf_orphans_offer(inherit->orphans, plan, offer->list, offer->n, error);
    if (r >= 0 && inherit->orphans)
        r = hf_offer_add(offer, inherit->orphans->held, inherit->orphans->n_held);
    return r;
}

static bool inherit_unprepared(void *state)
{
    const HfInherit *inherit = state;

    return inherit->check || hf_orphans_await(inherit->orphans);
}

/* The old server still serves undisturbed, so it is better to stop than to have none. */
static void log_untouched(const HfTakeover *takeover)
{
    hf_log(LOG_ERR, NULL, "the take-over failed; %s (pid %d) goes on serving, untouched",
           takeover->name, (int)takeover->holder.pid);
}

static void inherit_reported(HfInherit *inherit, HfReport report)
{
    HfTakeover *takeover = inherit->takeover;

    if (takeover && report == HF_REPORT_TAKEOVER_FAILED)
        log_untouched(takeover);
    else if (takeover)
        hf_takeover_look(takeover);
    if (report == HF_REPORT_READY)
        hf_orphans_begin(inherit->orphans, inherit->supervisor->current);
}

static void inherit_performed(void *state, const HfAction *action)
{
    HfInherit *inherit = state;

    if (action->type == HF_ACTION_REPORT)
        inherit_reported(inherit, action->report);
    else if (action->type == HF_ACTION_ABORT_PREPARE)
        hf_orphans_forget(inherit->orphans);
}

static void inherit_objects(void *state, HfText *why)
{
    const HfInherit *inherit = state;

    if (inherit->takeover)
        hf_text_addf(why, "%s, which was taken over, has not left yet; try again when it has",
                     inherit->takeover->name);
}

/* Callers of the take-over have been answered. */
static void inherit_stepped(void *state)
{
    HfSupervisor *supervisor = ((HfInherit *)state)->supervisor;

    hf_shared_listener_settle(supervisor);
    if (supervisor->machine.phase == HF_PHASE_IDLE &&
        supervisor->machine.pending == HF_REQUEST_NONE)
        supervisor->shares = false;
}

static void inherit_detach(void *state)
{
    HfInherit *inherit = state;

    inherit->takeover = hf_takeover_stop(inherit->takeover);
    inherit->check = hf_unit_check_free(inherit->check);
    inherit->orphans = hf_orphans_free(inherit->orphans);
}

static int inherit_find(void *state, const HfListenerSpec *spec, HfListener **ret)
{
    const HfSupervisor *supervisor = ((const HfInherit *)state)->supervisor;

    int r = hf_own_listener_copy(supervisor, spec, ret);
    return r == -ENOENT && supervisor->shares ? hf_shared_listener_copy(spec, ret) : r;
}

static void inherit_committed(void *state)
{
    const HfSupervisor *supervisor = ((const HfInherit *)state)->supervisor;

    hf_own_listener_commit(supervisor, supervisor->current);
}

const HfPart hf_part_inherit = {
    .name = "inherit",
    .verb = inherit_verb,
    .state_size = sizeof(HfInherit),
    .begun = inherit_begun,
    .offer = inherit_offer,
    .unprepared = inherit_unprepared,
    .find = inherit_find,
    .committed = inherit_committed,
    .performed = inherit_performed,
    .stepped = inherit_stepped,
    .objects = inherit_objects,
    .detach = inherit_detach,
};
