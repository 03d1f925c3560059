/* --recycle-memory: how much the active generation uses is looked at every --recycle-check, and
 * posted when it is too much. */
#pragma once

typedef struct HfSupervisor HfSupervisor;
typedef struct HfOversize HfOversize;

/* Waits for hf_oversize_apply. Returns 0 or negative errno. */
int hf_oversize_new(HfSupervisor *supervisor, HfOversize **ret);
/* Begins, goes on or leaves off as the settings in force say. */
void hf_oversize_apply(HfOversize *oversize);
HfOversize *hf_oversize_free(HfOversize *oversize);
