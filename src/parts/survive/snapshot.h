/* SPDX-License-Identifier: MIT */
/* Everything another holdfast needs to continue (machine, listeners, plans and generations) as
 * versioned text, and back. One key=value per line; unknown keys are logged and skipped, missing
 * ones have their defaults, so that older and newer versions understand each other. The objects are
 * those of run, as described by snapshot_fields.c. */
#pragma once

#include "parts/survive/snapshot_fields.h"

/* An empty one with every default. */
void hf_snapshot_init(HfSnapshot *snapshot);
void hf_snapshot_clear(HfSnapshot *snapshot);
#define HF_CLEANUP_SNAPSHOT __attribute__((cleanup(hf_snapshot_clear)))

/* Appends item; NULL counts as out of memory. Returns 0 or -ENOMEM. */
int hf_snapshot_append(HfSnapshotList *list, void *item);

/* Appends a copy of a note. Returns 0 or -ENOMEM. */
int hf_snapshot_note(HfSnapshot *snapshot, const char *key, const char *text, int fd);

/* Checks that every index is valid, and that each plan can be used. Returns 0 or -EBADMSG. */
int hf_snapshot_check(const HfSnapshot *snapshot);

/* Appends the text, which ends with its checksum; without memory text has failed. */
void hf_snapshot_write(const HfSnapshot *snapshot, HfText *text);

/* Returns 0, -EBADMSG when text is torn, truncated or unsound, -EPROTONOSUPPORT for an unknown
 * version, -E2BIG beyond the limits, or -ENOMEM. */
int hf_snapshot_read(const char *text, size_t length, HfSnapshot *ret);
