/* SPDX-License-Identifier: MIT */
/* File descriptors with one owner each. */
#pragma once

#include <stdbool.h>

/* Closes fd when it is >= 0 (it must be open then), keeps errno. Returns -1, so that `fd =
 * hf_fd_close(fd)` empties it. */
int hf_fd_close(int fd);

/* For HF_CLEANUP_FD. */
void hf_fd_closep(int *fd);
#define HF_CLEANUP_FD __attribute__((cleanup(hf_fd_closep)))

/* Hands the descriptor on: returns it and leaves -1 behind. */
static inline int hf_fd_steal(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Is it negative errno of a shortage of descriptors or memory, which says nothing about what was
 * looked at? */
bool hf_is_shortage(int error);

/* Opens /dev/null in place of each of 0, 1 and 2 that is closed: another file would get its number,
 * and with it what is written to stderr. Returns 0 or negative errno. */
int hf_fd_fill_standard(void);

/* Sets or clears FD_CLOEXEC. Returns 0 or negative errno. */
int hf_fd_set_cloexec(int fd, bool on);

/* Moves fd to a number >= minimum, CLOEXEC set; the old number is closed. One that is there already
 * stays. Consumes fd also on failure. Returns the descriptor or negative errno (fcntl(2)
 * F_DUPFD_CLOEXEC: -EINVAL, -EMFILE when no such number is free). */
int hf_fd_raise(int fd, int minimum);
