/* Looks at the listeners' queues every --queue-every, and says when one stays too full. */
#pragma once

#include "daemon/supervisor.h"

typedef struct HfQueuewatch HfQueuewatch;

/* Asleep until hf_queuewatch_apply. Returns 0 or negative errno. */
int hf_queuewatch_new(HfSupervisor *supervisor, HfQueuewatch **ret);
/* The settings may have changed: looks as often as they say now, or no more. */
void hf_queuewatch_apply(HfQueuewatch *queuewatch);
/* NULL is fine. Returns NULL. */
HfQueuewatch *hf_queuewatch_free(HfQueuewatch *queuewatch);
