#include "mutators.h"

#include <assert.h>
#include <string.h>

#include "mutators_life.h"
#include "mutators_program.h"

/* ---- tools ---- */

static HfAction *find(HfActions *actions, HfActionType type)
{
    for (size_t i = 0; i < actions->n; i++)
        if (actions->list[i].type == type)
            return &actions->list[i];
    return NULL;
}

static HfAction *find_timer(HfActions *actions, HfActionType type, HfTimer timer)
{
    for (size_t i = 0; i < actions->n; i++)
        if (actions->list[i].type == type && actions->list[i].timer == timer)
            return &actions->list[i];
    return NULL;
}

static void drop(HfActions *actions, HfAction *action)
{
    size_t i = (size_t)(action - actions->list);

    memmove(action, action + 1, (actions->n - i - 1) * sizeof(*action));
    actions->n--;
}

static void insert(HfActions *actions, size_t at, HfAction action)
{
    assert(actions->n < HF_MACHINE_ACTIONS_MAX && at <= actions->n);
    memmove(&actions->list[at + 1], &actions->list[at], (actions->n - at) * sizeof(action));
    actions->list[at] = action;
    actions->n++;
}

static void append(HfActions *actions, HfAction action)
{
    insert(actions, actions->n, action);
}

static void ask(HfMachine *m, unsigned slot, HfRung rung, HfActions *actions)
{
    HfMachineGeneration *g = &m->generations[slot];

    g->state = HF_GENERATION_DRAINING;
    g->rung = rung;
    g->deadline = true;
    append(actions,
           (HfAction){.type = HF_ACTION_SIGNAL, .slot = slot, .number = g->number, .rung = rung});
    append(actions, (HfAction){.type = HF_ACTION_ARM,
                               .slot = slot,
                               .number = g->number,
                               .timer = HF_TIMER_DEADLINE,
                               .usec = 1000000});
}

static bool is_deadline(const HfEvent *e)
{
    return e->type == HF_EVENT_TIMER && e->timer == HF_TIMER_DEADLINE;
}

/* ---- the machines ---- */

static void spawn_twice(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    int slot = hf_machine_find(m, HF_GENERATION_EMPTY);
    const HfAction *spawn = find(ret, HF_ACTION_SPAWN);
    if (!spawn || slot < 0)
        return;
    HfAction second = *spawn;
    second.slot = (unsigned)slot;
    second.number = ++m->last_number;
    m->generations[slot] = (HfMachineGeneration){
        .state = HF_GENERATION_STARTING, .number = second.number, .deadline = true};
    append(ret, second);
    append(ret, (HfAction){.type = HF_ACTION_ARM,
                           .slot = second.slot,
                           .number = second.number,
                           .timer = HF_TIMER_DEADLINE,
                           .usec = 1});
}

static void keep_old(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    int old = hf_machine_find(m, HF_GENERATION_ACTIVE);

    hf_machine_step(m, e, ret);
    HfAction *signal = find(ret, HF_ACTION_SIGNAL);
    if (e->type != HF_EVENT_READY || old < 0 || !signal)
        return;
    drop(ret, signal);
    drop(ret, find_timer(ret, HF_ACTION_ARM, HF_TIMER_DEADLINE));
    m->generations[old].state = HF_GENERATION_ACTIVE;
    m->generations[old].rung = HF_RUNG_NONE;
    m->generations[old].deadline = false;
}

static void give_up(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *arm = find_timer(ret, HF_ACTION_ARM, HF_TIMER_RESPAWN);
    if (!arm)
        return;
    drop(ret, arm);
    m->respawn = false;
}

static void drain_too_soon(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    int active = hf_machine_find(m, HF_GENERATION_ACTIVE);
    if (e->type == HF_EVENT_PREPARED && find(ret, HF_ACTION_SPAWN) && active >= 0)
        ask(m, (unsigned)active, HF_RUNG_STOP, ret);
}

static void fail_both(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool fails =
        e->type == HF_EVENT_SPAWN_FAILED && m->generations[e->slot].state == HF_GENERATION_STARTING;

    hf_machine_step(m, e, ret);
    int active = hf_machine_find(m, HF_GENERATION_ACTIVE);
    if (fails && active >= 0)
        ask(m, (unsigned)active, HF_RUNG_STOP, ret);
}

static void wait_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool armed = m->generations[e->slot].deadline && !is_deadline(e);

    hf_machine_step(m, e, ret);
    HfAction *arm = find_timer(ret, HF_ACTION_ARM, HF_TIMER_DEADLINE);
    if (!arm || m->generations[arm->slot].state != HF_GENERATION_DRAINING)
        return;
    m->generations[arm->slot].deadline = false;
    if (armed && arm->slot == e->slot)
        arm->type = HF_ACTION_DISARM;
    else
        drop(ret, arm);
}

static void only_wait(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfRung rung = m->generations[e->slot].rung;

    hf_machine_step(m, e, ret);
    HfAction *signal = find(ret, HF_ACTION_SIGNAL);
    if (!is_deadline(e) || rung != HF_RUNG_TERM || !signal)
        return;
    drop(ret, signal);
    m->generations[e->slot].rung = rung;
}

static void ask_twice(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    const HfAction *signal = find(ret, HF_ACTION_SIGNAL);
    if (signal)
        append(ret, *signal);
}

static void forget_early(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfMachineGeneration *g = &m->generations[e->slot];
    if (e->type != HF_EVENT_MAIN_EXITED || g->state != HF_GENERATION_DRAINING)
        return;
    append(ret, (HfAction){.type = HF_ACTION_DISARM,
                           .slot = e->slot,
                           .number = g->number,
                           .timer = HF_TIMER_DEADLINE});
    append(ret, (HfAction){.type = HF_ACTION_FORGET, .slot = e->slot, .number = g->number});
    *g = (HfMachineGeneration){0};
}

static void chatter(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    while (e->type == HF_EVENT_REOPEN && ret->n < 100)
        append(ret, (HfAction){.type = HF_ACTION_REPORT, .report = HF_REPORT_STOPPING});
}

static void stay(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *leave = find(ret, HF_ACTION_EXIT);
    if (e->type != HF_EVENT_GONE || !leave || find(ret, HF_ACTION_ANSWER))
        return;
    drop(ret, leave);
    m->phase = HF_PHASE_STOPPING;
}

static void answer_twice(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *answer = find(ret, HF_ACTION_ANSWER);
    if (answer)
        insert(ret, (size_t)(answer - ret->list), *answer);
}

static void flatter(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    for (size_t i = 0; i < ret->n; i++)
        if (ret->list[i].type == HF_ACTION_ANSWER && ret->list[i].outcome == HF_OUTCOME_FAILED)
            ret->list[i].outcome = HF_OUTCOME_DONE;
}

static void back_off_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfMachine before = *m;

    hf_machine_step(m, e, ret);
    if (e->type != HF_EVENT_TIMER || e->timer != HF_TIMER_RESPAWN || ret->n == 0)
        return;
    *m = before;
    ret->n = 0;
    append(ret, (HfAction){.type = HF_ACTION_ARM, .timer = HF_TIMER_RESPAWN, .usec = 100000});
}

static void ask_the_starting(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    int starting = hf_machine_find(m, HF_GENERATION_STARTING);
    if (e->type == HF_EVENT_REOPEN && starting >= 0)
        append(ret, (HfAction){.type = HF_ACTION_REOPEN,
                               .slot = (unsigned)starting,
                               .number = m->generations[starting].number});
}

static void stop_the_starting(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool starting = m->generations[e->slot].state == HF_GENERATION_STARTING;

    hf_machine_step(m, e, ret);
    HfAction *signal = find(ret, HF_ACTION_SIGNAL);
    if (!is_deadline(e) || !starting || !signal)
        return;
    signal->rung = HF_RUNG_STOP;
    m->generations[e->slot].rung = HF_RUNG_STOP;
}

static void signal_the_gone(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    uint64_t number = m->generations[e->slot].number;

    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_GONE && ret->n > 0)
        insert(
            ret, 0,
            (HfAction){
                .type = HF_ACTION_SIGNAL, .slot = e->slot, .number = number, .rung = HF_RUNG_KILL});
}

static void keep_plan(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *commit = find(ret, HF_ACTION_COMMIT);
    if (e->type != HF_EVENT_READY || !commit)
        return;
    drop(ret, commit);
    m->prepared = true;
}

static void leave_armed(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *disarm = find_timer(ret, HF_ACTION_DISARM, HF_TIMER_RESPAWN);
    if (disarm)
        drop(ret, disarm);
}

static void outlive(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *disarm = find_timer(ret, HF_ACTION_DISARM, HF_TIMER_STABLE);
    if (e->type != HF_EVENT_MAIN_EXITED || !disarm)
        return;
    drop(ret, disarm);
    m->stable = true;
}

static void exit_first(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *leave = find(ret, HF_ACTION_EXIT);
    if (!leave || ret->n < 2)
        return;
    HfAction moved = *leave;
    drop(ret, leave);
    insert(ret, 0, moved);
}

static void leave_backlog(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *backlog = find(ret, HF_ACTION_BACKLOG);
    if (!backlog)
        return;
    m->raised = !backlog->raised;
    drop(ret, backlog);
}

static void crowd(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    const HfMachineLimits limits = m->limits;

    m->limits.max_draining++;
    hf_machine_step(m, e, ret);
    m->limits = m->next = limits;
}

static void impatient(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    int oldest = hf_machine_find(m, HF_GENERATION_DRAINING);
    const HfAction *report = find(ret, HF_ACTION_REPORT);
    if (report && report->report == HF_REPORT_WAITING)
        ask(m, (unsigned)oldest, HF_RUNG_KILL, ret);
}

static void never_idle(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_READY && m->phase == HF_PHASE_IDLE)
        m->phase = HF_PHASE_STARTING;
}

static void miscount(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *spawn = find(ret, HF_ACTION_SPAWN);
    if (spawn)
        spawn->number--;
}

static void believe_strays(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_TIMER && e->timer == HF_TIMER_STABLE)
        m->failures = 0;
}

const Mutant mutants[] = {
    {RULE_ONE_STARTING, BOUNDS_CALLERS, "spawns two at once", spawn_twice},
    {RULE_ONE_ACTIVE, BOUNDS_CALLERS, "keeps the old generation beside the new one", keep_old},
    {RULE_WANTED, BOUNDS_CALLERS, "gives up after the second failure", give_up},
    {RULE_OVERLAP, BOUNDS_CALLERS, "drains before the successor is ready", drain_too_soon},
    {RULE_FAILED_SUCCESSOR, BOUNDS_CALLERS, "drains when the successor has failed", fail_both},
    {RULE_DEADLINE, BOUNDS_CALLERS, "waits for a draining generation for ever", wait_for_ever},
    {RULE_LADDER, BOUNDS_PROCESSES, "does not climb from TERM to KILL", only_wait},
    {RULE_REPEAT, BOUNDS_CALLERS, "asks twice", ask_twice},
    {RULE_SLOT, BOUNDS_CALLERS, "forgets a generation whose main process left", forget_early},
    {RULE_BOUNDED, BOUNDS_CALLERS, "reports without end", chatter},
    {RULE_STOP_ENDS, BOUNDS_CALLERS, "stays when the last generation is gone", stay},
    {RULE_ONE_ANSWER, BOUNDS_CALLERS, "answers twice", answer_twice},
    {RULE_OUTCOME, BOUNDS_CALLERS, "calls a failure done", flatter},
    {RULE_SERVES, BOUNDS_CALLERS, "backs off for ever", back_off_for_ever},
    {RULE_EARLY_SIGNAL, BOUNDS_CALLERS, "reopens the logs of a starting one", ask_the_starting},
    {RULE_EARLY_SIGNAL, BOUNDS_CALLERS, "sends the stop signal to a late one", stop_the_starting},
    {RULE_LATE_SIGNAL, BOUNDS_CALLERS, "signals who is gone", signal_the_gone},
    {RULE_PLAN, BOUNDS_CALLERS, "does not commit the plan that became ready", keep_plan},
    {RULE_TIMER, BOUNDS_CALLERS, "leaves the respawn timer armed", leave_armed},
    {RULE_STABLE, BOUNDS_CALLERS, "lets STABLE outlive the generation", outlive},
    {RULE_EXIT, BOUNDS_CALLERS, "exits before the other actions", exit_first},
    {RULE_BACKLOG, BOUNDS_CALLERS, "leaves the backlog alone", leave_backlog},
    {RULE_ROOM, BOUNDS_CALLERS, "lets one more drain", crowd},
    {RULE_HURRY, BOUNDS_CALLERS, "kills who is in the way of a reload", impatient},
    {RULE_PHASE, BOUNDS_CALLERS, "does not see that the start is over", never_idle},
    {RULE_NUMBER, BOUNDS_CALLERS, "starts the numbers at 0", miscount},
    {RULE_STRAY, BOUNDS_CALLERS, "believes a timer that was disarmed", believe_strays},
    {RULE_GENTLE, BOUNDS_GENTLE, "stops the old one at once", mutate_roughly},
    {RULE_RETIRED, BOUNDS_GENTLE, "does not hear that all were asked", mutate_deaf_to_retired},
    {RULE_STOPPED, BOUNDS_GENTLE, "leaves a main process stopped", mutate_leave_stopped},
    {RULE_EXTEND, BOUNDS_EXTEND, "extends for ever", mutate_extend_for_ever},
    {RULE_BUSY, BOUNDS_OUTAGE, "never loses patience", mutate_patient},
    {RULE_OUTAGE, BOUNDS_OUTAGE, "keeps an outage to itself", mutate_silent_outage},
    {RULE_OVERDUE, BOUNDS_OUTAGE, "forgets that callers wait", mutate_forgetful},
    {RULE_ANSWERER, BOUNDS_OUTAGE, "never answers", mutate_mute},
    {RULE_PROBE, BOUNDS_HEALTH, "never probes", mutate_never_probe},
    {RULE_VERDICT, BOUNDS_HEALTH, "hides that all are busy", mutate_hide_saturation},
    {RULE_REPLACE, BOUNDS_HEALTH, "lets memory grow", mutate_tolerate_size},
    {RULE_RECYCLE, BOUNDS_HEALTH, "never recycles", mutate_never_recycle},
    {RULE_GENTLE, BOUNDS_ALL, "is gentle with who answers nothing", mutate_gentle_with_the_ill},
    {RULE_GENTLE, BOUNDS_GENTLE, "goes on settling in a stop", mutate_settle_in_a_stop},
    {RULE_ANSWERER, BOUNDS_OUTAGE, "answers beside the next start", mutate_answer_beside},
    {RULE_OUTAGE, BOUNDS_OUTAGE, "recovers silently", mutate_recover_silently},
    {RULE_REPLACE, BOUNDS_HEALTH, "replaces at the first failed probe", mutate_hasty},
    {RULE_REPLACE, BOUNDS_HEALTH, "replaces who is busy", mutate_replace_the_busy},
    {RULE_VERDICT, BOUNDS_ALL, "takes who hangs for dead", mutate_replace_the_hung},
    {RULE_VERDICT, BOUNDS_DOUBTS, "never doubts the probe", mutate_never_doubt},
    {RULE_VERDICT, BOUNDS_DOUBTS, "doubts the probe silently", mutate_doubt_silently},
    {RULE_VERDICT, BOUNDS_DOUBTS, "doubts the probe for ever", mutate_doubt_for_ever},
    {RULE_EXTEND, BOUNDS_EXTEND, "may shorten a deadline", mutate_shorten},
    {RULE_EXTEND, BOUNDS_EXTEND, "has one budget for start and drain", mutate_one_budget},
    {RULE_LEAVING, BOUNDS_PROCESSES, "asks who leaves already", mutate_ask_the_leaving},
    {RULE_LEAVING, BOUNDS_PROCESSES, "waits for the exit of who leaves", mutate_deaf_to_leaving},
    {RULE_RESUMED, BOUNDS_GENTLE, "lets who settles go when its successor dies", mutate_let_go},
    {RULE_STRAY, BOUNDS_CALLERS, "believes that who serves was never spawned",
     mutate_unspawn_the_active},
    {RULE_UPGRADE, BOUNDS_UPGRADE, "upgrades while a start is under way", mutate_upgrade_any_time},
    {RULE_UPGRADE, BOUNDS_UPGRADE, "forgets that an upgrade waits", mutate_forget_upgrade},
    {RULE_OUTCOME, BOUNDS_UPGRADE, "calls an upgrade done that failed", mutate_flatter_upgrade},
    {RULE_DEADLINE, BOUNDS_DEATH, "adopts who drains and waits for ever", mutate_adopt_patiently},
    {RULE_STOPPED, BOUNDS_DEATH, "leaves who was stopped when it adopts", mutate_adopt_stopped},
    {RULE_WANTED, BOUNDS_DEATH, "waits for a plan that is lost", mutate_adopt_preparing},
    {RULE_ADOPT, BOUNDS_DEATH, "prepares again what may have killed it", mutate_adopt_reload},
    {RULE_SOUND, BOUNDS_DEATH, "lets the main process of an empty slot exit", mutate_unsound},
};
const size_t mutants_n = sizeof(mutants) / sizeof(*mutants);
