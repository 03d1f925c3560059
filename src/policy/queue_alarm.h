/* SPDX-License-Identifier: MIT */
/* Has a queue been too full for long enough to warn? */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define HF_ALARM_SAMPLES 3 /* in a row, to raise or clear the alarm */

typedef enum HfQueueAlarmChange {
    HF_ALARM_UNCHANGED,
    HF_ALARM_RAISED,
    HF_ALARM_CLEARED,
} HfQueueAlarmChange;

/* Zero-initialised. */
typedef struct HfQueueAlarm {
    uint8_t above; /* samples in a row */
    uint8_t below;
    bool raised;
} HfQueueAlarm;

/* Takes one sample: depth out of limit, too full at percent (1 to 100) or more. HF_ALARM_SAMPLES
 * such samples in a row raise the alarm, as many below half of that clear it. */
HfQueueAlarmChange hf_queue_alarm_step(HfQueueAlarm *alarm, uint32_t depth, uint32_t limit,
                                       unsigned percent);
