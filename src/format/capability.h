/* SPDX-License-Identifier: MIT */
/* Names of capabilities and sets of them. capabilities(7). */
#pragma once

#include <stdint.h>

#include "base/parse.h"
#include "base/text.h"

#define HF_CAPABILITY_COUNT 41         /* CAP_LAST_CAP of Linux 5.9 and later, plus one */
#define HF_CAPABILITIES_ALL UINT64_MAX /* including those that have no name here */

/* Names such as "net_bind_service", by capability number (linux/capability.h). */
HF_STRTAB_DECLARE(hf_capability, unsigned);

/* Converts "chown,kill" to a set, 1 << number each; upper case and a "cap_" prefix are accepted;
 * "none" is the empty set. Returns 0, or -EINVAL and, unless NULL, the unknown name with its
 * length. */
int hf_capabilities_parse(const char *text, uint64_t *ret, const char **ret_unknown,
                          size_t *ret_length);
/* The reverse, ordered by number; "none" for the empty set. */
void hf_capabilities_format(uint64_t capabilities, HfText *text);
