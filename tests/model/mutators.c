/* SPDX-License-Identifier: MIT */
#include "mutators.h"

#include <assert.h>
#include <string.h>

#include "mutators_life.h"
#include "mutators_program.h"
#include "mutators_sides.h"
#include "mutators_stop.h"
#include "policy/machine_parts.h"

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

static void ask(HfMachine *m, unsigned slot, HfStage stage, HfActions *actions)
{
    HfMachineGeneration *g = &m->generations[slot];

    g->stage = stage;
    append(actions,
           (HfAction){.type = HF_ACTION_SIGNAL, .slot = slot, .number = g->number, .stage = stage});
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
    int slot = hf_machine_find(m, HF_STAGE_EMPTY);
    const HfAction *spawn = find(ret, HF_ACTION_SPAWN);
    if (!spawn || slot < 0)
        return;
    HfAction second = *spawn;
    second.slot = (unsigned)slot;
    second.number = ++m->last_number;
    m->generations[slot] =
        (HfMachineGeneration){.stage = HF_STAGE_STARTING, .number = second.number};
    append(ret, second);
    append(ret, (HfAction){.type = HF_ACTION_ARM,
                           .slot = second.slot,
                           .number = second.number,
                           .timer = HF_TIMER_DEADLINE,
                           .usec = 1});
}

static void keep_old(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    int old = hf_machine_find(m, HF_STAGE_ACTIVE);

    hf_machine_step(m, e, ret);
    HfAction *signal = find(ret, HF_ACTION_SIGNAL);
    if (e->type != HF_EVENT_READY || old < 0 || !signal)
        return;
    drop(ret, signal);
    drop(ret, find_timer(ret, HF_ACTION_ARM, HF_TIMER_DEADLINE));
    m->generations[old].stage = HF_STAGE_ACTIVE;
}

static void give_up(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *arm = find_timer(ret, HF_ACTION_ARM, HF_TIMER_RESPAWN);
    if (!arm)
        return;
    drop(ret, arm);
}

static void drain_too_soon(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    int active = hf_machine_find(m, HF_STAGE_ACTIVE);
    if (e->type == HF_EVENT_PREPARED && find(ret, HF_ACTION_SPAWN) && active >= 0)
        ask(m, (unsigned)active, HF_STAGE_STOP, ret);
}

static void fail_both(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool fails =
        e->type == HF_EVENT_SPAWN_FAILED && m->generations[e->slot].stage == HF_STAGE_STARTING;

    hf_machine_step(m, e, ret);
    int active = hf_machine_find(m, HF_STAGE_ACTIVE);
    if (fails && active >= 0)
        ask(m, (unsigned)active, HF_STAGE_STOP, ret);
}

static void wait_for_ever(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *arm = find_timer(ret, HF_ACTION_ARM, HF_TIMER_DEADLINE);
    if (arm && hf_stage_leaves(m->generations[arm->slot].stage))
        drop(ret, arm);
}

static void only_wait(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    HfStage stage = m->generations[e->slot].stage;

    hf_machine_step(m, e, ret);
    HfAction *signal = find(ret, HF_ACTION_SIGNAL);
    if (!is_deadline(e) || stage != HF_STAGE_TERM || !signal)
        return;
    drop(ret, signal);
    m->generations[e->slot].stage = stage;
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
    if (e->type != HF_EVENT_MAIN_EXITED || !hf_stage_leaves(g->stage))
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
        append(ret, (HfAction){.type = HF_ACTION_REPORT, .report = HF_REPORT_UPGRADED});
}

static void stay(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    hf_machine_step(m, e, ret);
    HfAction *end = find(ret, HF_ACTION_END);
    if (e->type != HF_EVENT_GONE || !end)
        return;
    drop(ret, end);
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
    int starting = hf_machine_find(m, HF_STAGE_STARTING);
    if (e->type == HF_EVENT_REOPEN && starting >= 0)
        append(ret, (HfAction){.type = HF_ACTION_REOPEN,
                               .slot = (unsigned)starting,
                               .number = m->generations[starting].number});
}

static void stop_the_starting(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    bool starting = m->generations[e->slot].stage == HF_STAGE_STARTING;

    hf_machine_step(m, e, ret);
    HfAction *signal = find(ret, HF_ACTION_SIGNAL);
    if (!is_deadline(e) || !starting || !signal)
        return;
    signal->stage = HF_STAGE_STOP;
    m->generations[e->slot].stage = HF_STAGE_STOP;
}

static void signal_the_gone(HfMachine *m, const HfEvent *e, HfActions *ret)
{
    uint64_t number = m->generations[e->slot].number;

    hf_machine_step(m, e, ret);
    if (e->type == HF_EVENT_GONE && ret->n > 0)
        insert(ret, 0,
               (HfAction){.type = HF_ACTION_SIGNAL,
                          .slot = e->slot,
                          .number = number,
                          .stage = HF_STAGE_KILL});
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
    int oldest = hf_machine_next_oldest(m, 0);
    const HfAction *report = find(ret, HF_ACTION_REPORT);
    if (report && report->report == HF_REPORT_WAITING)
        ask(m, (unsigned)oldest, HF_STAGE_KILL, ret);
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
    {RULE_ESCALATION, BOUNDS_PROCESSES, "does not climb from TERM to KILL", only_wait},
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
    {RULE_FALLBACK, BOUNDS_OUTAGE, "never answers", mutate_mute},
    {RULE_PROBE, BOUNDS_HEALTH, "never probes", mutate_never_probe},
    {RULE_VERDICT, BOUNDS_HEALTH, "hides that all are busy", mutate_hide_saturation},
    {RULE_REPLACE, BOUNDS_HEALTH, "lets memory grow", mutate_tolerate_size},
    {RULE_RECYCLE, BOUNDS_HEALTH, "never recycles", mutate_never_recycle},
    {RULE_GENTLE, BOUNDS_ALL, "is gentle with who answers nothing", mutate_gentle_with_the_ill},
    {RULE_GENTLE, BOUNDS_GENTLE, "goes on settling in a stop", mutate_settle_in_a_stop},
    {RULE_FALLBACK, BOUNDS_OUTAGE, "answers beside the next start", mutate_answer_beside},
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
    {RULE_STOP, BOUNDS_STOPS, "stops at once", mutate_stop_at_once},
    {RULE_STOP, BOUNDS_QUEUE, "leaves who waits in the queue", mutate_leave_the_queue},
    {RULE_STOP, BOUNDS_STOPS, "restarts a service that ends", mutate_restart_the_ended},
    {RULE_STOP, BOUNDS_STOPS, "takes the service's end for a second signal", mutate_end_as_signal},
    {RULE_STOP, BOUNDS_QUEUE, "drains who was taken over in vain", mutate_insist_on_takeover},
    {RULE_STOP, BOUNDS_STOPS, "does not hurry what is left at the end", mutate_wait_at_the_end},
    {RULE_STATUS, BOUNDS_STOPS, "ends with 0 whatever happened", mutate_flatter_status},
    {RULE_OUTCOME, BOUNDS_STOPS, "answers a stop too early", mutate_answer_stop_early},
    {RULE_ORDER, BOUNDS_CALLERS, "commits when the old one was asked", mutate_commit_late},
    {RULE_COMMITTED, BOUNDS_CALLERS, "waits for settings that are right", mutate_wait_for_settings},
    {RULE_STRAY, BOUNDS_CALLERS, "hears of a generation that is gone", mutate_take_stale},
    {RULE_SOUND, BOUNDS_DEATH, "lets the main process of an empty slot exit", mutate_unsound},
    {RULE_SAVED, BOUNDS_SIDES, "asks who was switched from before it is written",
     mutate_write_nothing},
    {RULE_SAVED, BOUNDS_CALLERS, "asks who was replaced before it is written",
     mutate_write_nothing},
    {RULE_SWITCH, BOUNDS_SIDES, "forgets to switch", mutate_forget_switch},
    {RULE_SWITCH, BOUNDS_SIDES, "switches before the next one is ready", mutate_switch_early},
    {RULE_SIDE, BOUNDS_SIDES, "starts beside who serves", mutate_start_beside},
    {RULE_SIDE, BOUNDS_PARK, "starts where others have not left yet",
     mutate_start_where_others_leave},
    {RULE_TOLD, BOUNDS_SIDES, "tells who serves before it is written", mutate_tell_early},
    {RULE_TRIAL, BOUNDS_SIDES, "tries nobody", mutate_try_nobody},
    {RULE_FAILED_SUCCESSOR, BOUNDS_SIDES, "lets who failed its trial serve", mutate_pass_anyway},
    {RULE_FAILED_SUCCESSOR, BOUNDS_SIDES, "ends both when a trial fails", mutate_end_both},
    {RULE_SERVES_ON, BOUNDS_PARK, "ends what a main process left behind", mutate_end_what_remains},
    {RULE_TRIAL, BOUNDS_SIDES, "does not look who waits at a side", mutate_watch_no_side},
    {RULE_ESCALATION, BOUNDS_SIDES, "retires who was switched from", mutate_retire_the_switched},
    {RULE_PARKED, BOUNDS_PARK, "parks nobody", mutate_park_nobody},
    {RULE_DEADLINE, BOUNDS_PARK, "parks for ever", mutate_park_for_ever},
    {RULE_ROLLBACK, BOUNDS_PARK, "rolls back with the plan of the newer one", mutate_keep_new_plan},
    {RULE_OUTCOME, BOUNDS_PARK, "calls a rollback done with nobody parked",
     mutate_flatter_rollback},
    {RULE_TRIAL, BOUNDS_SIDES_DEATH, "waits for a trial that died with holdfast",
     mutate_adopt_no_trial},
};
const size_t mutants_n = sizeof(mutants) / sizeof(*mutants);
