/* Listening sockets copied out of a process that runs. pidfd_getfd(2), proc(5). */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "kernel/process.h"

/* Copies the socket by which holder listens at an address into this process: the same socket,
 * CLOEXEC, owned by the caller. Nothing changes for holder. Returns 0, or -ENOENT (nobody listens
 * there in this network namespace), -ENOTCONN (somebody does, but not holder), -EACCES (its
 * descriptors may not be looked at), -EPERM (they may not be copied: ptrace(2), "Ptrace access mode
 * checking", or a seccomp filter), -ESRCH (it has gone), -ENOSYS (before Linux 5.6). */
int hf_takeover_copy(const HfProcess *holder, const struct sockaddr_storage *address,
                     unsigned length, int *ret_fd);

/* Is pid in this process's network namespace? 1 or 0, or negative errno. */
int hf_takeover_same_network(pid_t pid);
