/* SPDX-License-Identifier: MIT */
/* Which of root's capabilities holdfast still needs once its sockets are bound, and for what. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Facts about a plan that create a need. */
typedef struct HfCapabilityNeedFacts {
    bool service;           /* there is a service: always true */
    bool low_port;          /* a listener has a privileged port */
    bool path_rights;       /* a unix path is given an owner, a group or an access control list */
    bool foreign_directory; /* a unix path or pid file is where bare root may not write */
    bool private_files;     /* bare root cannot read program, configuration or directory */
    bool user;              /* the service runs as another user or group */
    bool scoreboards;       /* probes connect to sockets that php-fpm binds */
    bool foreign_pid_file;  /* php-fpm is given a pid file as another user */
    bool narrowed;          /* the service's capabilities are limited */
} HfCapabilityNeedFacts;

typedef struct HfCapabilityNeed {
    unsigned capability; /* its number, linux/capability.h */
    size_t fact;         /* offset of the fact in HfCapabilityNeedFacts */
    const char *why;     /* "to signal ..." */
} HfCapabilityNeed;

extern const HfCapabilityNeed hf_capability_needs[];
extern const size_t hf_capability_need_count;

bool hf_capability_need_applies(const HfCapabilityNeed *need, const HfCapabilityNeedFacts *facts);
/* The capabilities that are needed, 1 << number each. */
uint64_t hf_capability_needs_of(const HfCapabilityNeedFacts *facts);
/* The first need that applies and concerns one of these capabilities, or NULL. */
const HfCapabilityNeed *hf_capability_need_find(const HfCapabilityNeedFacts *facts,
                                                uint64_t capabilities);
