/* SPDX-License-Identifier: MIT */
#include "mutators_stop.h"

#include <string.h>

static HfAction *find(HfActions *actions, HfActionType type)
{
    for (size_t i = 0; i < actions->n; i++)
        if (actions->list[i].type == type)
            return &actions->list[i];
    return NULL;
}

static void lose(HfActions *actions, HfAction *action)
{
    size_t i = (size_t)(action - actions->list);

    memmove(action, action + 1, (actions->n - i - 1) * sizeof(*action));
    actions->n--;
}

static void append_step(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfActions more;

    hf_machine_step(m, e, &more);
    memcpy(&ret->list[ret->n], more.list, more.n * sizeof(*more.list));
    ret->n += more.n;
}

void mutate_stop_at_once(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfStopWait wait = m->wait;

    hf_machine_step(m, e, ret);
    if (wait == HF_WAIT_NONE && m->wait == HF_WAIT_DELAY)
        append_step(m, e, ret);
}

void mutate_leave_the_queue(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfStopWait wait = m->wait;

    hf_machine_step(m, e, ret);
    if (wait == HF_WAIT_NONE && m->wait == HF_WAIT_QUEUE)
        append_step(m, &(HfEvent){.type = HF_EVENT_QUEUE_SERVED}, ret);
}

void mutate_restart_the_ended(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    m->limits.exit_with_service = m->next.exit_with_service = false;
    hf_machine_step(m, e, ret);
    m->limits.exit_with_service = m->next.exit_with_service = true;
}

void mutate_end_as_signal(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfStopReason stop = m->stop;

    hf_machine_step(m, e, ret);
    if (stop == HF_REASON_NONE && m->stop == HF_REASON_SERVICE && m->phase == HF_PHASE_STOPPING)
        append_step(m, &(HfEvent){.type = HF_EVENT_STOP_SIGNAL}, ret);
}

void mutate_insist_on_takeover(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool takeover = m->takeover && e->type == HF_EVENT_SPAWN_FAILED;

    m->takeover = m->takeover && !takeover;
    hf_machine_step(m, e, ret);
}

void mutate_wait_at_the_end(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *hurry = find(ret, HF_ACTION_ESCALATE);
    if (hurry)
        lose(ret, hurry);
}

void mutate_flatter_status(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *end = find(ret, HF_ACTION_END);
    if (end)
        end->status = 0;
}

void mutate_answer_stop_early(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type != HF_EVENT_REQUEST || e->request != HF_REQUEST_STOP || e->id == 0 ||
        find(ret, HF_ACTION_END))
        return;
    for (unsigned i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (m->requests[i].id == e->id)
            m->requests[i] = (HfMachineRequest){0};
    ret->list[ret->n++] = (HfAction){.type = HF_ACTION_ANSWER, .id = e->id};
}

void mutate_commit_late(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *commit = find(ret, HF_ACTION_COMMIT);
    if (e->type != HF_EVENT_READY || !commit)
        return;
    HfAction moved = *commit;
    lose(ret, commit);
    ret->list[ret->n++] = moved;
}

void mutate_wait_for_settings(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfMachine before = *m;

    hf_machine_step(m, e, ret);
    HfAction *spawn = find(ret, HF_ACTION_SPAWN);
    if (e->type != HF_EVENT_PREPARE_FAILED || !spawn || before.cause != HF_CAUSE_CRASH)
        return;
    *m = before;
    m->phase = HF_PHASE_BACKOFF;
    ret->n = 0;
    ret->list[ret->n++] =
        (HfAction){.type = HF_ACTION_ARM, .timer = HF_TIMER_RESPAWN, .usec = 100000};
}

void mutate_take_stale(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfEvent event = *e;

    if (event.type == HF_EVENT_MAIN_EXITED)
        event.number = m->generations[event.slot].number;
    hf_machine_step(m, &event, ret);
}
