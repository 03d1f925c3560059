/* SPDX-License-Identifier: MIT */
/* What the calling process itself may do. capabilities(7), libcap(3). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Is that capability (its number) effective? */
bool hf_privilege_has(int capability);

/* The permitted ones, 1 << number each. Returns 0 or negative errno. */
int hf_privilege_permitted(uint64_t *ret);

/* Gives up every other capability for good, effective and permitted, and checks that they are gone
 * (else -EPERM). The bounding and inheritable sets stay, so that a program executed as root gets
 * them all back. Returns 0 or negative errno. */
int hf_privilege_keep(uint64_t capabilities);

/* Does execve(2) give all capabilities back to root? Not with no_new_privs or the securebit noroot.
 */
bool hf_privilege_returns(void);

/* Does access(2) (R_OK, W_OK, X_OK) allow this process to use path without the capabilities that
 * override file permissions? Also true when path does not exist. */
bool hf_privilege_is_open(const char *path, int mode);

/* net.ipv4.ip_unprivileged_port_start, 1024 when it cannot be read. ip(7). */
unsigned hf_privilege_first_port(void);

/* For a helper that reads hostile input: switches from root to nobody, without supplementary groups
 * and bounding set, sets no_new_privs, and keeps only these capabilities (1 << number). Where no
 * other user is available it stays root. Returns 0 or negative errno. */
int hf_privilege_leave(uint64_t capabilities);

/* Restricts a helper that has all its descriptors by seccomp(2), after hf_privilege_leave: any
 * system call that it does not need fails with EPERM, and it must end with _exit(2). connects: it
 * creates sockets of its own. Does nothing where the kernel or architecture lacks this. */
void hf_privilege_confine(bool connects);
