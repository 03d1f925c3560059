/* SPDX-License-Identifier: MIT */
/* What we are started with: notes of the holdfast before, and sockets that systemd passed
 * (LISTEN_FDS, sd_listen_fds(3)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "run/listener.h"
#include "run/plan.h"

/* ---- notes ---- */

/* What a holdfast hands to the next one beside its machine, plans and generations: texts and
 * descriptors under names. A zeroed one is empty. */
typedef struct HfNote {
    char *key;
    char *text; /* NULL: none */
    int fd;     /* owned, CLOEXEC; -1: none */
} HfNote;

/* The descriptors' keys are the names in systemd's fd store; all others in LISTEN_FDNAMES are a
 * .socket unit's. */
#define HF_NOTES_FD       "hf-"
#define HF_NOTES_LOCK     "hf-k"
#define HF_NOTES_CONTROL  "hf-c"
#define HF_NOTES_NOTIFY   "hf-n"
#define HF_NOTES_MASK     "signal-mask" /* a text, of an upgrade */
#define HF_NOTES_LISTENER "hf-l"        /* -INODE */
#define HF_NOTES_PROCESS  "hf-p"        /* -GENERATION: a pidfd */
#define HF_NOTES_SNAPSHOT "hf-s"        /* -0 and -1 */

typedef struct HfNotes {
    HfNote *list;
    size_t n;
} HfNotes;

/* Copies key and text. A key may come several times. Returns 0 or -ENOMEM. */
int hf_notes_add(HfNotes *notes, const char *key, const char *text, int fd);
/* The first of that key, or NULL. */
const char *hf_notes_text(const HfNotes *notes, const char *key);
/* Has it a descriptor, and is its key of that kind, without or with a number behind it? */
bool hf_note_is(const HfNote *note, const char *kind);
/* Takes the first descriptor of that key out; -1: there is none. */
int hf_notes_take(HfNotes *notes, const char *key);
/* With the descriptors that nobody has taken, where close says so. */
void hf_notes_clear(HfNotes *notes, bool close);

/* ---- sockets ---- */

/* Were they passed to another process? Then with one line on it. */
bool hf_activated_is_anothers(HfText *text);

/* Takes them all, and the variables out of the environment; those of the fd store become notes.
 * None is fine. Returns 0, or negative errno with one line in error. */
int hf_activated_take(HfListener ***ret, size_t *ret_n, HfNotes *notes, HfText *error);

/* A service that says nowhere itself where it listens listens at all that was passed. Returns 0,
 * -E2BIG or -ENOMEM, or -EDESTADDRREQ with one line in error: there is nothing to hold for it, and
 * nobody said so. */
int hf_activated_want(HfListener *const *received, size_t n, const HfSettings *settings,
                      HfPlan *plan, HfText *error);

/* Every received one must be used by plan. Returns 0, or -EADDRNOTAVAIL with one line in error that
 * names the first that is not. */
int hf_activated_check(HfListener *const *received, size_t n, const HfPlan *plan, HfText *error);
