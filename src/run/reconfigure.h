/* SPDX-License-Identifier: MIT */
/* The configuration file read again for each next generation, while holdfast runs. */
#pragma once

#include "config/options.h"
#include "run/supervisor.h"

/* What the machine is to know of settings. */
void hf_reconfigure_limits(const HfSupervisor *supervisor, const HfSettings *settings,
                           HfMachineLimits *ret);

/* Reads the file, if wanted, for the generation that is being prepared, and offers its limits to
 * the machine. Returns 0, or negative errno with one line in error. */
int hf_reconfigure_begin(HfSupervisor *supervisor, bool reread, HfText *error);

/* Those that the next generation is made of. Borrowed until commit or discard. */
const HfSettings *hf_reconfigure_settings(const HfSupervisor *supervisor);

/* They are in force from now on; what has changed is logged. */
void hf_reconfigure_commit(HfSupervisor *supervisor, HfCause cause);
/* They come to nothing. */
void hf_reconfigure_discard(HfSupervisor *supervisor);

/* Both are let go. */
void hf_reconfigure_clear(HfSupervisor *supervisor);

/* ---- the file ---- */

/* The settings: the command line over the configuration file that it names. */

/* Reads both, the file as it is now. Returns as hf_options_parse, also negative errno with one line
 * in error when the file cannot be read. */
int hf_configuration_read(int argc, char *const *argv, HfCommandLine *ret, HfText *error);
