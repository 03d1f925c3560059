#include "policy/backoff.h"

#include "base/parse.h"

#define FIRST_DELAY (100 * HF_USEC_PER_MSEC)

uint64_t hf_backoff_delay(unsigned failures, uint64_t maximum)
{
    if (failures <= 1)
        return 0;
    uint64_t delay = FIRST_DELAY;
    for (unsigned n = 2; n < failures && delay < maximum; n++)
        if (__builtin_mul_overflow(delay, 2, &delay))
            return maximum;
    return delay < maximum ? delay : maximum;
}

uint64_t hf_backoff_jitter(uint64_t delay, uint64_t random)
{
    return delay / 2 + random % (delay - delay / 2 + 1);
}
