/* SPDX-License-Identifier: MIT */
/* How a generation learns of its sockets: environment entries and the placement of descriptors. A
 * new convention is one object of type HfHandoff, in a file of its own, and its line in table.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/settings.h"

#define HF_HANDOFF_FIRST_FD 3 /* SD_LISTEN_FDS_START, sd_listen_fds(3) */
#define HF_HANDOFF_KEYS_MAX 2 /* names of one socket: php-fpm looks for a port under two */

/* One socket that a plan wants. */
typedef struct HfPlanned {
    HfListenerSpec spec;
    HfAddress bound; /* where it listens, numeric, once that is known; else kind NONE */
    uint64_t pool;   /* index into the plan's pools */
    bool status;     /* it is the pool's scoreboard, and serves no requests */
    char *alias;     /* what the overlay calls it, NULL: its own address. Owned. */
} HfPlanned;

/* The address of a planned socket as far as it is known. */
const HfAddress *hf_planned_address(const HfPlanned *planned);

/* One listener as the handoff sees it. Borrowed strings. */
typedef struct HfHandoffListener {
    const char *name; /* for LISTEN_FDNAMES; NULL or "": "unknown", as sd_listen_fds(3) says */
    const char *const *keys; /* those of HfHandoff.key */
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

typedef struct HfHandoff {
    const char *name; /* of --handoff */
    size_t most;      /* listeners; 0: any number. With a bound one is needed, too */
    bool fastcgi;     /* who takes its sockets like this speaks FastCGI */
    bool on_stdin;    /* the socket is standard input, and nothing else tells of it */
    bool listen_pid;
    /* Writes name number index, from 0, of a socket to ret, of HF_ADDRESS_TEXT_MAX bytes. Returns 0
     * or -ENOENT past the last. NULL: sockets go by number only. */
    int (*key)(const HfPlanned *planned, unsigned index, char *ret);
    /* Each key after the first takes a descriptor of its own. */
    bool descriptor_each;
    /* Adds to placement->environment what the n > 0 listeners, whose names and keys have been
     * checked, are to be known by; with descriptor_each it adds to the sources, too, which have
     * room. Returns 0, -ENOMEM, -EINVAL or -E2BIG. NULL with on_stdin. */
    int (*add)(const HfHandoffListener *listeners, size_t n, HfPlacement *placement);
    const char *too_many;   /* what -E2BIG means, for people */
    const char *generation; /* variable that is to hold the generation's number, NULL: none */
    /* Beginnings of the names of its variables beside those that are everybody's, which a service
     * is not to inherit from elsewhere; NULL: none. */
    const char *const *variables;
} HfHandoff;

extern const HfHandoff hf_handoff_listen_fds; /* sd_listen_fds(3) */
extern const HfHandoff hf_handoff_php_fpm;    /* the same, and php-fpm's own FPM_SOCKETS */
extern const HfHandoff hf_handoff_stdin;
extern const HfHandoff hf_handoff_server_starter; /* Server::Starter(3pm) */

/* No listeners: nothing is placed, environment is an empty vector. Returns 0, -ENOMEM, -E2BIG for
 * more listeners than the handoff can carry, or -EINVAL: a key that is missing, empty, above 64 KiB
 * or has a comma, a semicolon, an equals sign or a control character in it, or a name with a colon
 * or a control character. */
int hf_handoff_place(const HfHandoff *handoff, const HfHandoffListener *listeners,
                     size_t n_listeners, HfPlacement *ret);
/* The same for a plan's sockets, with the error in one line. */
int hf_handoff_place_planned(const HfHandoff *handoff, const HfPlanned *wanted, size_t n,
                             HfPlacement *ret, HfText *error);
