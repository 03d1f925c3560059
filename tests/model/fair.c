/* SPDX-License-Identifier: MIT */
#include "fair.h"

#include <assert.h>

static const char *const texts[] = {
    [FAIR_PROMPT] = "everybody obeys at once",
    [FAIR_STUBBORN] = "starts succeed, but nobody leaves before KILL",
    [FAIR_STOP] = "a stop, and nobody leaves before KILL",
};
_Static_assert(sizeof(texts) / sizeof(*texts) == FAIR_MAX_, "a text for each world");

const char *fair_text(Fair fair)
{
    return texts[fair];
}

Rule fair_rule(Fair fair)
{
    return fair == FAIR_STOP ? RULE_STOP_ENDS : RULE_SERVES;
}

static int rank_leaving(Fair fair, const World *world, const HfEvent *event)
{
    const WorldSlot *slot = &world->slots[event->slot];
    int first = fair == FAIR_PROMPT ? 6 : 3;

    if (!world_slot_draining(slot))
        return 0;
    if (event->type == HF_EVENT_GONE)
        return (fair == FAIR_PROMPT && slot->asked >= HF_STAGE_STOP) || slot->asked == HF_STAGE_KILL
                   ? first
                   : 0;
    return slot->asked < HF_STAGE_KILL ? 2 : 0;
}

static bool stopping(Fair fair, const World *world)
{
    return fair == FAIR_STOP && !world->stopping && !world->ending;
}

int fair_rank(Fair fair, const World *world, const HfEvent *event)
{
    switch (event->type) {
    case HF_EVENT_START:
        return 9;
    case HF_EVENT_STOP_SIGNAL:
        return stopping(fair, world) ? 8 : 0;
    case HF_EVENT_QUEUE_SERVED:
        return 10;
    case HF_EVENT_ENDED:
        return 9;
    case HF_EVENT_PREPARED:
    case HF_EVENT_READY:
        return fair == FAIR_STOP ? 0 : 5;
    case HF_EVENT_TIMER:
        if (event->timer == HF_TIMER_DEADLINE)
            return rank_leaving(fair, world, event);
        return event->timer == HF_TIMER_RESPAWN && fair != FAIR_STOP ? 4 : 0;
    case HF_EVENT_UPGRADE_TESTED:
    case HF_EVENT_RESUME:
        return fair == FAIR_STOP ? 0 : event->type == HF_EVENT_RESUME ? 8 : 1;
    case HF_EVENT_TRIED:
        return event->passed && fair != FAIR_STOP ? 5 : 0;
    case HF_EVENT_SIDE_EMPTY:
    case HF_EVENT_RETIRED:
        return fair == FAIR_PROMPT ? 7 : 0;
    case HF_EVENT_GONE:
        return rank_leaving(fair, world, event);
    case HF_EVENT_PREPARE_FAILED:
    case HF_EVENT_UNBLOCKED:
    case HF_EVENT_SPAWN_FAILED:
    case HF_EVENT_MAIN_EXITED:
    case HF_EVENT_REQUEST:
    case HF_EVENT_REOPEN:
    case HF_EVENT_EXTEND:
    case HF_EVENT_FALLBACK_GONE:
    case HF_EVENT_PROBED:
    case HF_EVENT_OVERSIZE:
    case HF_EVENT_LEAVING:
    case HF_EVENT_UPGRADE_FAILED:
    case HF_EVENT_ADOPT:
        return 0;
    case HF_EVENT_MAX_:
        break;
    }
    assert(false);
    return 0;
}

bool fair_reached(Fair fair, const HfMachine *machine)
{
    if (machine->phase == HF_PHASE_ENDED)
        return true;
    if (fair == FAIR_STOP)
        return false;
    if (hf_machine_stops(machine) || machine->wait != HF_WAIT_NONE)
        return true;
    if (machine->phase != HF_PHASE_IDLE || hf_machine_find(machine, HF_STAGE_ACTIVE) < 0)
        return false;
    for (unsigned i = 0; i < HF_MACHINE_REQUESTS; i++)
        if (machine->requests[i].id != 0)
            return false;
    return true;
}
