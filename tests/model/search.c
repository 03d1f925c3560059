/* SPDX-License-Identifier: MIT */
#include "search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- events as numbers ---- */

/* Timer, request and verdict share their bits: an event has one of them at most. */
uint16_t search_encode(const HfEvent *event)
{
    _Static_assert(HF_EVENT_MAX_ <= 32 && HF_MACHINE_SLOTS <= 8 && HF_TIMER_MAX_ <= 8 &&
                       HF_REQUEST_MAX_ <= 8 && HF_VERDICT_MAX_ <= 8,
                   "wider fields are needed");
    unsigned detail = event->type == HF_EVENT_TIMER     ? (unsigned)event->timer
                      : event->type == HF_EVENT_REQUEST ? (unsigned)event->request
                                                        : (unsigned)event->verdict;

    return (uint16_t)(event->type | event->slot << 5 | detail << 8 |
                      (event->id != 0 || event->usec != 0 || event->takeover || event->remain ||
                       event->passed)
                          << 11 |
                      (event->number == 0) << 12 | event->switches << 13);
}

HfEvent search_decode(uint16_t code)
{
    HfEventType type = code & 31;
    unsigned detail = code >> 8 & 7;
    bool extends = type == HF_EVENT_EXTEND;
    bool set = code >> 11 & 1;

    return (HfEvent){
        .type = type,
        .slot = code >> 5 & 7U,
        .timer = type == HF_EVENT_TIMER ? (HfTimer)detail : 0,
        .request = type == HF_EVENT_REQUEST ? (HfRequestKind)detail : 0,
        .verdict = type == HF_EVENT_PROBED ? (HfVerdict)detail : 0,
        .number = code >> 12 & 1 ? 0 : (code >> 5 & 7U) + 1,
        .status = type == HF_EVENT_MAIN_EXITED    ? WORLD_STATUS_EXITED
                  : type == HF_EVENT_SPAWN_FAILED ? WORLD_STATUS_NOT_FOUND
                  : type == HF_EVENT_GONE         ? WORLD_STATUS_GONE
                                                  : 0,
        .takeover = type == HF_EVENT_PREPARED && set,
        .remain = type == HF_EVENT_MAIN_EXITED && set,
        .passed = type == HF_EVENT_TRIED && set,
        .switches = code >> 13 & 1,
        .id = type == HF_EVENT_REQUEST && set,
        .usec = extends && set ? HF_USEC_INFINITY : 0,
    };
}

/* ---- the set of known states ---- */

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

static size_t hash(const Key *key)
{
    uint64_t h = 0x9e3779b97f4a7c15;

    for (unsigned i = 0; i < KEY_WORDS; i++) {
        h = (h ^ key->words[i]) * 0xff51afd7ed558ccd;
        h ^= h >> 32;
    }
    return (size_t)h;
}

/* The place of the key in the table: taken by it, or free. */
static uint32_t *lookup(const Search *search, const Key *key)
{
    for (size_t i = hash(key);; i++) {
        uint32_t *place = &search->table[i & (search->table_size - 1)];
        if (*place == SEARCH_NOWHERE || memcmp(&search->states[*place].key, key, sizeof(*key)) == 0)
            return place;
    }
}

static void grow_table(Search *search)
{
    free(search->table);
    search->table_size = search->table_size ? search->table_size * 2 : 1024;
    search->table = must(malloc(search->table_size * sizeof(*search->table)));
    memset(search->table, 0xff, search->table_size * sizeof(*search->table));
    for (uint32_t i = 0; i < search->n; i++)
        *lookup(search, &search->states[i].key) = i;
}

static uint32_t insert(Search *search, const Key *key, uint32_t parent, uint16_t via)
{
    uint32_t *place = lookup(search, key);

    if (*place != SEARCH_NOWHERE)
        return *place;
    if (search->n == search->capacity) {
        search->capacity = search->capacity ? search->capacity * 2 : 1024;
        search->states = must(realloc(search->states, search->capacity * sizeof(*search->states)));
    }
    uint32_t index = (uint32_t)search->n++;
    search->states[index] = (SearchState){.key = *key, .parent = parent, .via = via};
    for (Fair fair = 0; fair < FAIR_MAX_; fair++)
        search->states[index].fair_to[fair] = SEARCH_NOWHERE;
    *place = index;
    if (search->n * 2 > search->table_size)
        grow_table(search);
    return index;
}

/* ---- edges ---- */

static Rule perform(World *world, const HfEvent *event, const HfActions *actions)
{
    for (size_t i = 0; i < actions->n; i++) {
        Rule rule = world_action(world, event, &actions->list[i]);
        if (rule != RULE_NONE)
            return rule;
    }
    return RULE_NONE;
}

static bool violated(Search *search, Rule rule, uint32_t at, const HfEvent *event)
{
    if (rule == RULE_NONE)
        return false;
    search->broken = rule;
    search->broken_at = at;
    search->broken_via = search_encode(event);
    search->broken_fair = FAIR_MAX_;
    return true;
}

typedef struct Node {
    uint32_t index;
    HfMachine machine;
    World world;
    int rank[FAIR_MAX_];
} Node;

static void choose_fair(Search *search, Node *node, const HfEvent *event, uint32_t to)
{
    for (Fair fair = 0; fair < FAIR_MAX_; fair++) {
        int rank = fair_rank(fair, &node->world, event);
        if (rank <= node->rank[fair])
            continue;
        node->rank[fair] = rank;
        search->states[node->index].fair_to[fair] = to;
        search->states[node->index].fair_via[fair] = search_encode(event);
    }
}

/* One step from the state in node, which becomes the one after it. False: a rule is broken. */
static bool take(Search *search, uint32_t index, const HfEvent *event, HfMachine *machine,
                 World *world)
{
    const HfMachine machine_before = *machine;
    const World world_before = *world;
    HfActions actions;

    world_event(world, event);
    search->step(machine, event, &actions);
    Rule rule = perform(world, event, &actions);
    if (rule == RULE_NONE)
        rule = invariants_check(&(Edge){.before = &machine_before,
                                        .world_before = &world_before,
                                        .event = event,
                                        .actions = &actions,
                                        .after = machine,
                                        .world_after = world});
    if (violated(search, rule, index, event))
        return false;
    search->edges++;
    if (invariants_actions(&actions) > search->actions_max)
        search->actions_max = invariants_actions(&actions);
    table_note(&search->met, &actions);
    return true;
}

static bool follow(Search *search, Node *node, const HfEvent *event)
{
    HfMachine machine = node->machine;
    World world = node->world;

    if (!take(search, node->index, event, &machine, &world))
        return false;
    /* where stops are not the subject nobody waits in a queue, and no state is spent on that */
    if (world.watching && !search->bounds->stops &&
        !take(search, node->index, &(HfEvent){.type = HF_EVENT_QUEUE_SERVED}, &machine, &world))
        return false;
    if (world_occupied(&world) > search->bounds->occupied) {
        search->pruned++;
        return true;
    }
    canonical_tidy(&machine, &world, search->failures);
    Key key = canonical_pack(&machine, &world);
    if (!canonical_complete(key, &machine, &world)) {
        fprintf(stderr, "canonical.c forgets a field of the machine or the world\n");
        abort();
    }
    uint32_t to = insert(search, &key, node->index, search_encode(event));
    choose_fair(search, node, event, to);
    return true;
}

static bool ignore(Search *search, Node *node, const HfEvent *event)
{
    HfMachine machine = node->machine;
    HfActions actions;

    search->step(&machine, event, &actions);
    bool unchanged = actions.n == 0 && memcmp(&machine, &node->machine, sizeof(machine)) == 0;
    return !violated(search, unchanged ? RULE_NONE : RULE_STRAY, node->index, event);
}

static bool expand(Search *search, uint32_t index)
{
    Node node = {.index = index};
    HfEvent events[WORLD_EVENTS_MAX];

    canonical_unpack(search->states[index].key, &search->bounds->limits, &node.machine,
                     &node.world);
    size_t n = world_events(&node.world, search->bounds, events);
    for (size_t i = 0; i < n; i++)
        if (!follow(search, &node, &events[i]))
            return false;
    n = world_stray_events(&node.world, events);
    for (size_t i = 0; i < n; i++)
        if (!ignore(search, &node, &events[i]))
            return false;
    return true;
}

/* ---- fair runs ---- */

static bool reached(const Search *search, Fair fair, uint32_t index)
{
    HfMachine machine;
    World world;

    canonical_unpack(search->states[index].key, &search->bounds->limits, &machine, &world);
    return fair_reached(fair, &machine);
}

/* Each state has one successor in a fair world: walks on until a state that is known to arrive. */
static bool check_fair(Search *search, Fair fair)
{
    enum { UNKNOWN, ON_THE_WAY, ARRIVES };
    unsigned char *known = must(calloc(search->n, 1));
    uint32_t *way = must(malloc(search->n * sizeof(*way)));
    bool ok = true;

    for (uint32_t start = 0; start < search->n && ok; start++) {
        size_t n = 0;
        uint32_t at = start;
        while (known[at] == UNKNOWN && !reached(search, fair, at)) {
            known[at] = ON_THE_WAY;
            way[n++] = at;
            at = search->states[at].fair_to[fair];
            if (at == SEARCH_NOWHERE)
                break;
        }
        ok = at != SEARCH_NOWHERE && known[at] != ON_THE_WAY;
        if (!ok) {
            search->broken = fair_rule(fair);
            search->broken_at = start;
            search->broken_fair = fair;
        } else {
            known[at] = ARRIVES;
            while (n > 0)
                known[way[--n]] = ARRIVES;
        }
    }
    free(way);
    free(known);
    return ok;
}

/* ---- the whole ---- */

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void explore(Search *search)
{
    HfMachine machine;
    World world;

    memset(&world, 0, sizeof(world));
    hf_machine_init(&machine, &search->bounds->limits);
    Key key = canonical_pack(&machine, &world);
    insert(search, &key, SEARCH_NOWHERE, 0);
    for (uint32_t i = 0; i < search->n; i++)
        if (!expand(search, i))
            return;
    for (Fair fair = 0; fair < FAIR_MAX_; fair++)
        if (!check_fair(search, fair))
            return;
}

void search_run(Search *ret, const Bounds *bounds, StepFunction step)
{
    double start = now();

    *ret =
        (Search){.bounds = bounds, .step = step, .failures = canonical_failures(&bounds->limits)};
    grow_table(ret);
    explore(ret);
    ret->seconds = now() - start;
}

void search_clear(Search *search)
{
    free(search->states);
    free(search->table);
    *search = (Search){0};
}

size_t search_path(const Search *search, uint16_t **ret)
{
    size_t n = 0;
    bool edge = search->broken_fair == FAIR_MAX_;

    for (uint32_t at = search->broken_at; at != 0; at = search->states[at].parent)
        n++;
    uint16_t *path = must(malloc((n + 1) * sizeof(*path)));
    size_t i = n;
    for (uint32_t at = search->broken_at; at != 0; at = search->states[at].parent)
        path[--i] = search->states[at].via;
    if (edge)
        path[n++] = search->broken_via;
    *ret = path;
    return n;
}
