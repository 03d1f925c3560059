/* SPDX-License-Identifier: MIT */
/* Everything that another holdfast needs to go on: machine, listeners, plans and generations, as
 * versioned text and back. One key=value a line; unknown keys are logged and skipped, absent ones
 * have their defaults, so that an older and a newer holdfast understand one another. The objects
 * are those of run, described by snapshot_fields.c. */
#pragma once

#include "parts/survive/snapshot_fields.h"

/* Nothing in it, every default set. */
void hf_snapshot_init(HfSnapshot *snapshot);
void hf_snapshot_clear(HfSnapshot *snapshot);
#define HF_CLEANUP_SNAPSHOT __attribute__((cleanup(hf_snapshot_clear)))

/* Adds what is not NULL. Returns 0 or -ENOMEM, as it does for NULL. */
int hf_snapshot_append(HfSnapshotList *list, void *item);

/* Adds a note, copied. Returns 0 or -ENOMEM. */
int hf_snapshot_note(HfSnapshot *snapshot, const char *key, const char *text, int fd);

/* Does every index lead to something, and can each plan be used? Returns 0 or -EBADMSG. */
int hf_snapshot_check(const HfSnapshot *snapshot);

/* Appends the text, which ends with its checksum; text has failed when there was no memory. */
void hf_snapshot_write(const HfSnapshot *snapshot, HfText *text);

/* Returns 0, or -EBADMSG for text that is torn, cut or not a sound snapshot, -EPROTONOSUPPORT for
 * one of a version that cannot be read, -E2BIG beyond the bounds, -ENOMEM. */
int hf_snapshot_read(const char *text, size_t length, HfSnapshot *ret);
