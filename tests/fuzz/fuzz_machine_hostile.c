/* SPDX-License-Identifier: MIT */
/* The machine among events that no world would send in that order: whatever comes, its books stay
 * whole, every caller gets one answer, and a stop ends. The first two bytes are the limits; each
 * event is a byte of kind and slot and one of what goes with it. */
#include <string.h>

#include "fuzz.h"
#include "machine_limits.h"

#define STEPS_MAX 2000

typedef struct Books {
    bool occupied[HF_MACHINE_SLOTS];
    bool deadline[HF_MACHINE_SLOTS];
    bool stopped[HF_MACHINE_SLOTS];
    HfStage asked[HF_MACHINE_SLOTS];
    uint64_t number[HF_MACHINE_SLOTS];
    bool armed[HF_TIMER_MAX_];
    bool preparing;
    bool prepared;
    bool planned;
    bool raised;
    bool answering;
    bool watching;
    bool ending;
    bool ended;
    uint64_t last_number;
    uint64_t next_id;
    bool waiting[STEPS_MAX + 8]; /* by id */
    unsigned n_waiting;
} Books;

static void signalled(Books *books, const HfAction *action)
{
    CHECK(books->occupied[action->slot]);
    CHECK(action->stage > HF_STAGE_SETTLE && action->stage < HF_STAGE_MAX_);
    CHECK(action->stage >= books->asked[action->slot]);
    books->asked[action->slot] = action->stage;
    if (action->stage == HF_STAGE_RETIRE)
        books->stopped[action->slot] = true;
}

static void armed(Books *books, const HfAction *action, bool on)
{
    bool *is = action->timer == HF_TIMER_DEADLINE ? &books->deadline[action->slot]
                                                  : &books->armed[action->timer];

    CHECK(action->timer < HF_TIMER_MAX_);
    CHECK(on ? action->usec < HF_USEC_INFINITY : *is);
    CHECK(action->timer != HF_TIMER_DEADLINE || books->occupied[action->slot]);
    *is = on;
}

static void spawned(Books *books, const HfAction *action)
{
    CHECK(!books->occupied[action->slot]);
    CHECK(action->number == books->last_number + 1);
    CHECK(action->prepared ? books->prepared : books->planned);
    books->last_number = action->number;
    books->occupied[action->slot] = true;
    books->asked[action->slot] = HF_STAGE_EMPTY;
    books->number[action->slot] = action->number;
}

static void forgotten(Books *books, const HfAction *action)
{
    CHECK(books->occupied[action->slot]);
    CHECK(!books->deadline[action->slot]);
    books->occupied[action->slot] = false;
    books->stopped[action->slot] = false;
}

static void answered(Books *books, const HfAction *action)
{
    CHECK(action->id > 0 && action->id < books->next_id && books->waiting[action->id]);
    CHECK(action->outcome < HF_OUTCOME_MAX_);
    books->waiting[action->id] = false;
    books->n_waiting--;
}

static void flip(bool *is, bool to)
{
    CHECK(*is != to);
    *is = to;
}

static void take_action(Books *books, const HfAction *action)
{
    CHECK(!books->ended || action->type == HF_ACTION_ANSWER);
    CHECK(action->slot < HF_MACHINE_SLOTS);
    switch (action->type) {
    case HF_ACTION_PREPARE:
        CHECK(!books->prepared);
        flip(&books->preparing, true);
        break;
    case HF_ACTION_ABORT_PREPARE:
        flip(&books->preparing, false);
        break;
    case HF_ACTION_COMMIT:
        flip(&books->prepared, false);
        books->planned = true;
        break;
    case HF_ACTION_DISCARD:
        flip(&books->prepared, false);
        break;
    case HF_ACTION_SPAWN:
        spawned(books, action);
        break;
    case HF_ACTION_SIGNAL:
        signalled(books, action);
        break;
    case HF_ACTION_CONTINUE:
        CHECK(books->occupied[action->slot]);
        flip(&books->stopped[action->slot], false);
        break;
    case HF_ACTION_SWITCH:
        CHECK(action->side <= 1);
        break;
    case HF_ACTION_SAVE:
        break;
    case HF_ACTION_TRIAL:
    case HF_ACTION_WATCH_SIDE:
    case HF_ACTION_REOPEN:
    case HF_ACTION_PROBE:
        CHECK(books->occupied[action->slot]);
        break;
    case HF_ACTION_ARM:
        armed(books, action, true);
        break;
    case HF_ACTION_DISARM:
        armed(books, action, false);
        break;
    case HF_ACTION_FORGET:
        forgotten(books, action);
        break;
    case HF_ACTION_BACKLOG:
        flip(&books->raised, action->raised);
        break;
    case HF_ACTION_FALLBACK:
        flip(&books->answering, action->raised);
        break;
    case HF_ACTION_WATCH_QUEUE:
        flip(&books->watching, action->raised);
        break;
    case HF_ACTION_ANSWER:
        answered(books, action);
        break;
    case HF_ACTION_REPORT:
        CHECK(action->report < HF_REPORT_MAX_);
        break;
    case HF_ACTION_TEST_UPGRADE:
    case HF_ACTION_UPGRADE:
        CHECK(!books->preparing && !books->prepared);
        break;
    case HF_ACTION_EXIT:
        flip(&books->ending, false);
        books->ended = true;
        break;
    case HF_ACTION_END:
        flip(&books->ending, true);
        for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
            CHECK(!books->occupied[i]);
        CHECK(!books->answering && !books->preparing && !books->prepared && !books->watching);
        break;
    case HF_ACTION_ESCALATE:
        CHECK(books->ending);
        break;
    case HF_ACTION_MAX_:
        CHECK(false);
    }
}

static void check_slots(const HfMachine *machine, const Books *books)
{
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *generation = &machine->generations[i];
        CHECK(generation->stage < HF_STAGE_MAX_);
        CHECK(books->occupied[i] == (generation->stage != HF_STAGE_EMPTY));
        if (!books->occupied[i])
            continue;
        CHECK(generation->number == books->number[i]);
        CHECK((generation->stage != HF_STAGE_ACTIVE) == books->deadline[i]);
        CHECK((generation->stage == HF_STAGE_RETIRE) == books->stopped[i]);
        CHECK(!books->stopped[i] || books->deadline[i]);
    }
}

static void check_requests(const HfMachine *machine, const Books *books)
{
    unsigned n = 0;

    for (size_t i = 0; i < HF_MACHINE_REQUESTS; i++) {
        uint64_t id = machine->requests[i].id;
        CHECK(id < books->next_id && (id == 0 || books->waiting[id]));
        n += id != 0;
    }
    CHECK(n == books->n_waiting);
}

static void check_machine(const HfMachine *machine, const Books *books)
{
    unsigned starting = hf_machine_count(machine, HF_STAGE_STARTING);
    unsigned active = hf_machine_count(machine, HF_STAGE_ACTIVE);
    unsigned draining = hf_machine_count_leaving(machine);
    bool wanted = machine->phase != HF_PHASE_NEW && !hf_machine_stops(machine);
    bool gap = wanted && active == 0;
    bool waits = machine->phase == HF_PHASE_WAITING || machine->phase == HF_PHASE_CLEARING;

    CHECK(hf_machine_is_sound(machine));
    CHECK(starting <= 1 && active <= 1);
    CHECK(machine->phase < HF_PHASE_MAX_);
    CHECK((machine->phase == HF_PHASE_PREPARING) == books->preparing);
    CHECK((machine->phase == HF_PHASE_ENDED) == books->ended);
    CHECK(machine->prepared == books->prepared && machine->planned == books->planned);
    CHECK((machine->phase == HF_PHASE_ENDING) == books->ending);
    CHECK((machine->phase == HF_PHASE_BACKOFF) == books->armed[HF_TIMER_RESPAWN]);
    CHECK((active > 0 && machine->failures > 0) == books->armed[HF_TIMER_STABLE]);
    CHECK(!books->armed[HF_TIMER_PROBE] || (active > 0 && !machine->probing));
    CHECK(!books->armed[HF_TIMER_RECYCLE] || active > 0);
    CHECK(!books->armed[HF_TIMER_BUSY] || gap);
    CHECK((machine->wait != HF_WAIT_NONE) == books->armed[HF_TIMER_STOP]);
    CHECK((machine->wait == HF_WAIT_QUEUE) == books->watching);
    CHECK(gap == books->raised && (!books->answering || gap));
    CHECK(!wanted || starting || active || books->preparing || books->armed[HF_TIMER_RESPAWN] ||
          (waits && draining));
    check_slots(machine, books);
    check_requests(machine, books);
}

/* Another program goes on: nothing is armed or under way, and after a death nobody waits. */
static void forget_program(Books *books, bool callers)
{
    memset(books->armed, 0, sizeof(books->armed));
    memset(books->deadline, 0, sizeof(books->deadline));
    books->preparing = books->prepared = books->answering = books->watching = false;
    books->ending = false;
    if (!callers)
        return;
    memset(books->waiting, 0, sizeof(books->waiting));
    books->n_waiting = 0;
}

static void step(HfMachine *machine, Books *books, const HfEvent *event)
{
    HfActions actions;

    if (event->type == HF_EVENT_ADOPT && !books->ended)
        forget_program(books, true);
    if (event->type == HF_EVENT_RESUME && machine->upgrade == HF_UPGRADE_TESTING &&
        (machine->phase == HF_PHASE_IDLE || machine->phase == HF_PHASE_BACKOFF) &&
        machine->wait == HF_WAIT_NONE)
        forget_program(books, false);

    if (event->type == HF_EVENT_UNBLOCKED)
        books->preparing = false;
    if (event->type == HF_EVENT_QUEUE_SERVED)
        books->watching = false;
    if (event->type == HF_EVENT_TIMER) {
        if (event->timer == HF_TIMER_DEADLINE &&
            event->number == machine->generations[event->slot].number)
            books->deadline[event->slot] = false;
        else if (event->timer != HF_TIMER_DEADLINE)
            books->armed[event->timer] = false;
    }
    if (event->type == HF_EVENT_PREPARED && books->preparing)
        books->prepared = true;
    if (event->type == HF_EVENT_PREPARED || event->type == HF_EVENT_PREPARE_FAILED)
        books->preparing = false;
    if (event->type == HF_EVENT_FALLBACK_GONE)
        books->answering = false;
    hf_machine_step(machine, event, &actions);
    CHECK(actions.n <= HF_MACHINE_ACTIONS_MAX);
    for (size_t i = 0; i < actions.n; i++)
        take_action(books, &actions.list[i]);
    check_machine(machine, books);
}

static HfEvent read_event(Input *input, const HfMachine *machine, Books *books)
{
    unsigned kind = input_byte(input);
    unsigned more = input_byte(input);
    HfEvent event = {
        .type = (HfEventType)(HF_EVENT_START + 1 + (kind & 31) % (HF_EVENT_MAX_ - 1)),
        .slot = kind >> 5,
        .timer = (HfTimer)(more % HF_TIMER_MAX_),
        .request = (HfRequestKind)(1 + more % (HF_REQUEST_MAX_ - 1)),
        .verdict = (HfVerdict)(more % HF_VERDICT_MAX_),
        .takeover = more & 1,
        .status = (int)(more & 0x7f),
        .usec = more & 0x80 ? UINT64_MAX >> (more & 63) : more,
    };

    /* now and then of another generation */
    event.number = machine->generations[event.slot].number + (more == 0x7f);
    if (event.type == HF_EVENT_REQUEST && !(more & 0x80)) {
        event.id = books->next_id++;
        books->waiting[event.id] = true;
        books->n_waiting++;
    }
    return event;
}

static void check_stop(HfMachine *machine, Books *books)
{
    for (unsigned i = 0; i < 3; i++)
        step(machine, books, &(HfEvent){.type = HF_EVENT_STOP_SIGNAL});
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        step(
            machine, books,
            &(HfEvent){.type = HF_EVENT_GONE, .slot = i, .number = machine->generations[i].number});
    step(machine, books, &(HfEvent){.type = HF_EVENT_ENDED});
    CHECK(books->ended && books->n_waiting == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Input input = {data, size};
    const HfMachineLimits limits = fuzz_limits(&input);
    Books books = {.next_id = 1};
    HfMachine machine;

    hf_machine_init(&machine, &limits);
    step(&machine, &books, &(HfEvent){.type = HF_EVENT_START});
    for (unsigned i = 0; input.size > 0 && i < STEPS_MAX; i++) {
        HfEvent event = read_event(&input, &machine, &books);
        step(&machine, &books, &event);
    }
    check_stop(&machine, &books);
    return 0;
}
