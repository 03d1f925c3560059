/* SPDX-License-Identifier: MIT */
/* Names of capabilities and sets of them. capabilities(7). */
#pragma once

#include <stdint.h>

#include "base/parse.h"
#include "base/text.h"

#define HF_CAPABILITY_COUNT 41         /* CAP_LAST_CAP of Linux 5.9 and later, and one */
#define HF_CAPABILITIES_ALL UINT64_MAX /* those that have no name here as well */

/* "net_bind_service", by its number (linux/capability.h). */
HF_STRTAB_DECLARE(hf_capability, unsigned);

/* "chown,kill" to a set, 1 << number each; upper case and a "cap_" before a name are taken, too;
 * "none" is the empty set. Returns 0, or -EINVAL and, unless NULL, the name that is unknown with
 * its length. */
int hf_capabilities_parse(const char *text, uint64_t *ret, const char **ret_unknown,
                          size_t *ret_length);
/* The other way round, ordered by number; "none" for the empty set. */
void hf_capabilities_format(uint64_t capabilities, HfText *text);
