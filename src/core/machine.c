#include "core/machine.h"

#include <assert.h>
#include <string.h>

#include "core/backoff.h"

static HfAction *add(HfActions *actions, HfActionType type)
{
    assert(actions->n < HF_MACHINE_ACTIONS_MAX);
    HfAction *action = &actions->list[actions->n++];
    *action = (HfAction){.type = type};
    return action;
}

static HfAction *add_for(HfActions *actions, HfActionType type, const HfMachine *machine,
                         unsigned slot)
{
    HfAction *action = add(actions, type);
    action->slot = slot;
    action->number = machine->generations[slot].number;
    return action;
}

static HfAction *report(HfActions *actions, HfReport what, const HfMachine *machine, unsigned slot)
{
    HfAction *action = add_for(actions, HF_ACTION_REPORT, machine, slot);
    action->report = what;
    action->cause = machine->cause;
    return action;
}

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

/* ---- timers ---- */

static void arm_deadline(HfMachine *machine, unsigned slot, uint64_t usec, HfActions *actions)
{
    HfAction *action = add_for(actions, HF_ACTION_ARM, machine, slot);
    action->timer = HF_TIMER_DEADLINE;
    action->usec = usec;
    machine->generations[slot].deadline = true;
}

static void disarm_deadline(HfMachine *machine, unsigned slot, HfActions *actions)
{
    if (!machine->generations[slot].deadline)
        return;
    add_for(actions, HF_ACTION_DISARM, machine, slot)->timer = HF_TIMER_DEADLINE;
    machine->generations[slot].deadline = false;
}

static void arm(bool *armed, HfTimer timer, uint64_t usec, bool spread, HfActions *actions)
{
    HfAction *action = add(actions, HF_ACTION_ARM);
    action->timer = timer;
    action->usec = usec;
    action->spread = spread;
    *armed = true;
}

static void disarm(bool *armed, HfTimer timer, HfActions *actions)
{
    if (!*armed)
        return;
    add(actions, HF_ACTION_DISARM)->timer = timer;
    *armed = false;
}

/* STABLE is about the active generation: it ends with it. */
static void leave_active(HfMachine *machine, unsigned slot, HfActions *actions)
{
    if (machine->generations[slot].state == HF_GENERATION_ACTIVE)
        disarm(&machine->stable, HF_TIMER_STABLE, actions);
}

/* ---- the drain ladder ---- */

static void climb(HfMachine *machine, unsigned slot, HfRung rung, HfActions *actions)
{
    const uint64_t patience[] = {
        [HF_RUNG_STOP] = machine->limits.drain_timeout,
        [HF_RUNG_TERM] = machine->limits.term_timeout,
        [HF_RUNG_KILL] = machine->limits.kill_interval,
    };

    leave_active(machine, slot, actions);
    machine->generations[slot].state = HF_GENERATION_DRAINING;
    machine->generations[slot].rung = rung;
    machine->generations[slot].reopen = false;
    add_for(actions, HF_ACTION_SIGNAL, machine, slot)->rung = rung;
    arm_deadline(machine, slot, patience[rung], actions);
}

static void drain(HfMachine *machine, unsigned slot, HfActions *actions)
{
    report(actions, HF_REPORT_DRAINING, machine, slot);
    climb(machine, slot, HF_RUNG_STOP, actions);
}

static void hurry(HfMachine *machine, unsigned slot, HfRung rung, HfActions *actions)
{
    if (machine->generations[slot].rung >= rung)
        return;
    report(actions, HF_REPORT_HURRIED, machine, slot)->rung = rung;
    climb(machine, slot, rung, actions);
}

/* ---- requests ---- */

static void answer(HfMachineRequest *request, HfOutcome outcome, HfActions *actions)
{
    HfAction *action = add(actions, HF_ACTION_ANSWER);
    action->id = request->id;
    action->outcome = outcome;
    *request = (HfMachineRequest){0};
}

static void answer_running(HfMachine *machine, HfOutcome outcome, HfActions *actions)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id != 0 && !machine->requests[i].next)
            answer(&machine->requests[i], outcome, actions);
}

static void answer_all_but_stop(HfMachine *machine, HfOutcome outcome, HfActions *actions)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id != 0 && machine->requests[i].kind != HF_REQUEST_STOP)
            answer(&machine->requests[i], outcome, actions);
}

static void move_requests(HfMachine *machine, bool next)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        machine->requests[i].next = next;
}

/* Remembers who waits; false when the table is full, and then the caller has its answer. */
static bool enqueue(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    if (event->id == 0)
        return true;
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++) {
        if (machine->requests[i].id != 0)
            continue;
        machine->requests[i] =
            (HfMachineRequest){.id = event->id, .kind = event->request, .next = true};
        return true;
    }
    answer(&(HfMachineRequest){.id = event->id}, HF_OUTCOME_BUSY, actions);
    return false;
}

/* ---- one replacement ---- */

static void prepare(HfMachine *machine, HfCause cause, HfActions *actions)
{
    machine->cause = cause;
    machine->phase = HF_PHASE_PREPARING;
    add(actions, HF_ACTION_PREPARE);
}

static void begin_pending(HfMachine *machine, HfActions *actions)
{
    if (machine->pending == HF_REQUEST_NONE)
        return;
    HfCause cause = machine->pending == HF_REQUEST_RESTART ? HF_CAUSE_RESTART : HF_CAUSE_RELOAD;
    machine->pending = HF_REQUEST_NONE;
    move_requests(machine, false);
    disarm(&machine->respawn, HF_TIMER_RESPAWN, actions);
    prepare(machine, cause, actions);
}

static void commit(HfMachine *machine, HfActions *actions)
{
    if (!machine->prepared)
        return;
    machine->prepared = false;
    machine->planned = true;
    add(actions, HF_ACTION_COMMIT);
}

static void discard(HfMachine *machine, HfActions *actions)
{
    if (!machine->prepared)
        return;
    machine->prepared = false;
    add(actions, HF_ACTION_DISCARD);
}

static void spawn(HfMachine *machine, unsigned slot, HfActions *actions)
{
    machine->generations[slot] = (HfMachineGeneration){
        .state = HF_GENERATION_STARTING,
        .number = ++machine->last_number,
    };
    machine->phase = HF_PHASE_STARTING;
    HfAction *action = add_for(actions, HF_ACTION_SPAWN, machine, slot);
    action->cause = machine->cause;
    action->prepared = machine->prepared;
    arm_deadline(machine, slot, machine->limits.ready_timeout, actions);
}

/* Spawns, or waits for a slot: beside an active generation one slot stays free for its crash. */
static void launch(HfMachine *machine, HfActions *actions)
{
    bool beside = hf_machine_find(machine, HF_GENERATION_ACTIVE) >= 0;
    unsigned empty = hf_machine_count(machine, HF_GENERATION_EMPTY);
    unsigned draining = hf_machine_count(machine, HF_GENERATION_DRAINING);

    if (beside ? draining < machine->limits.max_draining && empty >= 2 : empty >= 1) {
        if (!beside)
            commit(machine, actions);
        spawn(machine, (unsigned)hf_machine_find(machine, HF_GENERATION_EMPTY), actions);
        return;
    }
    unsigned oldest = (unsigned)hf_machine_find(machine, HF_GENERATION_DRAINING);
    if (!beside)
        hurry(machine, oldest, HF_RUNG_KILL, actions);
    else if (machine->phase != HF_PHASE_WAITING)
        report(actions, HF_REPORT_WAITING, machine, oldest);
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
    arm(&machine->respawn, HF_TIMER_RESPAWN, delay, true, actions);
    HfAction *action = add(actions, HF_ACTION_REPORT);
    action->report = HF_REPORT_RETRY;
    action->usec = delay;
}

/* Without a generation that accepts, the queue is all that callers have. */
static void settle_backlog(HfMachine *machine, HfActions *actions)
{
    bool gap = machine->phase != HF_PHASE_STOPPING && machine->phase != HF_PHASE_ENDED &&
               hf_machine_find(machine, HF_GENERATION_ACTIVE) < 0;

    if (gap == machine->raised)
        return;
    machine->raised = gap;
    add(actions, HF_ACTION_BACKLOG)->raised = gap;
}

static void end(HfMachine *machine, int status, HfActions *actions)
{
    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id != 0)
            answer(&machine->requests[i], HF_OUTCOME_DONE, actions);
    machine->phase = HF_PHASE_ENDED;
    settle_backlog(machine, actions);
    add(actions, HF_ACTION_EXIT)->status = status;
}

/* The replacement that ran came to nothing. */
static void fail(HfMachine *machine, HfActions *actions)
{
    discard(machine, actions);
    answer_running(machine, HF_OUTCOME_FAILED, actions);
    if (hf_machine_find(machine, HF_GENERATION_ACTIVE) >= 0)
        machine->phase = HF_PHASE_IDLE;
    else if (machine->pending == HF_REQUEST_NONE)
        respawn(machine, actions);
    begin_pending(machine, actions);
}

static void end_if_gone(HfMachine *machine, HfActions *actions)
{
    if (hf_machine_count(machine, HF_GENERATION_EMPTY) == HF_MACHINE_SLOTS)
        end(machine, 0, actions);
}

static void stop(HfMachine *machine, HfActions *actions)
{
    HfAction *action = add(actions, HF_ACTION_REPORT);
    action->report = HF_REPORT_STOPPING;
    if (machine->phase == HF_PHASE_PREPARING)
        add(actions, HF_ACTION_ABORT_PREPARE);
    discard(machine, actions);
    disarm(&machine->respawn, HF_TIMER_RESPAWN, actions);
    machine->pending = HF_REQUEST_NONE;
    answer_all_but_stop(machine, HF_OUTCOME_STOPPING, actions);
    machine->phase = HF_PHASE_STOPPING;
    machine->hurry = HF_RUNG_STOP;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        if (machine->generations[i].state == HF_GENERATION_ACTIVE)
            drain(machine, i, actions);
        else if (machine->generations[i].state == HF_GENERATION_STARTING)
            climb(machine, i, HF_RUNG_TERM, actions); /* other signals could kill it half-started */
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
        drain(machine, (unsigned)active, actions);
}

static void on_prepare_failed(HfMachine *machine, HfActions *actions)
{
    if (machine->phase != HF_PHASE_PREPARING)
        return;
    HfAction *action = add(actions, HF_ACTION_REPORT);
    action->report = HF_REPORT_PREPARE_FAILED;
    action->cause = machine->cause;
    if (machine->planned) {
        fail(machine, actions);
        return;
    }
    answer_all_but_stop(machine, HF_OUTCOME_FAILED, actions);
    end(machine, 1, actions);
}

/* The slot is free again; who waited for that goes on. */
static void release(HfMachine *machine, unsigned slot, HfActions *actions)
{
    leave_active(machine, slot, actions);
    disarm_deadline(machine, slot, actions);
    add_for(actions, HF_ACTION_FORGET, machine, slot);
    machine->generations[slot] = (HfMachineGeneration){0};
}

static void go_on(HfMachine *machine, HfActions *actions)
{
    bool clear = hf_machine_count(machine, HF_GENERATION_EMPTY) == HF_MACHINE_SLOTS;

    if (machine->phase == HF_PHASE_WAITING || (machine->phase == HF_PHASE_CLEARING && clear))
        launch(machine, actions);
    else if (machine->phase == HF_PHASE_STOPPING)
        end_if_gone(machine, actions);
}

static void on_spawn_failed(HfMachine *machine, unsigned slot, HfActions *actions)
{
    bool was_starting = machine->generations[slot].state == HF_GENERATION_STARTING;

    report(actions, HF_REPORT_START_FAILED, machine, slot);
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
    disarm_deadline(machine, slot, actions);
    report(actions, HF_REPORT_READY, machine, slot);
    commit(machine, actions);
    if (generation->reopen) {
        generation->reopen = false;
        add_for(actions, HF_ACTION_REOPEN, machine, slot);
    }
    if (old >= 0)
        drain(machine, (unsigned)old, actions);
    if (machine->failures > 0)
        arm(&machine->stable, HF_TIMER_STABLE, machine->limits.stable_time, false, actions);
    answer_running(machine, HF_OUTCOME_DONE, actions);
    machine->phase = HF_PHASE_IDLE;
    begin_pending(machine, actions);
}

/* The active generation is lost: the next one, unless it is on its way. */
static void replace_crashed(HfMachine *machine, HfActions *actions)
{
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
        add(actions, HF_ACTION_ABORT_PREPARE);
        move_requests(machine, true);
        if (machine->cause == HF_CAUSE_RESTART)
            machine->pending = HF_REQUEST_RESTART;
        else if (machine->pending == HF_REQUEST_NONE)
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
    case HF_GENERATION_STARTING:
        report(actions, HF_REPORT_START_FAILED, machine, slot);
        climb(machine, slot, HF_RUNG_TERM, actions);
        fail(machine, actions);
        break;
    case HF_GENERATION_ACTIVE: /* what it left behind is asked to leave */
        report(actions, HF_REPORT_CRASHED, machine, slot);
        climb(machine, slot, HF_RUNG_STOP, actions);
        replace_crashed(machine, actions);
        break;
    case HF_GENERATION_DRAINING: /* those it left behind may never have heard that they are to leave
                                  */
        add_for(actions, HF_ACTION_SIGNAL, machine, slot)->rung = generation->rung;
        break;
    case HF_GENERATION_EMPTY:
    case HF_GENERATION_STATE_MAX_:
        assert(false);
    }
}

/* The slot is free before the next start looks for one: nobody is hurried for want of it. */
static void on_gone(HfMachine *machine, unsigned slot, HfActions *actions)
{
    HfGenerationState was = machine->generations[slot].state;

    if (was == HF_GENERATION_STARTING)
        report(actions, HF_REPORT_START_FAILED, machine, slot);
    else if (was == HF_GENERATION_ACTIVE)
        report(actions, HF_REPORT_CRASHED, machine, slot);
    report(actions, HF_REPORT_GONE, machine, slot);
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
        report(actions, HF_REPORT_START_FAILED, machine, slot)->timed_out = true;
        climb(machine, slot, HF_RUNG_TERM, actions);
        fail(machine, actions);
    } else if (generation->rung < HF_RUNG_KILL) {
        hurry(machine, slot, generation->rung + 1, actions);
    } else {
        climb(machine, slot, HF_RUNG_KILL, actions);
    }
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
        prepare(machine, HF_CAUSE_CRASH, actions);
        break;
    case HF_TIMER_STABLE:
        if (!machine->stable)
            return;
        machine->stable = false;
        machine->failures = 0;
        break;
    case HF_TIMER_MAX_:
        assert(false);
    }
}

static void on_request(HfMachine *machine, const HfEvent *event, HfActions *actions)
{
    bool stopping = machine->phase == HF_PHASE_STOPPING || machine->phase == HF_PHASE_ENDED;

    if (stopping && event->request != HF_REQUEST_STOP) {
        if (event->id != 0)
            answer(&(HfMachineRequest){.id = event->id}, HF_OUTCOME_STOPPING, actions);
        return;
    }
    if (event->request == HF_REQUEST_STOP) { /* its place is free once the others are answered */
        if (!stopping)
            stop(machine, actions);
        enqueue(machine, event, actions);
        if (!stopping)
            end_if_gone(machine, actions);
        return;
    }
    if (!enqueue(machine, event, actions))
        return;
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
        end_if_gone(machine, actions);
        return;
    }
    if (machine->hurry < HF_RUNG_KILL)
        machine->hurry++;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].state != HF_GENERATION_EMPTY)
            hurry(machine, i, machine->hurry, actions);
}

static void on_reopen(HfMachine *machine, HfActions *actions)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfMachineGeneration *generation = &machine->generations[i];
        if (generation->state == HF_GENERATION_STARTING)
            generation->reopen = true;
        else if (generation->state != HF_GENERATION_EMPTY && !generation->main_exited)
            add_for(actions, HF_ACTION_REOPEN, machine, i);
    }
}

void hf_machine_init(HfMachine *machine, const HfMachineLimits *limits)
{
    assert(limits->max_draining >= 1 && limits->max_draining <= HF_MACHINE_DRAINING_MAX);
    memset(machine, 0, sizeof(*machine));
    machine->limits = *limits;
}

void hf_machine_step(HfMachine *machine, const HfEvent *event, HfActions *ret)
{
    bool of_slot = event->type == HF_EVENT_SPAWN_FAILED || event->type == HF_EVENT_READY ||
                   event->type == HF_EVENT_MAIN_EXITED || event->type == HF_EVENT_GONE;

    ret->n = 0;
    assert(event->slot < HF_MACHINE_SLOTS);
    if (of_slot && machine->generations[event->slot].state == HF_GENERATION_EMPTY)
        return;

    switch (event->type) {
    case HF_EVENT_START:
        assert(machine->phase == HF_PHASE_NEW);
        prepare(machine, HF_CAUSE_START, ret);
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
    case HF_EVENT_MAX_:
        assert(false);
    }
    settle_backlog(machine, ret);
}
