/* SPDX-License-Identifier: MIT */
#include "replay.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"

void replay_init(Replay *ret, const Bounds *bounds, StepFunction step)
{
    memset(ret, 0, sizeof(*ret));
    ret->step = step;
    hf_machine_init(&ret->machine, &bounds->limits);
}

/* The slot of the generation that is the nth oldest, and after those the empty slots. */
static unsigned nth_slot(const HfMachine *machine, unsigned n)
{
    uint64_t last = 0;

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
        if (n == 0)
            return (unsigned)next;
        last = machine->generations[next].number;
        n--;
    }
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (machine->generations[i].stage == HF_STAGE_EMPTY && n-- == 0)
            return i;
    abort();
}

static bool has_slot(const HfEvent *event)
{
    return event->type == HF_EVENT_SPAWN_FAILED || event->type == HF_EVENT_READY ||
           event->type == HF_EVENT_MAIN_EXITED || event->type == HF_EVENT_GONE ||
           event->type == HF_EVENT_RETIRED || event->type == HF_EVENT_EXTEND ||
           event->type == HF_EVENT_PROBED || event->type == HF_EVENT_OVERSIZE ||
           event->type == HF_EVENT_LEAVING || event->type == HF_EVENT_TRIED ||
           event->type == HF_EVENT_SIDE_EMPTY ||
           (event->type == HF_EVENT_TIMER && event->timer == HF_TIMER_DEADLINE);
}

HfEvent replay_event(const Replay *replay, uint16_t code)
{
    HfEvent event = search_decode(code);

    if (has_slot(&event)) {
        event.slot = nth_slot(&replay->machine, event.slot);
        if (event.number != 0)
            event.number = replay->machine.generations[event.slot].number;
    }
    if (event.id != 0)
        event.id = replay->last_id + 1;
    return event;
}

Rule replay_step(Replay *replay, const HfEvent *event, HfActions *ret)
{
    Rule rule = RULE_NONE;

    if (event->id > replay->last_id)
        replay->last_id = event->id;
    world_event(&replay->world, event);
    replay->step(&replay->machine, event, ret);
    for (size_t i = 0; i < ret->n && rule == RULE_NONE; i++)
        rule = world_action(&replay->world, event, &ret->list[i]);
    return rule;
}

/* ---- the story ---- */

static void tell(Replay *replay, uint16_t code, FILE *out)
{
    char text[TEXT_STATE_MAX];
    HfEvent event = replay_event(replay, code);
    HfActions actions;

    text_event(&event, &replay->machine, text);
    fprintf(out, "# > %s\n", text);
    replay_step(replay, &event, &actions);
    for (size_t i = 0; i < actions.n;) {
        i += text_action(&actions.list[i], actions.n - i, text);
        fprintf(out, "#   %s\n", text);
    }
    text_state(&replay->machine, text);
    fprintf(out, "#   = %s\n", text);
}

static void tell_fair(const Search *search, Replay *replay, FILE *out)
{
    unsigned char *seen = calloc(search->n, 1);
    uint32_t at = search->broken_at;

    fprintf(out, "# and now, when %s:\n", fair_text(search->broken_fair));
    while (seen && at != SEARCH_NOWHERE && !seen[at]) {
        seen[at] = 1;
        uint32_t to = search->states[at].fair_to[search->broken_fair];
        if (to != SEARCH_NOWHERE)
            tell(replay, search->states[at].fair_via[search->broken_fair], out);
        at = to;
    }
    fprintf(out,
            at == SEARCH_NOWHERE ? "# and nothing more ever happens\n" : "# and so on for ever\n");
    free(seen);
}

void replay_story(const Search *search, FILE *out)
{
    Replay replay;
    uint16_t *path;
    size_t n = search_path(search, &path);

    fprintf(out, "# broken after %zu events: %s\n", n, rule_text(search->broken));
    replay_init(&replay, search->bounds, search->step);
    for (size_t i = 0; i < n; i++)
        tell(&replay, path[i], out);
    if (search->broken_fair != FAIR_MAX_)
        tell_fair(search, &replay, out);
    free(path);
}

/* ---- the walk ---- */

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Slots are gone through in their order, which is not that of age: sorts by age, as a tidy form. */
static void sort_by_age(HfActions *actions)
{
    for (size_t i = 1; i < actions->n; i++)
        for (size_t j = i; j > 0 && actions->list[j - 1].number > actions->list[j].number; j--) {
            HfAction moved = actions->list[j];
            actions->list[j] = actions->list[j - 1];
            actions->list[j - 1] = moved;
        }
}

static bool same_actions(const HfActions *a, const HfActions *b)
{
    bool same = a->n == b->n;

    for (size_t i = 0; same && i < a->n; i++)
        same = a->list[i].type == b->list[i].type && a->list[i].stage == b->list[i].stage &&
               a->list[i].timer == b->list[i].timer && a->list[i].report == b->list[i].report &&
               a->list[i].usec == b->list[i].usec && a->list[i].prepared == b->list[i].prepared &&
               a->list[i].raised == b->list[i].raised && a->list[i].extend == b->list[i].extend &&
               a->list[i].status == b->list[i].status &&
               (a->list[i].type == HF_ACTION_REPORT || a->list[i].cause == b->list[i].cause);
    return same;
}

static Key tidy_key(Replay replay, unsigned failures)
{
    canonical_tidy(&replay.machine, &replay.world, failures);
    return canonical_pack(&replay.machine, &replay.world);
}

static bool walk_step(Replay *replay, const Bounds *bounds, unsigned failures, uint64_t *seed,
                      FILE *out)
{
    HfEvent events[WORLD_EVENTS_MAX];
    HfActions actions;
    HfActions tidy_actions;
    Replay tidy = *replay;

    canonical_tidy(&tidy.machine, &tidy.world, failures);
    size_t n = world_events(&tidy.world, bounds, events);
    /* an end would end the walk: seldom */
    HfEvent event = events[random_next(seed) % n];
    bool stop = event.type == HF_EVENT_STOP_SIGNAL || event.request == HF_REQUEST_STOP;
    if (stop && random_next(seed) % 16 != 0)
        return true;

    HfEvent raw = replay_event(replay, search_encode(&event));
    char text[TEXT_LINE_MAX];
    text_event(&raw, &replay->machine, text);
    if (replay_step(replay, &raw, &actions) != RULE_NONE ||
        replay_step(&tidy, &event, &tidy_actions) != RULE_NONE)
        return false;
    sort_by_age(&actions);
    sort_by_age(&tidy_actions);
    Key key = tidy_key(*replay, failures);
    Key tidy_after = tidy_key(tidy, failures);
    if (same_actions(&actions, &tidy_actions) && memcmp(&key, &tidy_after, sizeof(key)) == 0)
        return true;
    fprintf(out, "# the machine and its tidy form part at: %s\n", text);
    return false;
}

bool replay_walk(const Bounds *bounds, unsigned walks, unsigned steps, FILE *out)
{
    unsigned failures = canonical_failures(&bounds->limits);
    uint64_t seed = 9000;

    for (unsigned i = 0; i < walks; i++) {
        Replay replay;
        replay_init(&replay, bounds, hf_machine_step);
        for (unsigned j = 0; j < steps && !replay.world.ended; j++)
            if (!walk_step(&replay, bounds, failures, &seed, out))
                return false;
    }
    return true;
}
