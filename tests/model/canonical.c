/* SPDX-License-Identifier: MIT */
#include "canonical.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/backoff.h"
#include "policy/machine_parts.h"

unsigned canonical_failures(const HfMachineLimits *limits)
{
    unsigned n = 1;

    while (hf_backoff_delay(n + 1, limits->backoff_max) < limits->backoff_max)
        n++;
    return n;
}

/* ---- tidy ---- */

/* The initialisers have no names, so that a field that was added does not compile. */
static HfMachineGeneration copy_generation(const HfMachineGeneration *g)
{
    return (HfMachineGeneration){g->stage, g->main_exited, g->given_up, g->reopen,
                                 g->side,  g->extensions,  g->number};
}

static void sort_slots(HfMachine *machine, World *world)
{
    HfMachineGeneration generations[HF_MACHINE_SLOTS];
    WorldSlot slots[HF_MACHINE_SLOTS];
    unsigned n = 0;
    uint64_t last = 0;

    memset(generations, 0, sizeof(generations));
    memset(slots, 0, sizeof(slots));
    for (;;) {
        int next = -1;
        for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
            const HfMachineGeneration *g = &machine->generations[i];
            if (g->stage != HF_STAGE_EMPTY && g->number > last &&
                (next < 0 || g->number < machine->generations[next].number))
                next = (int)i;
        }
        if (next < 0)
            break;
        last = machine->generations[next].number;
        generations[n] = copy_generation(&machine->generations[next]);
        slots[n] = world->slots[next];
        generations[n].number = slots[n].number = n + 1;
        n++;
    }
    memcpy(machine->generations, generations, sizeof(generations));
    memcpy(world->slots, slots, sizeof(slots));
    machine->last_number = world->last_number = n;
}

static int compare_requests(const void *left, const void *right)
{
    const HfMachineRequest *a = left;
    const HfMachineRequest *b = right;

    if (a->kind != b->kind)
        return a->kind < b->kind ? 1 : -1; /* free ones have none and come last */
    return (int)a->next - (int)b->next;
}

static void sort_requests(HfMachine *machine, World *world)
{
    HfMachineRequest sorted[HF_MACHINE_REQUESTS];
    unsigned n = 0;

    memset(sorted, 0, sizeof(sorted));
    for (unsigned i = 0; i < HF_MACHINE_REQUESTS; i++) {
        const HfMachineRequest *r = &machine->requests[i];
        if (r->id != 0)
            sorted[n++] = (HfMachineRequest){r->id, r->kind, r->next};
    }
    qsort(sorted, n, sizeof(*sorted), compare_requests);
    memcpy(machine->requests, sorted, sizeof(sorted));
    memset(world->requests, 0, sizeof(world->requests));
    assert(n <= WORLD_REQUESTS);
    for (unsigned i = 0; i < n; i++) {
        machine->requests[i].id = i + 1;
        world->requests[i] =
            (WorldRequest){.id = i + 1, .kind = sorted[i].kind, .running = !sorted[i].next};
    }
}

static bool replacing(HfPhase phase)
{
    switch (phase) {
    case HF_PHASE_PREPARING:
    case HF_PHASE_WAITING:
    case HF_PHASE_CLEARING:
    case HF_PHASE_STARTING:
    case HF_PHASE_TRYING:
        return true;
    case HF_PHASE_NEW:
    case HF_PHASE_IDLE:
    case HF_PHASE_BACKOFF:
    case HF_PHASE_STOPPING:
    case HF_PHASE_ENDING:
    case HF_PHASE_ENDED:
    case HF_PHASE_MAX_:
        break;
    }
    return false;
}

#define OF_THOSE_ASKED 1 /* nobody looks at their sides any more, but to keep away from them */

/* The sides are alike: connections go to 0, the others are numbered as they come. */
static void number_sides(HfMachine *machine, World *world)
{
    unsigned numbers[HF_MACHINE_SIDES] = {0};
    unsigned n = OF_THOSE_ASKED;
    unsigned side = machine->side;

    machine->side = world->side = 0;
    machine->switches_next = machine->switches_next && machine->prepared;
    world->switches_next = machine->switches_next;
    world->committed = false;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfMachineGeneration *generation = &machine->generations[i];
        bool matters = generation->stage != HF_STAGE_EMPTY && generation->stage < HF_STAGE_RETIRE;
        if (matters && generation->side != side && numbers[generation->side] == 0)
            numbers[generation->side] = ++n;
        generation->side = matters                               ? numbers[generation->side]
                           : generation->stage == HF_STAGE_EMPTY ? 0
                                                                 : OF_THOSE_ASKED;
        world->slots[i].side = generation->side;
    }
}

void canonical_tidy(HfMachine *machine, World *world, unsigned failures)
{
    sort_slots(machine, world);
    sort_requests(machine, world);
    number_sides(machine, world);
    if (machine->failures > failures)
        machine->failures = failures;
    if (world->probe_backoff > machine->limits.probe_doublings)
        world->probe_backoff = machine->limits.probe_doublings;
    unsigned patience = world_patience(&machine->limits, world->probe_backoff, world->probed);
    if (world->misses > patience)
        world->misses = patience;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage > HF_STAGE_STOP) /* nobody asks any more */
            world->slots[i].ready = true;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage != HF_STAGE_SETTLE)
            machine->generations[i].given_up = world->slots[i].given_up = false;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage > HF_STAGE_STOP)
            machine->generations[i].extensions = world->slots[i].extended = 0;
    if (!replacing(machine->phase))
        machine->cause = 0;
    if (machine->stop == HF_REASON_REQUEST || machine->stop == HF_REASON_SETTINGS)
        machine->stop = HF_REASON_SIGNAL; /* nobody tells them apart any more */
}

/* ---- pack ---- */

typedef struct Codec {
    Key key;
    unsigned at;
    bool reading;
} Codec;

static unsigned code(Codec *codec, unsigned value, unsigned width)
{
    if (codec->at % 64 + width > 64)
        codec->at += 64 - codec->at % 64;
    assert(codec->at + width <= KEY_WORDS * 64 && value < 1U << width);
    uint64_t *word = &codec->key.words[codec->at / 64];
    unsigned shift = codec->at % 64;
    codec->at += width;
    if (codec->reading)
        return (unsigned)(*word >> shift) & ((1U << width) - 1);
    *word |= (uint64_t)value << shift;
    return value;
}

#define CODE(codec, field, width)                                                                  \
    ((field) = (__typeof__(field))code(codec, (unsigned)(field), width))

/* The statuses that this world knows. */
static int code_status(Codec *codec, int status)
{
    static const int known[] = {
        0, -1, 1, WORLD_STATUS_EXITED, WORLD_STATUS_GONE, WORLD_STATUS_NOT_FOUND};
    unsigned i = 0;

    while (i < sizeof(known) / sizeof(*known) && known[i] != status)
        i++;
    CODE(codec, i, 3);
    assert(i < sizeof(known) / sizeof(*known));
    return known[i];
}

/* One list of fields for both directions. Of free requests and empty slots, which come last,
 * nothing is left to tell. */
static void code_state(Codec *codec, HfMachine *m, World *w)
{
    CODE(codec, m->phase, 4);
    CODE(codec, m->switches, 1);
    CODE(codec, m->switches_next, 1);
    CODE(codec, m->cause, 3);
    CODE(codec, m->pending, 3);
    CODE(codec, m->stop_stage, 4);
    CODE(codec, m->planned, 1);
    CODE(codec, m->prepared, 1);
    CODE(codec, m->takeover, 1);
    CODE(codec, m->overdue, 1);
    CODE(codec, m->outage, 1);
    CODE(codec, m->probing, 1);
    CODE(codec, m->recycled, 1);
    CODE(codec, m->stop, 3);
    CODE(codec, m->wait, 2);
    m->status = code_status(codec, m->status);
    CODE(codec, m->upgrade, 2);
    CODE(codec, w->executing, 1);
    CODE(codec, m->probed, 2);
    CODE(codec, m->misses, 3);
    CODE(codec, m->probe_backoff, 1);
    CODE(codec, m->failures, 4);
    for (unsigned i = 0; i < WORLD_REQUESTS; i++) {
        CODE(codec, m->requests[i].kind, 3);
        if (m->requests[i].kind == HF_REQUEST_NONE)
            break;
        CODE(codec, m->requests[i].next, 1);
    }
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        HfMachineGeneration *g = &m->generations[i];
        CODE(codec, g->stage, 4);
        if (g->stage == HF_STAGE_EMPTY)
            break;
        CODE(codec, g->side, 3);
        CODE(codec, g->given_up, 1);
        CODE(codec, g->reopen, 1);
        CODE(codec, g->extensions, 5);
        CODE(codec, w->slots[i].process, 2);
    }
}

Key canonical_pack(const HfMachine *machine, const World *world)
{
    Codec codec = {.reading = false};
    HfMachine m = *machine;
    World w = *world;

    code_state(&codec, &m, &w);
    return codec.key;
}

/* Of a machine that keeps the rules: what was put out is what follows from its state. */
static void derive_outputs(World *world, const HfMachine *machine)
{
    HfOutputs outputs;

    hf_machine_outputs(machine, &outputs);
    for (HfTimer timer = HF_TIMER_DEADLINE + 1; timer < HF_TIMER_MAX_; timer++)
        world->armed[timer] = outputs.timers[timer] != 0;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        world->slots[i].armed = outputs.slots[i].deadline;
        world->slots[i].tried = outputs.slots[i].tried;
        world->slots[i].watched = outputs.slots[i].watched;
    }
    world->raised = outputs.backlog;
    world->answering = outputs.fallback;
    world->watching = outputs.queue;
}

static void derive_world(World *world, const HfMachine *machine)
{
    derive_outputs(world, machine);
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const HfMachineGeneration *g = &machine->generations[i];
        WorldSlot *slot = &world->slots[i];
        slot->occupied = g->stage != HF_STAGE_EMPTY;
        slot->stopped = g->stage == HF_STAGE_RETIRE;
        slot->asked = hf_stage_leaves(g->stage) ? g->stage : HF_STAGE_EMPTY;
        slot->extended = g->extensions;
        slot->number = g->number;
        slot->side = g->side;
        slot->given_up = g->given_up;
        slot->serves = g->stage == HF_STAGE_ACTIVE;
        slot->parked = g->stage == HF_STAGE_PARKED;
        slot->ready = slot->occupied && g->stage != HF_STAGE_STARTING;
    }
    for (unsigned i = 0; i < WORLD_REQUESTS; i++) {
        const HfMachineRequest *r = &machine->requests[i];
        world->requests[i] =
            (WorldRequest){.id = r->id, .kind = r->kind, .running = r->id != 0 && !r->next};
    }
    world->started = machine->phase != HF_PHASE_NEW;
    world->preparing = machine->phase == HF_PHASE_PREPARING;
    world->prepared = machine->prepared;
    world->planned = machine->planned;
    world->switches = machine->switches;
    world->switches_next = machine->switches_next;
    world->side = machine->side;
    world->outage = machine->outage;
    world->probing = machine->probing;
    world->probed = machine->probed;
    world->misses = machine->misses;
    world->probe_backoff = machine->probe_backoff;
    world->testing = machine->upgrade == HF_UPGRADE_TESTING;
    world->ended = machine->phase == HF_PHASE_ENDED;
    world->ending = machine->phase == HF_PHASE_ENDING;
    /* a first start that fails ends without a stop, but there is nothing left to tell the two apart
     */
    world->stopping = machine->phase >= HF_PHASE_STOPPING;
    world->last_number = machine->last_number;
}

void canonical_unpack(Key key, const HfMachineLimits *limits, HfMachine *ret_machine,
                      World *ret_world)
{
    Codec codec = {.key = key, .reading = true};

    memset(ret_machine, 0, sizeof(*ret_machine));
    memset(ret_world, 0, sizeof(*ret_world));
    ret_machine->limits = ret_machine->next = ret_machine->before = *limits;
    code_state(&codec, ret_machine, ret_world);
    for (unsigned i = 0; i < WORLD_REQUESTS; i++)
        if (ret_machine->requests[i].kind != HF_REQUEST_NONE)
            ret_machine->requests[i].id = i + 1;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        if (ret_machine->generations[i].stage == HF_STAGE_EMPTY)
            continue;
        ret_machine->generations[i].number = ++ret_machine->last_number;
        ret_machine->generations[i].main_exited =
            ret_world->slots[i].process == WORLD_PROCESS_EXITED;
    }
    derive_world(ret_world, ret_machine);
}

static bool same_machine(const HfMachine *a, const HfMachine *b)
{
    /* again without names: a field that was added does not compile */
    const HfMachine head[] = {
        {a->limits,        a->next,     a->before,     a->phase,         a->side,
         a->cause,         a->pending,  a->stop_stage, a->upgrade,       a->stop,
         a->wait,          a->status,   a->planned,    a->switches,      a->prepared,
         a->switches_next, a->takeover, a->overdue,    a->outage,        a->probing,
         a->recycled,      a->probed,   a->misses,     a->probe_backoff, a->failures,
         a->last_number,   {{0}},       {{0}}},
    };

    return head->phase == b->phase && head->side == b->side && head->switches == b->switches &&
           head->switches_next == b->switches_next && head->cause == b->cause &&
           head->pending == b->pending && head->stop_stage == b->stop_stage &&
           head->upgrade == b->upgrade && head->stop == b->stop && head->wait == b->wait &&
           head->status == b->status && head->planned == b->planned &&
           head->prepared == b->prepared && head->takeover == b->takeover &&
           head->overdue == b->overdue && head->outage == b->outage &&
           head->probing == b->probing && head->recycled == b->recycled &&
           head->probed == b->probed && head->misses == b->misses &&
           head->probe_backoff == b->probe_backoff && head->failures == b->failures &&
           head->last_number == b->last_number &&
           memcmp(a->generations, b->generations, sizeof(a->generations)) == 0 &&
           memcmp(a->requests, b->requests, sizeof(a->requests)) == 0;
}

bool canonical_complete(Key key, const HfMachine *machine, const World *world)
{
    HfMachine m;
    World w;

    canonical_unpack(key, &machine->limits, &m, &w);
    bool world_same =
        w.started == world->started && w.preparing == world->preparing &&
        w.prepared == world->prepared && w.planned == world->planned && w.side == world->side &&
        w.switches == world->switches && w.switches_next == world->switches_next &&
        w.raised == world->raised && w.outage == world->outage && w.answering == world->answering &&
        w.probing == world->probing && w.probed == world->probed && w.misses == world->misses &&
        w.probe_backoff == world->probe_backoff && w.executing == world->executing &&
        w.testing == world->testing && w.ended == world->ended && w.ending == world->ending &&
        w.watching == world->watching && (w.stopping == world->stopping || w.ending || w.ended) &&
        memcmp(w.armed, world->armed, sizeof(w.armed)) == 0;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++) {
        const WorldSlot *a = &w.slots[i];
        const WorldSlot *b = &world->slots[i];
        world_same = world_same && a->process == b->process && a->ready == b->ready &&
                     a->occupied == b->occupied && a->armed == b->armed && a->asked == b->asked &&
                     a->stopped == b->stopped && a->serves == b->serves && a->parked == b->parked &&
                     a->tried == b->tried && a->watched == b->watched && a->side == b->side &&
                     a->given_up == b->given_up && a->extended == b->extended &&
                     a->number == b->number;
    }
    return world_same && same_machine(machine, &m);
}
