/* SPDX-License-Identifier: MIT */
#include "mutators_program.h"

#include <string.h>

static HfAction *find(HfActions *actions, HfActionType type, HfTimer timer)
{
    for (size_t i = 0; i < actions->n; i++)
        if (actions->list[i].type == type && actions->list[i].timer == timer)
            return &actions->list[i];
    return NULL;
}

static bool lose(HfActions *actions, HfAction *action)
{
    if (!action)
        return false;
    size_t i = (size_t)(action - actions->list);
    memmove(action, action + 1, (actions->n - i - 1) * sizeof(*action));
    actions->n--;
    return true;
}

static void append(HfActions *actions, HfActionType type)
{
    actions->list[actions->n++] = (HfAction){.type = type};
}

void mutate_upgrade_any_time(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool testing = m->upgrade == HF_UPGRADE_TESTING;

    hf_machine_step(m, e, ret);
    if (e->type != HF_EVENT_UPGRADE_TESTED || !testing || m->upgrade != HF_UPGRADE_WANTED)
        return;
    m->upgrade = HF_UPGRADE_TESTING;
    append(ret, HF_ACTION_UPGRADE);
}

void mutate_forget_upgrade(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool testing = m->upgrade == HF_UPGRADE_TESTING;

    hf_machine_step(m, e, ret);
    if (testing && m->upgrade == HF_UPGRADE_WANTED)
        m->upgrade = HF_UPGRADE_NONE;
}

void mutate_flatter_upgrade(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *answer = find(ret, HF_ACTION_ANSWER, 0);
    if (e->type == HF_EVENT_UPGRADE_FAILED && answer)
        answer->outcome = HF_OUTCOME_DONE;
}

void mutate_adopt_patiently(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *arm = find(ret, HF_ACTION_ARM, HF_TIMER_DEADLINE);
    if (e->type == HF_EVENT_ADOPT)
        lose(ret, arm);
}

void mutate_adopt_stopped(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_ADOPT)
        lose(ret, find(ret, HF_ACTION_CONTINUE, 0));
}

void mutate_adopt_preparing(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_ADOPT)
        lose(ret, find(ret, HF_ACTION_PREPARE, 0));
}

void mutate_adopt_reload(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfPhase before = m->phase;

    hf_machine_step(m, e, ret);
    if (e->type != HF_EVENT_ADOPT || before != HF_PHASE_PREPARING || m->phase != HF_PHASE_IDLE)
        return;
    m->phase = HF_PHASE_PREPARING;
    append(ret, HF_ACTION_PREPARE);
}

void mutate_unsound(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_TIMER && e->timer == HF_TIMER_RESPAWN && ret->n > 0)
        m->generations[HF_MACHINE_SLOTS - 1].main_exited = true;
}
