/* How an instance begins: anew, or with what an older holdfast had. */
#pragma once

#include "core/snapshot.h"
#include "daemon/store.h"
#include "daemon/supervisor.h"

typedef struct HfStart {
    HfEventType event; /* START, RESUME or ADOPT */
    HfSnapshot snapshot;
    uint64_t sequence; /* of the last one in the store */
    HfStored *stored;  /* what the store gave back */
    size_t n_stored;
} HfStart;

void hf_start_clear(HfStart *start);
#define HF_CLEANUP_START __attribute__((cleanup(hf_start_clear)))

/* Before anything else of the supervisor is made: finds out what there is to go on with, takes the
 * sockets that were passed, claims the runtime directory. Returns 0, or negative errno with one
 * line in error. */
int hf_start_begin(HfSupervisor *supervisor, HfStart *start, HfText *error);
/* Once the rest stands: posts the first event, and takes over what there is. */
int hf_start_end(HfSupervisor *supervisor, HfStart *start, HfText *error);
