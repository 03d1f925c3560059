/* SPDX-License-Identifier: MIT */
/* How a generation learns of its sockets: environment entries and the placement of descriptors. A
 * new convention is one object of type HfHandoff in a file of its own, plus its line in table.c. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "config/settings.h"

#define HF_HANDOFF_FIRST_FD 3 /* SD_LISTEN_FDS_START, sd_listen_fds(3) */
#define HF_HANDOFF_KEYS_MAX 2 /* names per socket: php-fpm looks for a port under two */

/* A socket that a plan wants. */
typedef struct HfPlanned {
    HfListenerSpec spec;
    HfAddress bound; /* its numeric address once known; kind NONE before */
    uint64_t pool;   /* index into the plan's pools */
    bool status;     /* serves the pool's status page, not requests */
    char *alias;     /* its name in the overlay, NULL: the address itself. Owned. */
} HfPlanned;

/* The most precise address known of a planned socket. */
const HfAddress *hf_planned_address(const HfPlanned *planned);

/* One listener as the handoff sees it. Borrowed strings. */
typedef struct HfHandoffListener {
    const char *name; /* for LISTEN_FDNAMES; NULL or "": "unknown", as sd_listen_fds(3) says */
    const char *const *keys; /* those of HfHandoff.key */
    size_t n_keys;
} HfHandoffListener;

/* The child's descriptors: the listeners in order from HF_HANDOFF_FIRST_FD, as LISTEN_FDS counts
 * them, then the additional descriptors of those with several keys. */
typedef struct HfPlacement {
    char **environment; /* owned, NULL-terminated: "LISTEN_FDS=2", ...; without LISTEN_PID */
    bool listen_pid;    /* the spawner must add LISTEN_PID=<pid of the service> */
    size_t *sources;    /* owned: HF_HANDOFF_FIRST_FD + i is a copy of listener sources[i] */
    size_t n_sources;
    bool on_stdin; /* descriptor 0 is listener 0; n_sources is 0 then */
} HfPlacement;

/* Frees what it owns and zeroes it; accepts a zeroed one. */
void hf_placement_clear(HfPlacement *placement);
#define HF_CLEANUP_PLACEMENT __attribute__((cleanup(hf_placement_clear)))

typedef struct HfHandoff {
    const char *name; /* of --handoff */
    size_t most;      /* maximum of listeners; 0: any number. A bounded one needs at least one */
    bool fastcgi;     /* services with this handoff speak FastCGI */
    bool on_stdin;    /* the socket is standard input, and no variable mentions it */
    bool listen_pid;
    /* Writes name number index, counted from 0, of a socket to ret, which holds HF_ADDRESS_TEXT_MAX
     * bytes. Returns 0 or -ENOENT past the last. NULL: sockets have no names. */
    int (*key)(const HfPlanned *planned, unsigned index, char *ret);
    /* Each key after the first needs a descriptor of its own. */
    bool descriptor_each;
    /* Adds the variables for the n > 0 listeners, whose names and keys have been checked, to
     * placement->environment; with descriptor_each it also appends to the sources, which have room.
     * Returns 0, -ENOMEM, -EINVAL or -E2BIG. NULL with on_stdin. */
    int (*add)(const HfHandoffListener *listeners, size_t n, HfPlacement *placement);
    const char *too_many;   /* the meaning of -E2BIG, for people */
    const char *generation; /* variable for the generation's number, NULL: none */
    /* Prefixes of its variables, besides the common ones, that a service must not inherit from
     * elsewhere; NULL: none. */
    const char *const *variables;
} HfHandoff;

extern const HfHandoff hf_handoff_listen_fds; /* sd_listen_fds(3) */
extern const HfHandoff hf_handoff_php_fpm;    /* the same, and php-fpm's own FPM_SOCKETS */
extern const HfHandoff hf_handoff_stdin;
extern const HfHandoff hf_handoff_server_starter; /* Server::Starter(3pm) */

/* Lays out the listeners. Without any, nothing is placed and environment is an empty vector.
 * Returns 0, -ENOMEM, -E2BIG for more listeners than the handoff can carry, or -EINVAL: a key is
 * missing, empty, longer than 64 KiB or contains a comma, a semicolon, an equals sign or a control
 * character, or a name contains a colon or a control character. */
int hf_handoff_place(const HfHandoff *handoff, const HfHandoffListener *listeners,
                     size_t n_listeners, HfPlacement *ret);
/* The same for a plan's sockets, with the error as one line. */
int hf_handoff_place_planned(const HfHandoff *handoff, const HfPlanned *wanted, size_t n,
                             HfPlacement *ret, HfText *error);

/* Does this environment entry ("NAME=value") belong to any handoff or to sd_notify(3), so that
 * services must not inherit it? */
bool hf_handoff_is_foreign(const char *entry);
/* The environment of a child: a copy of holdfast's own without what is foreign, then the entries of
 * each vector (NULL: none). Owned. Returns 0 or -ENOMEM. */
int hf_environment_make(char *const *first, const char *const *second, char ***ret);
