/* How an instance begins: anew, or with what an older holdfast had. */
#pragma once

#include "parts/survive/snapshot.h"
#include "run/supervisor.h"

typedef struct HfInstance {
    HfSnapshot snapshot;
    uint64_t sequence; /* of the last one in the store */
} HfInstance;

void hf_instance_clear(HfInstance *start);
#define HF_CLEANUP_START __attribute__((cleanup(hf_instance_clear)))

/* Before anything else of the supervisor is made: finds out what there is to go on with, takes the
 * sockets that were passed, claims the runtime directory. Returns 0, or negative errno with one
 * line in error. */
int hf_instance_begin(HfSupervisor *supervisor, HfInstance *start, HfText *error);
/* The socket that the generations to be gone on with notify; -1: none. */
int hf_instance_take_notify(HfSupervisor *supervisor);
/* Once the rest stands: posts the first event, and takes over what there is. */
int hf_instance_end(HfSupervisor *supervisor, HfInstance *start, HfText *error);
