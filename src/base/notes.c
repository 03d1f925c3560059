/* SPDX-License-Identifier: MIT */
#include "base/notes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/memory.h"

int hf_notes_add(HfNotes *notes, const char *key, const char *text, int fd)
{
    HfNote *grown = reallocarray(notes->list, notes->n + 1, sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    notes->list = grown;
    HfNote *note = &grown[notes->n];
    *note = (HfNote){.fd = fd};
    int r = hf_string_set(&note->key, key);
    if (r >= 0)
        r = hf_string_set(&note->text, text);
    if (r < 0)
        free(note->key);
    else
        notes->n++;
    return r;
}

const char *hf_notes_text(const HfNotes *notes, const char *key)
{
    for (size_t i = 0; i < notes->n; i++)
        if (strcmp(notes->list[i].key, key) == 0)
            return notes->list[i].text;
    return NULL;
}

bool hf_note_is(const HfNote *note, const char *kind)
{
    size_t length = strlen(kind);

    return note->fd >= 0 && strncmp(note->key, kind, length) == 0 &&
           (note->key[length] == '\0' || note->key[length] == '-');
}

int hf_notes_take(HfNotes *notes, const char *key)
{
    for (size_t i = 0; i < notes->n; i++)
        if (notes->list[i].fd >= 0 && strcmp(notes->list[i].key, key) == 0)
            return hf_fd_steal(&notes->list[i].fd);
    return -1;
}

void hf_notes_clear(HfNotes *notes, bool close)
{
    for (size_t i = 0; i < notes->n; i++) {
        free(notes->list[i].key);
        free(notes->list[i].text);
        if (close)
            hf_fd_close(notes->list[i].fd);
    }
    free(notes->list);
    *notes = (HfNotes){0};
}
