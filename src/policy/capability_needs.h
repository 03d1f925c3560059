/* SPDX-License-Identifier: MIT */
/* Which of root's privileges holdfast goes on needing once its sockets are bound, and for what. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is known of a plan. */
typedef struct HfCapabilityNeedFacts {
    bool service;           /* there is one: always */
    bool low_port;          /* a listener's port is not everybody's */
    bool path_rights;       /* a unix path is given an owner, a group or an access control list */
    bool foreign_directory; /* a unix path or pid file lies where root as such may not write */
    bool private_files;     /* program, configuration or directory are closed to root as such */
    bool user;              /* the service runs as another user or group */
    bool scoreboards;       /* php-fpm binds sockets that probes connect to */
    bool foreign_pid_file;  /* php-fpm as another user is given a pid file */
    bool narrowed;          /* the service's capabilities are */
} HfCapabilityNeedFacts;

typedef struct HfCapabilityNeed {
    unsigned capability; /* its number, linux/capability.h */
    size_t fact;         /* offset in HfCapabilityNeedFacts of what makes it needed */
    const char *why;     /* "to signal ..." */
} HfCapabilityNeed;

extern const HfCapabilityNeed hf_purposes[];
extern const size_t hf_capability_need_count;

bool hf_capability_need_applies(const HfCapabilityNeed *purpose,
                                const HfCapabilityNeedFacts *facts);
/* 1 << number of each that is needed. */
uint64_t hf_purposes_needed(const HfCapabilityNeedFacts *facts);
/* The first purpose that applies among those of these capabilities, or NULL. */
const HfCapabilityNeed *hf_capability_need_find(const HfCapabilityNeedFacts *facts,
                                                uint64_t capabilities);
