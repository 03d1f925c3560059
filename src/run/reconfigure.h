/* SPDX-License-Identifier: MIT */
/* The configuration file, read again for each new generation. */
#pragma once

#include "config/options.h"
#include "run/supervisor.h"

/* The machine's limits that follow from settings. */
void hf_reconfigure_limits(const HfSupervisor *supervisor, const HfSettings *settings,
                           HfMachineLimits *ret);

/* Reads the file, if reread, for the generation being prepared, and offers its limits to the
 * machine. Returns 0, or negative errno with one line in error. */
int hf_reconfigure_begin(HfSupervisor *supervisor, bool reread, HfText *error);

/* The settings of the generation being prepared. Borrowed until commit or discard. */
const HfSettings *hf_reconfigure_settings(const HfSupervisor *supervisor);

/* They are in force from now on; logs what has changed. */
void hf_reconfigure_commit(HfSupervisor *supervisor, HfCause cause);
/* Those before the last commit are in force again, as far as this program has seen them. */
void hf_reconfigure_roll_back(HfSupervisor *supervisor);
/* Drops those of the generation being prepared. */
void hf_reconfigure_discard(HfSupervisor *supervisor);

/* Frees all. */
void hf_reconfigure_clear(HfSupervisor *supervisor);
