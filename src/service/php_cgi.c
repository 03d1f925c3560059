/* SPDX-License-Identifier: MIT */
#include <signal.h>

#include "service/adapter.h"

const HfAdapter hf_adapter_php_cgi = {
    .name = "php-cgi",
    .program = "php-cgi",
    .handoff = &hf_handoff_stdin,
    .stop_signal = SIGTERM,
    .fastcgi = true,
    .leaks = true,
    .discover = hf_adapter_discover_settings,
};
