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
