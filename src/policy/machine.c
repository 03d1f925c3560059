#include "policy/machine_parts.h"

#include <assert.h>
#include <string.h>

#include "policy/backoff.h"

int hf_machine_find(const HfMachine *machine, HfGenerationState state)
{
    int found = -1;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *generation = &machine->generations[i];
        if (generation->state == state &&
            (found < 0 || generation->number < machine->generations[found].number))
            found = (int)i;
    }
    return found;
}

unsigned hf_machine_count(const HfMachine *machine, HfGenerationState state)
{
    unsigned n = 0;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        n += machine->generations[i].state == state;
    return n;
}

/* ---- one replacement ---- */

void hf_machine_prepare(HfMachine *machine, HfCause cause, HfActions *actions)
{
    machine->cause = cause;
    machine->phase = HF_PHASE_PREPARING;
    machine->next = machine->limits;
    hf_machine_add(actions, HF_ACTION_PREPARE)->cause = cause;
}

static void begin_pending(HfMachine *machine, HfActions *actions)
{
    if (machine->pending == HF_REQUEST_NONE)
        return;
    HfCause cause = machine->pending == HF_REQUEST_RESTART ? HF_CAUSE_RESTART : HF_CAUSE_RELOAD;
    machine->pending = HF_REQUEST_NONE;
    hf_machine_move_requests(machine, false);
    hf_machine_disarm(&machine->respawn, HF_TIMER_RESPAWN, actions);
    hf_machine_prepare(machine, cause, actions);
}

static void commit(HfMachine *machine, HfActions *actions)
{
    if (!machine->prepared)
        return;
    machine->prepared = false;
    machine->planned = true;
    machine->limits = machine->next;
    hf_machine_add(actions, HF_ACTION_COMMIT)->cause = machine->cause;
}

static void discard(HfMachine *machine, HfActions *actions)
{
    if (!machine->prepared)
        return;
    machine->prepared = false;
    hf_machine_add(actions, HF_ACTION_DISCARD);
}

static void spawn(HfMachine *machine, unsigned slot, HfActions *actions)
{
    machine->generations[slot] = (HfMachineGeneration){
        .state = HF_GENERATION_STARTING,
        .number = ++machine->last_number,
    };
    machine->phase = HF_PHASE_STARTING;
    hf_machine_yield(machine, actions);
    HfAction *action = hf_machine_add_for(actions, HF_ACTION_SPAWN, machine, slot);
    action->cause = machine->cause;
    action->prepared = machine->prepared;
    hf_machine_arm_deadline(machine, slot, hf_machine_ready_timeout(machine), actions);
}

/* Spawns, or waits for a slot: beside an active generation one slot stays free for its crash. */
static void launch(HfMachine *machine, HfActions *actions)
{
    bool beside = hf_machine_find(machine, HF_GENERATION_ACTIVE) >= 0;
    unsigned empty = hf_machine_count(machine, HF_GENERATION_EMPTY);
    unsigned draining = hf_machine_count(machine, HF_GENERATION_DRAINING);

    if (beside ? draining < machine->limits.max_draining : empty > 0) {
        if (!beside)
            commit(machine, actions);
        spawn(machine, (unsigned)hf_machine_find(machine, HF_GENERATION_EMPTY), actions);
        return;
    }
    unsigned oldest = (unsigned)hf_machine_find(machine, HF_GENERATION_DRAINING);
    if (!beside)
        hf_machine_hurry(machine, oldest, HF_RUNG_KILL, actions);
    else if (machine->phase != HF_PHASE_WAITING)
        hf_machine_report(actions, HF_REPORT_WAITING, machine, oldest);
    machine->phase = HF_PHASE_WAITING;
}

/* No generation serves and none is starting: the next start, at once or after a growing delay. */
static void respawn(HfMachine *machine, HfActions *actions)
{
    if (machine->failures < UINT32_MAX)
        machine->failures++;
    machine->cause = HF_CAUSE_CRASH;

    uint64_t delay = hf_backoff_delay(machine->failures, machine->limits.backoff_max);
    if (delay == 0) {
        launch(machine, actions);
        return;
    }
    machine->phase = HF_PHASE_BACKOFF;
    hf_machine_arm(&machine->respawn, HF_TIMER_RESPAWN, delay, true, actions);
    HfAction *action = hf_machine_add(actions, HF_ACTION_REPORT);
    action->report = HF_REPORT_RETRY;
    action->usec = delay;
}

static void end(HfMachine *machine, int status, HfActions *actions)
{
    hf_machine_answer_all(machine, HF_OUTCOME_DONE, actions);
    machine->upgrade = HF_UPGRADE_NONE;
    machine->phase = HF_PHASE_ENDED;
    hf_machine_settle_gap(machine, actions);
    hf_machine_add(actions, HF_ACTION_EXIT)->status = status;
}

void hf_machine_arm_recycle(HfMachine *machine, HfActions *actions)
{
    if (machine->limits.recycle_every > 0 && !machine->recycle)
        hf_machine_arm(&machine->recycle, HF_TIMER_RECYCLE, machine->limits.recycle_every, true,
                       actions);
}

/* What is armed for an active generation. */
static void arm_active(HfMachine *machine, HfActions *actions)
{
    hf_machine_arm_probe(machine, actions);
    hf_machine_arm_recycle(machine, actions);
    if (machine->failures > 0)
        hf_machine_arm(&machine->stable, HF_TIMER_STABLE, machine->limits.stable_time, false,
                       actions);
}

/* The replacement that ran came to nothing. */
static void fail(HfMachine *machine, HfActions *actions)
{
    discard(machine, actions);
    hf_machine_answer_running(machine, HF_OUTCOME_FAILED, actions);
    if (hf_machine_find(machine, HF_GENERATION_ACTIVE) >= 0) {
        machine->phase = HF_PHASE_IDLE;
        hf_machine_arm_recycle(machine, actions);
    } else {
        machine->overdue = machine->outage;
        if (machine->pending == HF_REQUEST_NONE)
            respawn(machine, actions);
    }
    begin_pending(machine, actions);
}

void hf_machine_end_if_gone(HfMachine *machine, HfActions *actions)
{
    if (hf_machine_count(machine, HF_GENERATION_EMPTY) == HF_MACHINE_SLOTS)
        end(machine, 0, actions);
}

static void stop(HfMachine *machine, HfActions *actions)
{
    HfAction *action = hf_machine_add(actions, HF_ACTION_REPORT);
    action->report = HF_REPORT_STOPPING;
    if (machine->phase == HF_PHASE_PREPARING)
        hf_machine_add(actions, HF_ACTION_ABORT_PREPARE);
    discard(machine, actions);
    hf_machine_disarm(&machine->respawn, HF_TIMER_RESPAWN, actions);
    machine->pending = HF_REQUEST_NONE;
    machine->upgrade = HF_UPGRADE_NONE;
    hf_machine_answer_all(machine, HF_OUTCOME_STOPPING, actions);
    machine->phase = HF_PHASE_STOPPING;
    machine->hurry = HF_RUNG_STOP;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfGenerationState state = machine->generations[i].state;
        if (state == HF_GENERATION_ACTIVE)
            hf_machine_drain(machine, i, false, actions);
        else if (state == HF_GENERATION_STARTING) /* it may serve already */
            hf_machine_climb(machine, i, HF_RUNG_STOP, actions);
        else if (state == HF_GENERATION_DRAINING)
            hf_machine_hurry(machine, i, HF_RUNG_STOP, actions);
    }
}

/* ---- events ---- */

static void on_prepared(HfMachine *machine, HfActions *actions)
{
    if (machine->phase != HF_PHASE_PREPARING)
        return;
    machine->prepared = true;
    if (machine->cause != HF_CAUSE_RESTART ||
        hf_machine_count(machine, HF_GENERATION_EMPTY) == HF_MACHINE_SLOTS) {
        launch(machine, actions);
        return;
    }
    machine->phase = HF_PHASE_CLEARING;
    int active = hf_machine_find(machine, HF_GENERATION_ACTIVE);
    if (active >= 0)
        hf_machine_drain(machine, (unsigned)active, false, actions);
}

static void on_prepare_failed(HfMachine *machine, HfActions *actions)
{
    if (machine->phase != HF_PHASE_PREPARING)
        return;
    HfAction *action = hf_machine_add(actions, HF_ACTION_REPORT);
    action->report = HF_REPORT_PREPARE_FAILED;
    action->cause = machine->cause;
    if (machine->planned) {
        fail(machine, actions);
        return;
    }
    hf_machine_answer_all(machine, HF_OUTCOME_FAILED, actions);
    end(machine, 1, actions);
}

/* The slot is free again; who waited for that goes on. */
static void release(HfMachine *machine, unsigned slot, HfActions *actions)
{
    hf_machine_leave_active(machine, slot, actions);
    hf_machine_disarm_deadline(machine, slot, actions);
    hf_machine_add_for(actions, HF_ACTION_FORGET, machine, slot);
    machine->generations[slot] = (HfMachineGeneration){0};
}

static void go_on(HfMachine *machine, HfActions *actions)
{
    bool clear = hf_machine_count(machine, HF_GENERATION_EMPTY) == HF_MACHINE_SLOTS;

    if (machine->phase == HF_PHASE_WAITING || (machine->phase == HF_PHASE_CLEARING && clear))
        launch(machine, actions);
    else if (machine->phase == HF_PHASE_STOPPING)
        hf_machine_end_if_gone(machine, actions);
}

static void on_spawn_failed(HfMachine *machine, unsigned slot, HfActions *actions)
{
    bool was_starting = machine->generations[slot].state == HF_GENERATION_STARTING;

    if (machine->generations[slot].state == HF_GENERATION_ACTIVE)
        return;
    hf_machine_report(actions, HF_REPORT_START_FAILED, machine, slot);
    release(machine, slot, actions);
    if (was_starting)
        fail(machine, actions);
    else
        go_on(machine, actions);
}

static void on_ready(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];
    if (generation->state != HF_GENERATION_STARTING)
        return;

    int old = hf_machine_find(machine, HF_GENERATION_ACTIVE);
    generation->state = HF_GENERATION_ACTIVE;
    generation->extensions = 0;
    hf_machine_disarm_deadline(machine, slot, actions);
    hf_machine_report(actions, HF_REPORT_READY, machine, slot);
    commit(machine, actions);
    if (generation->reopen) {
        generation->reopen = false;
        hf_machine_add_for(actions, HF_ACTION_REOPEN, machine, slot);
    }
    if (old >= 0)
        hf_machine_drain(machine, (unsigned)old,
                         machine->limits.gentle && machine->cause != HF_CAUSE_HEALTH, actions);
    arm_active(machine, actions);
    hf_machine_answer_running(machine, HF_OUTCOME_DONE, actions);
    machine->phase = HF_PHASE_IDLE;
    begin_pending(machine, actions);
}

/* The youngest that settles, whole and not asked for anything yet, or -1. */
static int find_settling(const HfMachine *machine)
{
    int found = -1;

    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *generation = &machine->generations[i];
        if (generation->rung == HF_RUNG_SETTLE && !generation->main_exited &&
            (found < 0 || generation->number > machine->generations[found].number))
            found = (int)i;
    }
    return found;
}

/* Its successor is lost: it goes on as if it had never been replaced. */
static void resume(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];

    if (machine->failures < UINT32_MAX)
        machine->failures++;
    generation->state = HF_GENERATION_ACTIVE;
    generation->rung = HF_RUNG_NONE;
    hf_machine_disarm_deadline(machine, slot, actions);
    hf_machine_report(actions, HF_REPORT_RESUMED, machine, slot);
    arm_active(machine, actions);
}

/* The active generation is lost: the one before it, if it still settles, or the next one, unless
 * that is on its way. */
static void replace_crashed(HfMachine *machine, HfActions *actions)
{
    int settling = find_settling(machine);

    if (settling >= 0) {
        resume(machine, (unsigned)settling, actions);
        return;
    }
    switch (machine->phase) {
    case HF_PHASE_IDLE:
        respawn(machine, actions);
        break;
    case HF_PHASE_WAITING:
        launch(machine, actions);
        break;
    case HF_PHASE_PREPARING:
        if (hf_backoff_delay(machine->failures + 1, machine->limits.backoff_max) > 0) {
            machine->failures++; /* what is being prepared is the next start */
            break;
        }
        hf_machine_add(actions, HF_ACTION_ABORT_PREPARE);
        hf_machine_move_requests(machine, true);
        if (machine->cause == HF_CAUSE_RESTART)
            machine->pending = HF_REQUEST_RESTART;
        else if (machine->pending == HF_REQUEST_NONE && machine->cause == HF_CAUSE_RELOAD)
            machine->pending = HF_REQUEST_RELOAD;
        respawn(machine, actions);
        break;
    case HF_PHASE_STARTING: /* the successor is on its way */
    case HF_PHASE_NEW:
    case HF_PHASE_CLEARING:
    case HF_PHASE_BACKOFF:
    case HF_PHASE_STOPPING:
    case HF_PHASE_ENDED:
    case HF_PHASE_MAX_:
    default:
        break;
    }
}

static void on_main_exited(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];

    if (generation->main_exited)
        return;
    generation->main_exited = true;
    switch (generation->state) {
    case HF_GENERATION_STARTING: /* what it left behind may serve already */
        hf_machine_report(actions, HF_REPORT_START_FAILED, machine, slot);
        hf_machine_climb(machine, slot, HF_RUNG_STOP, actions);
        fail(machine, actions);
        break;
    case HF_GENERATION_ACTIVE: /* what it left behind is asked to leave */
        hf_machine_report(actions, HF_REPORT_CRASHED, machine, slot);
        hf_machine_climb(machine, slot, HF_RUNG_STOP, actions);
        replace_crashed(machine, actions);
        break;
    case HF_GENERATION_DRAINING: /* what it left behind may never have heard that it is to leave */
        if (generation->rung < HF_RUNG_STOP)
            hf_machine_climb(machine, slot, HF_RUNG_STOP, actions);
        else
            hf_machine_add_for(actions, HF_ACTION_SIGNAL, machine, slot)->rung = generation->rung;
        break;
    case HF_GENERATION_EMPTY:
    case HF_GENERATION_STATE_MAX_:
    default:
        assert(false);
    }
}

static void on_leaving(HfMachine *machine, unsigned slot, HfActions *actions)
{
    if (machine->generations[slot].state != HF_GENERATION_ACTIVE)
        return;
    hf_machine_report(actions, HF_REPORT_LEAVING, machine, slot);
    hf_machine_let_leave(machine, slot, actions);
    replace_crashed(machine, actions);
}

/* The slot is free before the next start looks for one: nobody is hurried for want of it. */
static void on_gone(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfGenerationState was = machine->generations[slot].state;

    if (was == HF_GENERATION_STARTING)
        hf_machine_report(actions, HF_REPORT_START_FAILED, machine, slot);
    else if (was == HF_GENERATION_ACTIVE)
        hf_machine_report(actions, HF_REPORT_CRASHED, machine, slot);
    hf_machine_report(actions, HF_REPORT_GONE, machine, slot);
    release(machine, slot, actions);
    if (was == HF_GENERATION_STARTING)
        fail(machine, actions);
    else if (was == HF_GENERATION_ACTIVE)
        replace_crashed(machine, actions);
    go_on(machine, actions);
}

static void on_deadline(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfMachineGeneration *generation = &machine->generations[slot];
    if (!generation->deadline)
        return;

    generation->deadline = false;
    if (generation->state == HF_GENERATION_STARTING) {
        HfAction *action = hf_machine_report(actions, HF_REPORT_START_FAILED, machine, slot);
        action->timed_out = true;
        action->usec = hf_machine_ready_timeout(machine);
        hf_machine_climb(machine, slot, HF_RUNG_TERM, actions);
        fail(machine, actions);
    } else {
        hf_machine_climb_on(machine, slot, actions);
    }
}

/* Beside the active generation, without anybody having asked. */
static bool may_replace(const HfMachine *machine, unsigned slot)
{
    return machine->phase == HF_PHASE_IDLE &&
           machine->generations[slot].state == HF_GENERATION_ACTIVE;
}

static void on_probed(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    bool asked = machine->limits.probe_every > 0 && !machine->probe;

    if (!asked || machine->generations[event->slot].state != HF_GENERATION_ACTIVE)
        return;
    bool ill = hf_machine_probed(machine, event->slot, event->verdict, actions);
    hf_machine_arm_probe(machine, actions);
    if (!ill || !may_replace(machine, event->slot))
        return;
    hf_machine_doubt(machine);
    machine->cause = HF_CAUSE_HEALTH;
    launch(machine, actions);
}

static void on_timer(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    switch (event->timer) {
    case HF_TIMER_DEADLINE:
        on_deadline(machine, event->slot, actions);
        break;
    case HF_TIMER_RESPAWN: /* the settings are read again: they may be what has to be mended */
        if (!machine->respawn)
            return;
        machine->respawn = false;
        hf_machine_prepare(machine, HF_CAUSE_CRASH, actions);
        break;
    case HF_TIMER_STABLE:
        if (!machine->stable)
            return;
        machine->stable = false;
        machine->failures = 0;
        break;
    case HF_TIMER_BUSY:
        if (!machine->busy)
            return;
        machine->busy = false;
        hf_machine_overdue(machine, actions);
        break;
    case HF_TIMER_PROBE:
        if (!machine->probe)
            return;
        machine->probe = false;
        hf_machine_add_for(actions, HF_ACTION_PROBE, machine,
                           (unsigned)hf_machine_find(machine, HF_GENERATION_ACTIVE));
        break;
    case HF_TIMER_RECYCLE: /* what runs already replaces it anyway */
        if (!machine->recycle)
            return;
        machine->recycle = false;
        if (machine->phase == HF_PHASE_IDLE)
            hf_machine_prepare(machine, HF_CAUSE_RECYCLE, actions);
        break;
    case HF_TIMER_MAX_:
    default:
        assert(false);
    }
}

static void on_request(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    bool stopping = machine->phase == HF_PHASE_STOPPING || machine->phase == HF_PHASE_ENDED;

    if (stopping && event->request != HF_REQUEST_STOP) {
        if (event->id != 0)
            hf_machine_answer(&(HfMachineRequest){.id = event->id}, HF_OUTCOME_STOPPING, actions);
        return;
    }
    if (machine->phase == HF_PHASE_ENDED) {
        if (event->id != 0)
            hf_machine_answer(&(HfMachineRequest){.id = event->id}, HF_OUTCOME_DONE, actions);
        return;
    }
    if (event->request == HF_REQUEST_STOP) { /* its place is free once the others are answered */
        if (!stopping)
            stop(machine, actions);
        hf_machine_enqueue(machine, event, actions);
        if (!stopping)
            hf_machine_end_if_gone(machine, actions);
        return;
    }
    if (!hf_machine_enqueue(machine, event, actions))
        return;
    if (event->request == HF_REQUEST_UPGRADE) {
        if (machine->upgrade == HF_UPGRADE_NONE)
            machine->upgrade = HF_UPGRADE_WANTED;
        return;
    }
    if (event->request > machine->pending)
        machine->pending = event->request;
    if (machine->phase == HF_PHASE_IDLE || machine->phase == HF_PHASE_BACKOFF)
        begin_pending(machine, actions);
}

static void on_stop_signal(HfMachine *machine, HfActions *actions)
{
    if (machine->phase == HF_PHASE_ENDED)
        return;
    if (machine->phase != HF_PHASE_STOPPING) {
        stop(machine, actions);
        hf_machine_end_if_gone(machine, actions);
        return;
    }
    if (machine->hurry < HF_RUNG_KILL)
        machine->hurry++;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].state != HF_GENERATION_EMPTY)
            hf_machine_hurry(machine, i, machine->hurry, actions);
}

static void on_reopen(HfMachine *machine, HfActions *actions)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfMachineGeneration *generation = &machine->generations[i];
        if (generation->state == HF_GENERATION_STARTING)
            generation->reopen = true;
        else if (generation->state != HF_GENERATION_EMPTY && !generation->main_exited)
            hf_machine_add_for(actions, HF_ACTION_REOPEN, machine, i);
    }
}

void hf_machine_init(HfMachine *machine, const HfMachineLimits *limits)
{
    assert(limits->max_draining >= 1 && limits->max_draining <= HF_MACHINE_DRAINING_MAX);
    memset(machine, 0, sizeof(*machine));
    machine->limits = machine->next = *limits;
}

void hf_machine_offer(HfMachine *machine, const HfMachineLimits *limits)
{
    assert(limits->max_draining >= 1 && limits->max_draining <= HF_MACHINE_DRAINING_MAX);
    assert(machine->phase == HF_PHASE_PREPARING);
    machine->next = *limits;
}

void hf_machine_step(HfMachine *machine, const HfEvent *event, HfActions *ret)
{
    bool of_slot = event->type == HF_EVENT_SPAWN_FAILED || event->type == HF_EVENT_READY ||
                   event->type == HF_EVENT_MAIN_EXITED || event->type == HF_EVENT_GONE ||
                   event->type == HF_EVENT_RETIRED || event->type == HF_EVENT_EXTEND ||
                   event->type == HF_EVENT_PROBED || event->type == HF_EVENT_OVERSIZE ||
                   event->type == HF_EVENT_LEAVING;

    ret->n = 0;
    assert(event->slot < HF_MACHINE_SLOTS);
    if (of_slot && machine->generations[event->slot].state == HF_GENERATION_EMPTY)
        return;

    switch (event->type) {
    case HF_EVENT_START:
        assert(machine->phase == HF_PHASE_NEW);
        hf_machine_prepare(machine, HF_CAUSE_START, ret);
        break;
    case HF_EVENT_PREPARED:
        on_prepared(machine, ret);
        break;
    case HF_EVENT_PREPARE_FAILED:
        on_prepare_failed(machine, ret);
        break;
    case HF_EVENT_SPAWN_FAILED:
        on_spawn_failed(machine, event->slot, ret);
        break;
    case HF_EVENT_READY:
        on_ready(machine, event->slot, ret);
        break;
    case HF_EVENT_MAIN_EXITED:
        on_main_exited(machine, event->slot, ret);
        break;
    case HF_EVENT_GONE:
        on_gone(machine, event->slot, ret);
        break;
    case HF_EVENT_TIMER:
        on_timer(machine, event, ret);
        break;
    case HF_EVENT_REQUEST:
        on_request(machine, event, ret);
        break;
    case HF_EVENT_STOP_SIGNAL:
        on_stop_signal(machine, ret);
        break;
    case HF_EVENT_REOPEN:
        on_reopen(machine, ret);
        break;
    case HF_EVENT_RETIRED:
        if (machine->generations[event->slot].rung == HF_RUNG_RETIRE)
            hf_machine_climb(machine, event->slot, HF_RUNG_STOP, ret);
        break;
    case HF_EVENT_EXTEND:
        hf_machine_extend(machine, event->slot, event->usec, ret);
        break;
    case HF_EVENT_ANSWERER_GONE: /* tried again after the usual time */
        machine->overdue &= !machine->answering;
        machine->answering = false;
        break;
    case HF_EVENT_PROBED:
        on_probed(machine, event, ret);
        break;
    case HF_EVENT_OVERSIZE:
        if (may_replace(machine, event->slot))
            hf_machine_prepare(machine, HF_CAUSE_RECYCLE, ret);
        break;
    case HF_EVENT_UPGRADE_TESTED:
        hf_machine_upgrade_tested(machine, ret);
        break;
    case HF_EVENT_UPGRADE_FAILED:
        hf_machine_upgrade_failed(machine, ret);
        break;
    case HF_EVENT_RESUME:
        hf_machine_resume(machine, ret);
        break;
    case HF_EVENT_ADOPT:
        hf_machine_adopt(machine, ret);
        break;
    case HF_EVENT_LEAVING:
        on_leaving(machine, event->slot, ret);
        break;
    case HF_EVENT_MAX_:
    default:
        assert(false);
    }
    hf_machine_settle_gap(machine, ret);
    hf_machine_settle_upgrade(machine, ret);
}
