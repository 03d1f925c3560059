/* Numbers as people say them. */
#pragma once

#include <stdint.h>

#include "base/text.h"

/* "3 days", "2 hours", "5 minutes", "1 second": the largest unit that fits, rounded down. usec. */
void hf_text_add_age(HfText *text, uint64_t usec);

/* "0 s", "34 ms", "1.5 s", "2 min 5 s". usec. */
void hf_text_add_time(HfText *text, uint64_t usec);

/* "64 MiB", "1.5 GiB". */
void hf_text_add_bytes_of(HfText *text, uint64_t bytes);
