/* SPDX-License-Identifier: MIT */
/* File descriptors with one owner each. */
#pragma once

#include <stdbool.h>

/* Closes fd unless it is negative (it must be open then), keeps errno. Returns -1, so that `fd =
 * hf_fd_close(fd)` empties it. */
int hf_fd_close(int fd);

/* For HF_CLEANUP_FD. */
void hf_fd_closep(int *fd);
#define HF_CLEANUP_FD __attribute__((cleanup(hf_fd_closep)))

/* Hands ownership on: returns the descriptor and leaves -1 behind. */
static inline int hf_fd_steal(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Does this negative errno only mean that we ran short of descriptors or memory? Then it says
 * nothing about the object that was looked at. */
bool hf_is_shortage(int error);

/* Opens /dev/null in place of each of 0, 1 and 2 that is closed: otherwise the next file opened
 * would get that number, and whatever is written to stderr. Returns 0 or negative errno. */
int hf_fd_fill_standard(void);

/* Sets or clears FD_CLOEXEC. Returns 0 or negative errno. */
int hf_fd_set_cloexec(int fd, bool on);

/* Moves fd to a number >= minimum with CLOEXEC set, and closes the old number. A descriptor that is
 * high enough already stays where it is. Consumes fd on failure as well. Returns the descriptor or
 * negative errno (fcntl(2) F_DUPFD_CLOEXEC: -EINVAL, or -EMFILE when no such number is free). */
int hf_fd_raise(int fd, int minimum);
