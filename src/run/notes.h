/* What a holdfast hands to the next one beside its machine, plans and generations: texts and
 * descriptors under names. A zeroed one is empty. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct HfNote {
    char *key;
    char *text; /* NULL: none */
    int fd;     /* -1: none */
} HfNote;

typedef struct HfNotes {
    HfNote *list;
    size_t n;
} HfNotes;

/* Copies key and text. A key may come several times. Returns 0 or -ENOMEM. */
int hf_notes_add(HfNotes *notes, const char *key, const char *text, int fd);
/* The first of that key, or NULL. */
const char *hf_notes_text(const HfNotes *notes, const char *key);
/* Takes the first descriptor of that key out; -1: there is none. */
int hf_notes_take(HfNotes *notes, const char *key);
/* With the descriptors that nobody has taken, where close says so. */
void hf_notes_clear(HfNotes *notes, bool close);
