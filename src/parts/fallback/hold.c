/* SPDX-License-Identifier: MIT */
#include "parts/fallback/hold.h"

static unsigned enter(HfHoldLife *life, HfHoldState state, unsigned actions)
{
    life->state = state;
    return actions;
}

static unsigned step_none(HfHoldLife *life, HfHoldEvent event)
{
    if (event == HF_HOLD_ASKED && !life->stopping)
        return enter(life, HF_HOLD_WAITING, HF_HOLD_STEER | HF_HOLD_ARM);
    return event == HF_HOLD_ASKED || event == HF_HOLD_RELEASED ? HF_HOLD_REFUSE : 0;
}

static unsigned step_waiting(HfHoldLife *life, HfHoldEvent event)
{
    if (event == HF_HOLD_ASKED)
        return life->stopping ? HF_HOLD_REFUSE : HF_HOLD_ARM;
    if (event == HF_HOLD_RELEASED)
        return enter(life, HF_HOLD_NONE, HF_HOLD_DISARM | HF_HOLD_RETURN);
    if (event == HF_HOLD_STOPPING)
        return enter(life, HF_HOLD_ANSWERED, HF_HOLD_DISARM | HF_HOLD_ANSWER);
    return event == HF_HOLD_ELAPSED ? enter(life, HF_HOLD_ANSWERED, HF_HOLD_ANSWER) : 0;
}

static unsigned step_answered(HfHoldLife *life, HfHoldEvent event)
{
    if (event == HF_HOLD_ASKED && !life->stopping)
        return enter(life, HF_HOLD_WAITING, HF_HOLD_SILENCE | HF_HOLD_ARM);
    if (event == HF_HOLD_RELEASED)
        return enter(life, HF_HOLD_NONE, HF_HOLD_SILENCE | HF_HOLD_RETURN);
    if (event == HF_HOLD_UNANSWERED)
        return enter(life, HF_HOLD_WAITING, HF_HOLD_RETRY);
    return event == HF_HOLD_ASKED ? HF_HOLD_REFUSE : 0;
}

unsigned hf_hold_step(HfHoldLife *life, HfHoldEvent event)
{
    /* again: one that could not be answered is answered when the timer has elapsed, not at once */
    if (event == HF_HOLD_STOPPING && life->stopping)
        return 0;
    life->stopping = life->stopping || event == HF_HOLD_STOPPING;
    if (life->state == HF_HOLD_NONE)
        return step_none(life, event);
    return (life->state == HF_HOLD_WAITING ? step_waiting : step_answered)(life, event);
}
