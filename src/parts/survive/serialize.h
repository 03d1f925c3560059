/* The supervisor as a snapshot, and a supervisor that goes on from one. */
#pragma once

#include "parts/survive/snapshot.h"
#include "run/supervisor.h"

/* Everything but a prepared plan that no generation was made of, with this process's own
 * descriptors. Returns 0 and an owned snapshot, or negative errno. */
int hf_serialize_capture(HfSupervisor *supervisor, HfSnapshot *ret);

/* Do the descriptors that it names fit what it says of them? Returns 0, or -EBADF with one line in
 * error. */
int hf_serialize_check(const HfSnapshot *snapshot, HfText *error);

/* The nth of all descriptors that a snapshot can name (-1 where it does not), NULL behind the last.
 */
int *hf_serialize_fd(HfSnapshot *snapshot, size_t n);

/* Takes over the machine's state, listeners, plans and generations, with the descriptors, which are
 * CLOEXEC then: in snapshot they are -1. The loop, reaper and runtime stand; RESUME or ADOPT has
 * been posted, so that what is found out at once comes after it. Returns 0, or negative errno with
 * one line in error. */
int hf_serialize_restore(HfSupervisor *supervisor, HfSnapshot *snapshot,
                         const HfGenerationCallbacks *callbacks, HfText *error);
