/* Another holdfast in the place of this one: tried out on a snapshot, then executed. */
#pragma once

#include "parts/survive/fdstore.h"

typedef struct HfUpgrading HfUpgrading;

/* Returns 0 or negative errno. */
int hf_upgrading_new(HfSupervisor *supervisor, HfUpgrading **ret);
/* A test that is under way ends. NULL is fine. Returns NULL. */
HfUpgrading *hf_upgrading_free(HfUpgrading *upgrading);

/* Runs the new program on a snapshot of now. Ends in UPGRADE_TESTED or UPGRADE_FAILED. store: NULL
 * when there is none. */
void hf_upgrading_test(HfUpgrading *upgrading, const HfFdStore *store);
/* Executes it once nothing else waits, if nothing has happened until then: else UPGRADE_TESTED
 * comes again. Does not return, or ends in UPGRADE_FAILED with everything as it was. */
void hf_upgrading_execute(HfUpgrading *upgrading, const HfFdStore *store);
