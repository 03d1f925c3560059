/* SPDX-License-Identifier: MIT */
/* One state for all that behave alike, packed into a key. */
#pragma once

#include "world.h"

#define KEY_WORDS 3

typedef struct Key {
    uint64_t words[KEY_WORDS];
} Key;

/* Failures in a row above which one more has the delay that it had before, since hf_backoff_delay
 * has reached its maximum: more make no difference. */
unsigned canonical_failures(const HfMachineLimits *limits);

/* Sorts the slots by age and numbers them from 1, sorts and renames the requests, caps the
 * failures, and drops what nobody reads: the cause while nothing is being replaced, free requests,
 * extensions of who is past them.
 */
void canonical_tidy(HfMachine *machine, World *world, unsigned failures);

/* Of a tidy state. Everything in the world that the machine keeps books of comes from there. */
Key canonical_pack(const HfMachine *machine, const World *world);
void canonical_unpack(Key key, const HfMachineLimits *limits, HfMachine *ret_machine,
                      World *ret_world);
/* True when unpacking the key gives exactly this state; false means that a field was forgotten. */
bool canonical_complete(Key key, const HfMachine *machine, const World *world);
