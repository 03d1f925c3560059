/* The settings: the command line over the configuration file that it names. */
#pragma once

#include "config/options.h"

/* Reads both, the file as it is now. Returns as hf_options_parse, also negative errno with one line
 * in error when the file cannot be read. */
int hf_configuration_read(int argc, char *const *argv, HfCommandLine *ret, HfText *error);
