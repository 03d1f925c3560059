/* How a generation learns of its sockets: environment entries and the placement of descriptors. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/settings.h"

#define HF_HANDOFF_FIRST_FD 3 /* SD_LISTEN_FDS_START, sd_listen_fds(3) */

/* One listener as the handoff sees it. Borrowed strings. */
typedef struct HfHandoffListener {
    const char *name; /* for LISTEN_FDNAMES */
    const char *const *keys; /* FPM_SOCKETS keys, n_keys of them; each beyond the first takes a descriptor of its own */
    size_t n_keys;
} HfHandoffListener;

/* The child's layout. */
typedef struct HfPlacement {
    char **environment; /* owned, NULL-terminated: "LISTEN_FDS=2", ...; without LISTEN_PID */
    bool listen_pid;    /* LISTEN_PID=<pid of the service> is to be set as well (by the spawner) */
    size_t *sources;    /* owned: descriptor HF_HANDOFF_FIRST_FD + i is a copy of listener sources[i] */
    size_t n_sources;
    bool on_stdin;      /* descriptor 0 is listener 0; n_sources is 0 then */
} HfPlacement;

void hf_placement_clear(HfPlacement *placement);
#define HF_CLEANUP_PLACEMENT __attribute__((cleanup(hf_placement_clear)))

/* kind is resolved (not AUTO). No listeners: an empty placement. Returns 0, -ENOMEM, -EINVAL for a key with
 * ',' '=' or a control character or a name with ':' , -E2BIG for stdin with other than one listener. FPM_SOCKETS
 * is split into FPM_SOCKETS, FPM_SOCKETS_1, ... of at most 128 entries, as php-fpm's fpm_sockets.c does. */
int hf_handoff_place(HfHandoff kind, const HfHandoffListener *listeners, size_t n_listeners,
                     HfPlacement *ret);

/* Is this environment entry ("NAME=value") of any handoff or of sd_notify(3), to be scrubbed before a service
 * is started: LISTEN_*, FPM_SOCKETS*, NOTIFY_SOCKET, WATCHDOG_*, MAINPID, FDSTORE, SERVER_STARTER_*,
 * HOLDFAST_*? (The spawner adds NOTIFY_SOCKET of its own.) */
bool hf_handoff_is_foreign(const char *entry);
