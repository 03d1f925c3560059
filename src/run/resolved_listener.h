/* SPDX-License-Identifier: MIT */
/* A listener's settings with every name looked up: what the kernel is to be asked for. */
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include "base/text.h"
#include "config/settings.h"
#include "kernel/socket.h"

#define HF_TARGET_ADDRESSES_MAX 16

typedef struct HfAccounts {
    uid_t *users;
    size_t n_users;
    gid_t *groups;
    size_t n_groups;
} HfAccounts;

typedef struct HfResolvedListener {
    char label[HF_ADDRESS_TEXT_MAX]; /* the address, for people */
    HfSocketRequest request;
    HfAccounts accounts;
    struct sockaddr_storage addresses[HF_TARGET_ADDRESSES_MAX]; /* to be tried in turn */
    unsigned lengths[HF_TARGET_ADDRESSES_MAX];
    int n;
} HfResolvedListener;

/* By spec->names; without them the name services are asked, which may take a while. Fills a zeroed
 * target, which is to be cleared also on failure, aimed at its first address. Returns 0, or
 * negative errno with one line in error. */
int hf_resolved_listener_find(const HfListenerSpec *spec, HfResolvedListener *target,
                              HfText *error);
/* The request is for address i. */
void hf_resolved_listener_aim(HfResolvedListener *target, int i);

/* What the kernel would make of two of them, by their first addresses. */
typedef enum HfPlaces {
    HF_PLACES_APART,
    HF_PLACES_SAME,    /* two names for one */
    HF_PLACES_OVERLAP, /* a wildcard takes what the other is */
} HfPlaces;
HfPlaces hf_resolved_listener_compare(const HfResolvedListener *a, const HfResolvedListener *b);

/* Why the address that the target is aimed at cannot be bound, in one line: r at stage. */
void hf_resolved_listener_explain(const HfResolvedListener *target, const HfListenerSpec *spec,
                                  int r, HfSocketStage stage, HfText *error);

void hf_resolved_listener_clear(HfResolvedListener *target);
#define HF_CLEANUP_TARGET __attribute__((cleanup(hf_resolved_listener_clear)))
