/* SPDX-License-Identifier: MIT */
/* What we are started with: notes of an earlier holdfast, and sockets passed by systemd
 * (LISTEN_FDS, sd_listen_fds(3)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/notes.h"
#include "base/text.h"
#include "run/listener.h"
#include "run/plan.h"

/* ---- notes ---- */

/* Notes with a descriptor have its name in systemd's fd store as key; all other names in
 * LISTEN_FDNAMES belong to a .socket unit. */
#define HF_NOTES_FD       "hf-"
#define HF_NOTES_LOCK     "hf-k"
#define HF_NOTES_CONTROL  "hf-c"
#define HF_NOTES_NOTIFY   "hf-n"
#define HF_NOTES_MASK     "signal-mask" /* a text, for upgrades */
#define HF_NOTES_LISTENER "hf-l"        /* -INODE */
#define HF_NOTES_PROCESS  "hf-p"        /* -GENERATION: a pidfd */
#define HF_NOTES_SNAPSHOT "hf-s"        /* -0 and -1 */

/* ---- sockets ---- */

/* Were they passed to another process? If so adds one line about it. */
bool hf_activated_is_anothers(HfText *text);

/* Takes all passed sockets and removes the variables from the environment; those of the fd store
 * become notes. There may be none. Returns 0, or negative errno with one line in error. */
int hf_activated_take(HfListener ***ret, size_t *ret_n, HfNotes *notes, HfText *error);

/* A service that does not name its listeners gets every socket that was passed. Returns 0, -E2BIG
 * or -ENOMEM, or -EDESTADDRREQ with one line in error: nothing was passed or named. */
int hf_activated_want(HfListener *const *activated, size_t n, const HfSettings *settings,
                      HfPlan *plan, HfText *error);

/* Checks that plan uses every activated listener. Returns 0, or -EADDRNOTAVAIL with one line in
 * error that names the first unused one. */
int hf_activated_check(HfListener *const *activated, size_t n, const HfPlan *plan, HfText *error);
