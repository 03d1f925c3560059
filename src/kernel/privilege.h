/* SPDX-License-Identifier: MIT */
/* What the calling process itself may do. capabilities(7), libcap(3). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Is that capability (its number) effective? */
bool hf_privilege_has(int capability);

/* 1 << number of each permitted one. Returns 0 or negative errno. */
int hf_privilege_permitted(uint64_t *ret);

/* Gives up every other capability for good, effective and permitted, and looks whether they are
 * gone: -EPERM when not. The bounding and inheritable sets stay, so that what is executed as root
 * has them all again. Returns 0 or negative errno. */
int hf_privilege_keep(uint64_t capabilities);

/* Does execve(2) give root all capabilities again? Not with no_new_privs or the securebit noroot.
 */
bool hf_privilege_returns(void);

/* May this process use path as access(2) says (R_OK, W_OK, X_OK) without the capabilities that
 * override file permissions? Also true when path does not exist. */
bool hf_privilege_is_open(const char *path, int mode);

/* net.ipv4.ip_unprivileged_port_start, 1024 when it cannot be read. ip(7). */
unsigned hf_privilege_first_port(void);

/* For a helper that reads what strangers send: from root to nobody, no supplementary groups, no
 * bounding set, no_new_privs, of the capabilities those (1 << number). Where there may be no other
 * user it stays the same one. Returns 0 or negative errno. */
int hf_privilege_leave(uint64_t capabilities);

/* From now on only what a helper needs that has all its descriptors: every other system call fails
 * with EPERM, seccomp(2); it has to end by _exit(2). connects: it makes sockets of its own.
 * Nothing happens where the kernel or the architecture does not offer it. After
 * hf_privilege_leave. */
void hf_privilege_confine(bool connects);
