/* SPDX-License-Identifier: MIT */
#include "parts/trial/warm_parts.h"

void hf_warm_excuse(HfWarmUp *warm, const char *format, ...)
{
    va_list arguments;

    if (warm->why.length > 0)
        return;
    va_start(arguments, format);
    hf_text_addv(&warm->why, format, arguments);
    va_end(arguments);
}

void hf_warm_next(HfWarmSlot *slot)
{
    slot->warm->running--;
    sd_event_source_set_enabled(slot->warm->pump, SD_EVENT_ONESHOT);
}

void hf_warm_pause(HfWarmUp *warm, uint64_t usec)
{
    warm->paused = sd_event_source_set_time_relative(warm->pause, usec) >= 0 &&
                   sd_event_source_set_enabled(warm->pause, SD_EVENT_ONESHOT) >= 0;
    if (!warm->paused)
        sd_event_source_set_enabled(warm->pump, SD_EVENT_ONESHOT);
}
