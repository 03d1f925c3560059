/* Another holdfast in the place of this one: tried out on a snapshot, then executed. */
#pragma once

#include "parts/survive/fd_store.h"

typedef struct HfUpgrading HfUpgrading;

/* store: borrowed; NULL: there is none. Returns 0 or negative errno. */
int hf_upgrading_new(HfSupervisor *supervisor, const HfFdStore *store, HfUpgrading **ret);
/* A test that is under way ends. NULL is fine. Returns NULL. */
HfUpgrading *hf_upgrading_free(HfUpgrading *upgrading);

/* Runs the new program on a snapshot of now. Ends in UPGRADE_TESTED or UPGRADE_FAILED. */
void hf_upgrading_test(HfUpgrading *upgrading);
/* Executes it once nothing else waits, if nothing has happened until then: else UPGRADE_TESTED
 * comes again. Does not return, or ends in UPGRADE_FAILED with everything as it was. */
void hf_upgrading_execute(HfUpgrading *upgrading);
