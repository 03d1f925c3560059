/* `holdfast check`: what run would do, and what would stop it. Binds nothing. */
#pragma once

#include "base/text.h"
#include "config/settings.h"

/* Writes the report for people. Returns how many problems were found, or negative errno with them
 * in error. */
int hf_check_run(const HfSettings *settings, HfText *report, HfText *error);
