/* SPDX-License-Identifier: MIT */
#include "mutators_life.h"

#include <string.h>

/* The first action of that kind that fits, or NULL. timer and report: the MAX_ value fits any. */
static HfAction *pick(HfActions *actions, HfActionType type, HfTimer timer, HfReport report)
{
    for (size_t i = 0; i < actions->n; i++) {
        HfAction *action = &actions->list[i];
        if (action->type == type && (timer == HF_TIMER_MAX_ || action->timer == timer) &&
            (report == HF_REPORT_MAX_ || action->report == report))
            return action;
    }
    return NULL;
}

static void lose_at(HfActions *actions, size_t i)
{
    actions->n--;
    memmove(actions->list + i, actions->list + i + 1, (actions->n - i) * sizeof(*actions->list));
}

/* Returns whether there was one. */
static bool lose(HfActions *actions, HfActionType type, HfTimer timer, HfReport report)
{
    HfAction *action = pick(actions, type, timer, report);

    if (!action)
        return false;
    lose_at(actions, (size_t)(action - actions->list));
    return true;
}

void mutate_roughly(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    m->limits.gentle = m->next.gentle = false;
    hf_machine_step(m, e, ret);
    m->limits.gentle = m->next.gentle = true;
}

void mutate_deaf_to_retired(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    ret->n = 0;
    if (e->type != HF_EVENT_RETIRED)
        hf_machine_step(m, e, ret);
}

void mutate_leave_stopped(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_CONTINUE, HF_TIMER_MAX_, HF_REPORT_MAX_);
}

void mutate_extend_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_EXTEND)
        m->generations[e->slot].extensions = 0;
}

void mutate_patient(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_ARM, HF_TIMER_BUSY, HF_REPORT_MAX_);
}

void mutate_silent_outage(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_REPORT, HF_TIMER_MAX_, HF_REPORT_OUTAGE);
}

void mutate_forgetful(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_TIMER && e->timer == HF_TIMER_BUSY)
        m->overdue = false;
}

void mutate_mute(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_FALLBACK, HF_TIMER_MAX_, HF_REPORT_MAX_);
}

void mutate_never_probe(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_ARM, HF_TIMER_PROBE, HF_REPORT_MAX_);
}

void mutate_hide_saturation(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_REPORT, HF_TIMER_MAX_, HF_REPORT_SATURATED);
}

void mutate_tolerate_size(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    ret->n = 0;
    if (e->type != HF_EVENT_OVERSIZE)
        hf_machine_step(m, e, ret);
}

void mutate_never_recycle(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_ARM, HF_TIMER_RECYCLE, HF_REPORT_MAX_);
}

void mutate_gentle_with_the_ill(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    if (e->type == HF_EVENT_READY && m->cause == HF_CAUSE_HEALTH)
        m->cause = HF_CAUSE_RELOAD;
    hf_machine_step(m, e, ret);
}

void mutate_settle_in_a_stop(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfStage before = m->generations[0].stage;

    hf_machine_step(m, e, ret);
    HfAction *signal = pick(ret, HF_ACTION_SIGNAL, HF_TIMER_MAX_, HF_REPORT_MAX_);
    if (e->type != HF_EVENT_STOP_SIGNAL || before != HF_STAGE_SETTLE || !signal ||
        signal->slot != 0)
        return;
    lose(ret, HF_ACTION_SIGNAL, HF_TIMER_MAX_, HF_REPORT_MAX_);
    m->generations[0].stage = before;
}

void mutate_answer_beside(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (pick(ret, HF_ACTION_SPAWN, HF_TIMER_MAX_, HF_REPORT_MAX_))
        lose(ret, HF_ACTION_FALLBACK, HF_TIMER_MAX_, HF_REPORT_MAX_);
}

void mutate_recover_silently(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    lose(ret, HF_ACTION_REPORT, HF_TIMER_MAX_, HF_REPORT_RECOVERED);
}

void mutate_hasty(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    unsigned failures = m->limits.probe_failures;

    m->limits.probe_failures = 1;
    hf_machine_step(m, e, ret);
    m->limits.probe_failures = failures;
}

void mutate_replace_the_hung(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfEvent event = *e;

    if (event.type == HF_EVENT_PROBED && event.verdict == HF_VERDICT_HUNG)
        event.verdict = HF_VERDICT_FAILED;
    hf_machine_step(m, &event, ret);
}

void mutate_never_doubt(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    m->probe_backoff = 0;
    hf_machine_step(m, e, ret);
}

void mutate_doubt_silently(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    for (size_t i = 0; i < ret->n; i++)
        if (ret->list[i].doubted)
            lose_at(ret, i);
}

void mutate_doubt_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    unsigned probe_backoff = m->probe_backoff;

    hf_machine_step(m, e, ret);
    if (m->probe_backoff < probe_backoff)
        m->probe_backoff = probe_backoff;
}

void mutate_replace_the_busy(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfActions more;

    hf_machine_step(m, e, ret);
    if (e->type != HF_EVENT_PROBED || e->verdict != HF_VERDICT_SATURATED || ret->n == 0)
        return;
    hf_machine_step(m, &(HfEvent){.type = HF_EVENT_OVERSIZE, .slot = e->slot, .number = e->number},
                    &more);
    memcpy(&ret->list[ret->n], more.list, more.n * sizeof(*more.list));
    ret->n += more.n;
}

void mutate_shorten(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_EXTEND && ret->n > 0)
        ret->list[0].extend = false;
}

void mutate_one_budget(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    unsigned used = m->generations[e->slot].extensions;

    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_READY)
        m->generations[e->slot].extensions = used;
}

void mutate_ask_the_leaving(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfMachineGeneration *leaving = &m->generations[e->slot];

    hf_machine_step(m, e, ret);
    if (e->type != HF_EVENT_LEAVING || ret->n == 0)
        return;
    leaving->stage = HF_STAGE_TERM;
    ret->list[ret->n++] = (HfAction){.type = HF_ACTION_SIGNAL,
                                     .slot = e->slot,
                                     .number = leaving->number,
                                     .stage = HF_STAGE_TERM};
}

void mutate_deaf_to_leaving(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    ret->n = 0;
    if (e->type != HF_EVENT_LEAVING)
        hf_machine_step(m, e, ret);
}

/* As if the main process of who settles had left as well. */
void mutate_let_go(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool exited[HF_MACHINE_SLOTS];
    bool loss = e->type == HF_EVENT_MAIN_EXITED && m->generations[e->slot].stage == HF_STAGE_ACTIVE;

    for (unsigned i = 0; loss && i < HF_MACHINE_SLOTS; i++) {
        exited[i] = m->generations[i].main_exited;
        m->generations[i].main_exited =
            exited[i] || (i != e->slot && hf_stage_leaves(m->generations[i].stage));
    }
    hf_machine_step(m, e, ret);
    for (unsigned i = 0; loss && i < HF_MACHINE_SLOTS; i++)
        if (i != e->slot && hf_stage_leaves(m->generations[i].stage))
            m->generations[i].main_exited = exited[i];
}

void mutate_unspawn_the_active(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfStage stage = m->generations[e->slot].stage;
    HfEvent event = *e;

    if (event.type == HF_EVENT_SPAWN_FAILED && stage == HF_STAGE_ACTIVE)
        event.type = HF_EVENT_GONE;
    hf_machine_step(m, &event, ret);
}
