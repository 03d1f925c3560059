/* SPDX-License-Identifier: MIT */
#include "parts/inherit/takeover_life.h"

static unsigned enter(HfTakeoverLife *life, HfTakeoverState state, unsigned actions)
{
    life->state = state;
    return actions;
}

static unsigned step_settling(HfTakeoverLife *life, HfTakeoverEvent event)
{
    unsigned freeze = life->master ? HF_TAKEOVER_FREEZE : 0;

    if (event == HF_TAKEOVER_SETTLED)
        return enter(life, HF_TAKEOVER_RETIRING, freeze | HF_TAKEOVER_ASK);
    if (event == HF_TAKEOVER_LOST)
        return enter(life, HF_TAKEOVER_COPIED, HF_TAKEOVER_DISARM);
    if (event == HF_TAKEOVER_STOP)
        return enter(life, HF_TAKEOVER_OVER, HF_TAKEOVER_DISARM);
    return 0;
}

/* A master that is not stopped replaces the workers that leave. */
static unsigned step_retiring(HfTakeoverLife *life, HfTakeoverEvent event)
{
    unsigned let_be = HF_TAKEOVER_SPARE | (life->master ? HF_TAKEOVER_CONTINUE : 0);

    if (event == HF_TAKEOVER_WORKERS_GONE && life->master)
        return enter(life, HF_TAKEOVER_ENDING, HF_TAKEOVER_KILL);
    if (event == HF_TAKEOVER_WORKERS_GONE)
        return enter(life, HF_TAKEOVER_OVER, HF_TAKEOVER_FINISH);
    if (event == HF_TAKEOVER_LOST || event == HF_TAKEOVER_FAILED)
        return enter(life, HF_TAKEOVER_COPIED, let_be);
    if (event == HF_TAKEOVER_STOP)
        return enter(life, HF_TAKEOVER_OVER, let_be);
    return 0;
}

unsigned hf_takeover_step(HfTakeoverLife *life, HfTakeoverEvent event)
{
    switch (life->state) {
    case HF_TAKEOVER_COPIED:
        if (event == HF_TAKEOVER_READY)
            return enter(life, HF_TAKEOVER_SETTLING, HF_TAKEOVER_ARM);
        return event == HF_TAKEOVER_STOP ? enter(life, HF_TAKEOVER_OVER, 0) : 0;
    case HF_TAKEOVER_SETTLING:
        return step_settling(life, event);
    case HF_TAKEOVER_RETIRING:
        return step_retiring(life, event);
    case HF_TAKEOVER_ENDING:
        if (event == HF_TAKEOVER_MASTER_GONE)
            return enter(life, HF_TAKEOVER_OVER, HF_TAKEOVER_FINISH);
        return event == HF_TAKEOVER_STOP ? enter(life, HF_TAKEOVER_OVER, HF_TAKEOVER_SPARE) : 0;
    case HF_TAKEOVER_OVER:
    case HF_TAKEOVER_STATE_MAX_:
    default:
        return 0;
    }
}
