/* What a holdfast before this one left, after a death or in an upgrade: found, tried, taken over.
 */
#pragma once

#include "parts/survive/snapshot.h"

typedef struct HfPredecessor {
    HfSnapshot snapshot;
    uint64_t sequence; /* of the last one in the store */
    HfListener **kept; /* where it cannot be gone on with, until the first plan has chosen */
    size_t n_kept;
} HfPredecessor;

/* Reads what the program before this one has passed in an upgrade. Returns 0, or negative errno
 * with one line in error. */
int hf_adoption_read(HfSnapshot *ret, HfNotes *notes, HfText *error);

/* Fits the descriptors to the newest snapshot. Where it cannot be gone on with, supervisor->first
 * is START, and the listeners are kept for the first plan. Returns 0 or negative errno. */
int hf_adoption_find(HfSupervisor *supervisor, HfPredecessor *before);

/* Takes over the machine's state, listeners, plans and generations. The loop, reaper and runtime
 * stand; RESUME or ADOPT has been posted, so that what is found out at once comes after it. Returns
 * 0, or negative errno with one line in error. */
int hf_adoption_restore(HfSupervisor *supervisor, HfSnapshot *snapshot,
                        const HfGenerationCallbacks *callbacks, HfText *error);

/* Would it be understood? Instead of everything else, in the test before an upgrade. Returns the
 * exit status. */
int hf_adoption_test(const HfSettings *settings);
