/* SPDX-License-Identifier: MIT */
#include "policy/queue_alarm.h"

static uint8_t count(uint8_t samples, bool one_more)
{
    if (!one_more)
        return 0;
    return samples < HF_ALARM_SAMPLES ? (uint8_t)(samples + 1) : samples;
}

HfQueueAlarmChange hf_queue_alarm_step(HfQueueAlarm *alarm, uint32_t depth, uint32_t limit,
                                       unsigned percent)
{
    uint64_t share = (uint64_t)depth * 100;
    uint64_t warned = (uint64_t)limit * percent;

    alarm->above = count(alarm->above, limit > 0 && share >= warned);
    alarm->below = count(alarm->below, limit == 0 || share < warned / 2 || depth == 0);
    if (!alarm->raised && alarm->above == HF_ALARM_SAMPLES) {
        alarm->raised = true;
        return HF_ALARM_RAISED;
    }
    if (alarm->raised && alarm->below == HF_ALARM_SAMPLES) {
        alarm->raised = false;
        return HF_ALARM_CLEARED;
    }
    return HF_ALARM_UNCHANGED;
}
