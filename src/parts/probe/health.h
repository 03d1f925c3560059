/* Performs the machine's PROBE: asks the active generation whether it is well, one probe at a time.
 */
#pragma once

#include <systemd/sd-event.h>

#include "config/settings.h"
#include "policy/machine.h"
#include "run/generation.h"
#include "run/reaper.h"

typedef struct HfHealth HfHealth;

/* text: one or more lines on what is wrong, "" when nothing is. */
typedef void (*HfHealthCallback)(unsigned slot, HfVerdict verdict, const char *text,
                                 void *userdata);

/* name: of the instance, borrowed. Returns 0 or -ENOMEM. */
int hf_health_new(sd_event *loop, HfReaper *reaper, const char *name, HfHealthCallback callback,
                  void *userdata, HfHealth **ret);
HfHealth *hf_health_free(HfHealth *health);

/* Begins a probe, in place of one that is under way. Ends in one call back, perhaps at once, unless
 * it is left before; the generation may not go before that. */
void hf_health_probe(HfHealth *health, const HfSettings *settings, const HfGeneration *generation);
/* The generation in slot is not to be probed any more. */
void hf_health_leave(HfHealth *health, unsigned slot);

/* How many probes in a row that find it hung last as long as --probe-hung-after; 0: however many.
 */
unsigned hf_health_hung_probes(const HfSettings *settings);
