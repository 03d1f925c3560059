/* SPDX-License-Identifier: MIT */
/* Named texts and descriptors: what a holdfast hands to the next one besides machine, plans and
 * generations. A zeroed list is empty. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct HfNote {
    char *key;
    char *text; /* NULL: none */
    int fd;     /* owned, CLOEXEC; -1: none */
} HfNote;

typedef struct HfNotes {
    HfNote *list;
    size_t n;
} HfNotes;

/* Copies key and text. A key may occur several times. Returns 0 or -ENOMEM. */
int hf_notes_add(HfNotes *notes, const char *key, const char *text, int fd);
/* The first text with that key, or NULL. */
const char *hf_notes_text(const HfNotes *notes, const char *key);
/* Does it have a descriptor, and is its key kind, optionally followed by a number? */
bool hf_note_is(const HfNote *note, const char *kind);
/* Removes and returns the first descriptor with that key; -1: there is none. */
int hf_notes_take(HfNotes *notes, const char *key);
/* close: also closes the descriptors that were not taken. */
void hf_notes_clear(HfNotes *notes, bool close);
