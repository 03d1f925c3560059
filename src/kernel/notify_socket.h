/* SPDX-License-Identifier: MIT */
/* The socket that services send sd_notify(3) datagrams to. unix(7) SCM_CREDENTIALS. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Binds a datagram socket at path (mode 0666, since php-fpm's workers may run as other users; their
 * credentials are checked) or, with a leading '@', at an abstract name. An old socket at the path
 * is replaced, anything else there is -ENOTSOCK. CLOEXEC, non-blocking. Returns the descriptor
 * (owned) or negative errno: -EINVAL for an empty name, -ENAMETOOLONG. */
int hf_notifysocket_open(const char *path);

/* Is a socket bound at path (or an abstract name), as far as can be determined? */
bool hf_notifysocket_stands(const char *path);

/* Receives one datagram. Returns its length (0 is possible), -EAGAIN when there is none, -EMSGSIZE
 * or -EPROTO for a datagram that was dropped (too long; without credentials, or from a process
 * without a pid here, in another pid namespace), or another negative errno. Passed descriptors are
 * closed. */
ssize_t hf_notifysocket_receive(int fd, void *buffer, size_t size, pid_t *ret_pid, uid_t *ret_uid);

/* Sends one datagram to path (or '@' and an abstract name), without ever waiting for the reader,
 * with one descriptor, as sd_pid_notify_with_fds(3) does; passed -1: none. Returns 0, -EAGAIN when
 * the queue there is full, or another negative errno. */
int hf_notifysocket_send_fd(const char *path, const char *text, int passed);
/* A descriptor (owned) that polls as writable once there is room for a datagram to path, or
 * negative errno. CLOEXEC. */
int hf_notifysocket_connect(const char *path);
