/* What a systemd unit left when it was stopped while no holdfast ran in it. systemd.service(5). */
#pragma once

#include <stdint.h>

/* Waits until systemd has done with unit, then ends every process that is left in it: QUIT where
 * php-fpm is among them, else TERM, after drain_timeout (usec) TERM, then KILL; SIGTERM to us goes
 * on to TERM at once. When systemd starts the unit again nothing is touched. What goes wrong is
 * logged. Returns 0, or negative errno. */
int hf_unit_cleanup(const char *unit, uint64_t drain_timeout);
