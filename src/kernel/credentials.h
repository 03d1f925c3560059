/* SPDX-License-Identifier: MIT */
/* The user, group and capabilities of a service: looked up before fork, applied between fork and
 * exec. credentials(7), capabilities(7). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct HfCredentials {
    bool has_user;  /* switch to uid */
    bool has_group; /* switch to gid */
    uid_t uid;
    gid_t gid;
    gid_t *groups; /* supplementary groups, owned; only with has_user */
    size_t n_groups;
    char **environment; /* USER, LOGNAME and HOME of the user, owned; NULL: none */
    bool no_new_privileges;
    uint64_t capabilities; /* 1 << number: the most it can ever have; UINT64_MAX: as they are */
} HfCredentials;

#define HF_CREDENTIALS_NONE ((HfCredentials){.capabilities = UINT64_MAX})

void hf_credentials_clear(HfCredentials *credentials);

/* Sets user (name or number), its own group and its supplementary groups; a number without an entry
 * has none. Returns 0, -ENOENT, or negative errno with credentials unchanged. */
int hf_credentials_set_user(HfCredentials *credentials, const char *user);

/* Are the calling process's real, effective and saved ids all this user and group? */
bool hf_credentials_are_own(const HfCredentials *credentials);

/* Async-signal-safe, for a process with one thread. Narrow: bounding, inheritable and ambient set
 * (-EPERM without CAP_SETPCAP). Enter: user, group, no_new_privs. Return 0 or negative errno. */
int hf_credentials_narrow(const HfCredentials *credentials);
int hf_credentials_enter(const HfCredentials *credentials);
