/* SPDX-License-Identifier: MIT */
#include "mutators_sides.h"

#include <string.h>

static HfAction *seek(HfActions *actions, HfActionType type)
{
    for (size_t i = 0; i < actions->n; i++)
        if (actions->list[i].type == type)
            return &actions->list[i];
    return NULL;
}

static void leave_out(HfActions *actions, HfActionType type)
{
    HfAction *action = seek(actions, type);

    if (!action)
        return;
    actions->n--;
    memmove(action, action + 1, (size_t)(&actions->list[actions->n] - action) * sizeof(*action));
}

void mutate_write_nothing(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    leave_out(ret, HF_ACTION_SAVE);
}

void mutate_forget_switch(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    leave_out(ret, HF_ACTION_SWITCH);
}

void mutate_switch_early(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    const HfAction *spawn = seek(ret, HF_ACTION_SPAWN);
    if (!spawn || spawn->side == m->side)
        return;
    m->side = spawn->side;
    ret->list[ret->n++] = (HfAction){.type = HF_ACTION_SWITCH, .side = m->side};
}

void mutate_start_where_others_leave(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *spawn = seek(ret, HF_ACTION_SPAWN);
    for (unsigned i = 0; spawn && spawn->side != m->side && i < HF_MACHINE_SLOTS; i++)
        if (m->generations[i].stage >= HF_STAGE_STOP)
            m->generations[spawn->slot].side = spawn->side = m->generations[i].side;
}

void mutate_tell_early(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *save = seek(ret, HF_ACTION_SAVE);
    HfAction told = save ? save[1] : (HfAction){0};
    if (!save || told.type != HF_ACTION_REPORT)
        return;
    save[1] = save[0];
    save[0] = told;
}

void mutate_start_beside(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *spawn = seek(ret, HF_ACTION_SPAWN);
    if (spawn)
        m->generations[spawn->slot].side = spawn->side = m->side;
}

void mutate_try_nobody(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    m->limits.tries = m->next.tries = false;
    hf_machine_step(m, e, ret);
    m->limits.tries = m->next.tries = true;
}

void mutate_pass_anyway(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfEvent passed = *e;

    passed.passed = e->passed || m->generations[e->slot].stage == HF_STAGE_TRIAL;
    hf_machine_step(m, &passed, ret);
}

void mutate_end_both(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    int active = hf_machine_find(m, HF_STAGE_ACTIVE);

    hf_machine_step(m, e, ret);
    if (e->type != HF_EVENT_TRIED || e->passed || ret->n == 0 || active < 0)
        return;
    m->generations[active].stage = HF_STAGE_STOP;
    ret->list[ret->n++] = (HfAction){.type = HF_ACTION_SIGNAL,
                                     .slot = (unsigned)active,
                                     .number = m->generations[active].number,
                                     .stage = HF_STAGE_STOP};
}

void mutate_end_what_remains(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfEvent alone = *e;

    alone.remain = false;
    hf_machine_step(m, &alone, ret);
}

void mutate_watch_no_side(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    leave_out(ret, HF_ACTION_WATCH_SIDE);
}

void mutate_retire_the_switched(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool settles =
        m->generations[e->slot].stage == HF_STAGE_SETTLE && !m->generations[e->slot].main_exited;

    hf_machine_step(m, e, ret);
    HfAction *signal = seek(ret, HF_ACTION_SIGNAL);
    if (e->type != HF_EVENT_TIMER || !settles || !signal || signal->stage != HF_STAGE_STOP)
        return;
    signal->stage = m->generations[e->slot].stage = HF_STAGE_RETIRE;
}

void mutate_park_nobody(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    uint64_t time = m->limits.park_time;

    m->limits.park_time = m->next.park_time = 0;
    hf_machine_step(m, e, ret);
    m->limits.park_time = m->next.park_time = time;
}

void mutate_park_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    for (size_t i = 0; i < ret->n; i++)
        if (ret->list[i].type == HF_ACTION_ARM && ret->list[i].usec == m->limits.park_time)
            memmove(&ret->list[i], &ret->list[i + 1], (--ret->n - i) * sizeof(ret->list[i]));
}

void mutate_keep_new_plan(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_REQUEST && e->request == HF_REQUEST_ROLLBACK)
        leave_out(ret, HF_ACTION_COMMIT);
}

void mutate_flatter_rollback(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *answer = seek(ret, HF_ACTION_ANSWER);
    if (answer && answer->outcome == HF_OUTCOME_NOT_PARKED)
        answer->outcome = HF_OUTCOME_DONE;
}

void mutate_adopt_no_trial(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_ADOPT)
        leave_out(ret, HF_ACTION_TRIAL);
}
