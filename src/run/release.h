/* Addresses that left the settings: free before whoever asked for the reload hears that it is done,
 * though the generations before still finish what they have accepted, with copies of the sockets.
 */
#pragma once

#include "run/supervisor.h"

/* An answer that comes too early is kept, and performed later. Returns whether it is. */
bool hf_release_holds(HfSupervisor *supervisor, const HfAction *answer);
/* After each step: begins to look for what can be let go. */
void hf_release_look(HfSupervisor *supervisor);
/* Performs the answers that were kept. */
void hf_release_answer(HfSupervisor *supervisor);
/* Harmless when repeated. Returns NULL. */
HfRelease *hf_release_free(HfRelease *release);
