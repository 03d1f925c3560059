/* What php-fpm's configuration means for the plan. */
#pragma once

#include "base/text.h"
#include "run/plan.h"
#include "service/php_fpm/php_fpm.h"

/* Adds the listeners of every pool, pid file, readiness and peaks to plan. base, aliases, page: see
 * HfDiscoveryQuestion. Returns 0 or negative errno with one line in error. */
int hf_phpfpm_plan(const HfPhpfpmConfig *config, const HfPhpfpmArguments *arguments,
                   const char *base, const char *aliases, const char *page, HfPlan *plan,
                   HfText *error);
