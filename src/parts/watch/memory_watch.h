/* --recycle-memory: how much the active generation uses is looked at every --recycle-check, and
 * posted when it is too much. */
#pragma once

typedef struct HfSupervisor HfSupervisor;
typedef struct HfMemoryWatch HfMemoryWatch;

/* Waits for hf_memory_watch_apply. Returns 0 or negative errno. */
int hf_memory_watch_new(HfSupervisor *supervisor, HfMemoryWatch **ret);
/* Begins, goes on or leaves off as the settings in force say. */
void hf_memory_watch_apply(HfMemoryWatch *oversize);
HfMemoryWatch *hf_memory_watch_free(HfMemoryWatch *oversize);
