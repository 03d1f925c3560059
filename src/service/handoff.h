/* How a generation learns of its sockets: environment entries and the placement of descriptors. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "config/settings.h"

#define HF_HANDOFF_FIRST_FD 3 /* SD_LISTEN_FDS_START, sd_listen_fds(3) */

/* One listener as the handoff sees it. Borrowed strings. */
typedef struct HfHandoffListener {
    const char *name; /* for LISTEN_FDNAMES; NULL or "": "unknown", as sd_listen_fds(3) says */
    const char *const *keys; /* of FPM_SOCKETS, each beyond the first takes its own descriptor; of
                                SERVER_STARTER_PORT exactly one */
    size_t n_keys;
} HfHandoffListener;

/* The child's layout: the listeners in order from HF_HANDOFF_FIRST_FD, as LISTEN_FDS counts them,
 * and behind them the further descriptors of those with several keys. */
typedef struct HfPlacement {
    char **environment; /* owned, NULL-terminated: "LISTEN_FDS=2", ...; without LISTEN_PID */
    bool listen_pid;    /* LISTEN_PID=<pid of the service> is to be set as well (by the spawner) */
    size_t *sources;    /* owned: HF_HANDOFF_FIRST_FD + i is a copy of listener sources[i] */
    size_t n_sources;
    bool on_stdin; /* descriptor 0 is listener 0; n_sources is 0 then */
} HfPlacement;

/* Frees what it owns, takes a zeroed one too; zeroed then. */
void hf_placement_clear(HfPlacement *placement);
#define HF_CLEANUP_PLACEMENT __attribute__((cleanup(hf_placement_clear)))

/* kind is resolved (not AUTO). No listeners: nothing is placed, environment is an empty vector.
 * FPM_SOCKETS is split into FPM_SOCKETS, FPM_SOCKETS_1, ... of at most 128 entries and 128 KiB
 * each, as php-fpm's fpm_sockets.c reads them; LISTEN_FDNAMES is left out when it would be longer
 * than execve(2) takes; SERVER_STARTER_PORT is Server::Starter's. Returns 0, -ENOMEM, -E2BIG for
 * stdin with more than one listener or a SERVER_STARTER_PORT that execve(2) would not take, or
 * -EINVAL: a key that is missing, empty, above 64 KiB or has a comma, a semicolon, an equals sign
 * or a control character in it, or a name with a colon or a control character. */
int hf_handoff_place(HfHandoff kind, const HfHandoffListener *listeners, size_t n_listeners,
                     HfPlacement *ret);

/* Is this environment entry ("NAME=value") of any handoff or of sd_notify(3), to be scrubbed before
 * a service is started: LISTEN_FD*, LISTEN_PID*, FPM_SOCKETS*, NOTIFY_SOCKET, WATCHDOG_PID,
 * WATCHDOG_USEC, MAINPID, FDSTORE, SERVER_STARTER_*, HOLDFAST_*? Other names stay, such as a user's
 * own LISTEN_ADDRESS. (The spawner adds NOTIFY_SOCKET of its own.) */
bool hf_handoff_is_foreign(const char *entry);
