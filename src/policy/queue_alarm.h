/* SPDX-License-Identifier: MIT */
/* Is a queue fuller than it should be, and for long enough to say so? */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HF_ALARM_SAMPLES 3 /* in a row, until it is said */

typedef enum HfQueueAlarmChange {
    HF_ALARM_UNCHANGED,
    HF_ALARM_RAISED,
    HF_ALARM_CLEARED,
} HfQueueAlarmChange;

/* Zeroed at first. */
typedef struct HfQueueAlarm {
    uint8_t above; /* samples in a row */
    uint8_t below;
    bool raised;
} HfQueueAlarm;

/* One sample: depth of limit, warned of at percent (1 to 100) or more. HF_ALARM_SAMPLES in a row
 * raise it, as many below half of that clear it again. */
HfQueueAlarmChange hf_queue_alarm_step(HfQueueAlarm *alarm, uint32_t depth, uint32_t limit,
                                       unsigned percent);
