/* `holdfast exec`: translates what systemd passed, becomes the service. */
#pragma once

#include "base/text.h"
#include "config/settings.h"

/* Does not return on success. Returns negative errno with one line in error. */
int hf_exec_run(const HfSettings *settings, HfText *error);
