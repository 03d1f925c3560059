/* SPDX-License-Identifier: MIT */
/* A listener's settings with all names looked up, ready for the kernel. */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "base/text.h"
#include "config/settings.h"
#include "kernel/socket.h"

#define HF_RESOLVED_ADDRESSES_MAX 16

typedef struct HfAccounts {
    uid_t *users;
    size_t n_users;
    gid_t *groups;
    size_t n_groups;
} HfAccounts;

typedef struct HfResolvedListener {
    char label[HF_ADDRESS_TEXT_MAX]; /* its address, for people */
    HfSocketRequest request;
    HfAccounts accounts;
    struct sockaddr_storage addresses[HF_RESOLVED_ADDRESSES_MAX]; /* to be tried in turn */
    unsigned lengths[HF_RESOLVED_ADDRESSES_MAX];
    int n;
} HfResolvedListener;

/* Resolves spec with spec->names; without those it asks the name services, and may block. resolved
 * must be zeroed, and cleared on failure as well; it is aimed at its first address. Returns 0, or
 * negative errno with one line in error. */
int hf_resolved_listener_find(const HfListenerSpec *spec, HfResolvedListener *resolved,
                              HfText *error);
/* Makes the request one for address i. */
void hf_resolved_listener_aim(HfResolvedListener *resolved, int i);

/* How two listeners relate, by their first addresses. */
typedef enum HfPlaces {
    HF_PLACES_APART,
    HF_PLACES_SAME,    /* two names for one place */
    HF_PLACES_OVERLAP, /* one is a wildcard that includes the other */
} HfPlaces;
HfPlaces hf_resolved_listener_compare(const HfResolvedListener *a, const HfResolvedListener *b);

/* Explains in one line why the current address cannot be bound: r at stage. */
void hf_resolved_listener_explain(const HfResolvedListener *resolved, const HfListenerSpec *spec,
                                  int r, HfSocketStage stage, HfText *error);

/* The address is looked up or stands for several, and r, of one, does not rule out the next. */
bool hf_resolved_listener_try_next(const HfAddress *address, int r);
/* Checks whether spec could be bound, as far as possible without binding. Returns 0, or negative
 * errno with one line in error. */
int hf_resolved_listener_probe(const HfListenerSpec *spec, HfText *error);

void hf_resolved_listener_clear(HfResolvedListener *resolved);
#define HF_CLEANUP_RESOLVED __attribute__((cleanup(hf_resolved_listener_clear)))
