/* Looks at the listeners' queues every --queue-every, and says when one stays too full. */
#pragma once

#include "run/supervisor.h"

typedef struct HfQueueWatch HfQueueWatch;

/* Asleep until hf_queue_watch_apply. Returns 0 or negative errno. */
int hf_queue_watch_new(HfSupervisor *supervisor, HfQueueWatch **ret);
/* The settings may have changed: looks as often as they say now, or no more. */
void hf_queue_watch_apply(HfQueueWatch *queuewatch);
/* NULL is fine. Returns NULL. */
HfQueueWatch *hf_queue_watch_free(HfQueueWatch *queuewatch);
