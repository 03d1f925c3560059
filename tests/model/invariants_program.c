/* SPDX-License-Identifier: MIT */
#include "invariants_parts.h"

static bool replaces(const Edge *edge)
{
    const World *world = edge->world_after;

    return world->preparing || world->prepared || edge_find(world, world_slot_new) != NULL;
}

static bool upgrade_waits(const World *world)
{
    for (unsigned i = 0; i < WORLD_REQUESTS; i++)
        if (world->requests[i].id != 0 && world->requests[i].kind == HF_REQUEST_UPGRADE)
            return true;
    return false;
}

static Rule check_upgrade(const Edge *edge)
{
    const HfMachine *machine = edge->after;
    bool begins = edge_action(edge->actions, NULL, HF_ACTION_UPGRADE) ||
                  edge_action(edge->actions, NULL, HF_ACTION_TEST_UPGRADE);

    if (begins && (replaces(edge) || !edge_wanted(edge->world_after)))
        return RULE_UPGRADE;
    if (machine->upgrade == HF_UPGRADE_WANTED && machine->phase == HF_PHASE_IDLE)
        return RULE_UPGRADE;
    return upgrade_waits(edge->world_after) && machine->upgrade == HF_UPGRADE_NONE ? RULE_UPGRADE
                                                                                   : RULE_NONE;
}

static Rule check_adopt(const Edge *edge)
{
    if (!edge_is_restart(edge))
        return RULE_NONE;
    for (unsigned i = 0; i < HF_MACHINE_SLOTS; i++)
        if (world_slot_active(&edge->world_before->slots[i]) !=
            world_slot_active(&edge->world_after->slots[i]))
            return RULE_ADOPT;
    bool starts = edge_action(edge->actions, NULL, HF_ACTION_PREPARE) ||
                  edge_action(edge->actions, NULL, HF_ACTION_SPAWN);
    return starts && edge_find(edge->world_after, world_slot_whole) ? RULE_ADOPT : RULE_NONE;
}

Rule invariants_program(const Edge *edge)
{
    Rule rule = hf_machine_is_sound(edge->after) ? RULE_NONE : RULE_SOUND;

    if (rule == RULE_NONE)
        rule = check_upgrade(edge);
    return rule == RULE_NONE ? check_adopt(edge) : rule;
}
