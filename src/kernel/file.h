/* SPDX-License-Identifier: MIT */
/* Small files: written whole or not at all, read bounded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes path by way of a temporary file beside it and rename(2): whoever opens path sees all or
 * nothing, and a link at path is replaced, not followed. mode is exact, whatever the umask. Not
 * synced to disk: what is written this way lives in /run and is made anew after a power cut. */
int hf_file_write(const char *path, const char *data, size_t length, mode_t mode);

/* Reads a regular file of at most maximum bytes. Owned, NUL-terminated; ret_length may be NULL.
 * -EFBIG when there is more, -EISDIR, -EINVAL for anything else that is not a regular file (a FIFO
 * could block for ever), -ENOENT... */
int hf_file_read(const char *path, size_t maximum, char **ret, size_t *ret_length);

/* mkdir -p of path with mode (exact, whatever the umask) for what is made; 0 when it stands already
 * as a directory. A directory at path that is neither ours nor root's, or writable by others
 * without being sticky, is refused with -EPERM, a link or anything else there with -ENOTDIR. */
int hf_file_make_directory(const char *path, mode_t mode);

/* Is the file of that name, in the directory at path, for somebody else to remove? */
typedef bool (*HfFileStays)(const char *path, const char *name, const void *userdata);

/* Removes the files of a directory (no recursion). 0 when there is none. -EISDIR when it holds a
 * directory: that one stays. What stays (NULL: nothing) is for its owner to remove. */
int hf_file_remove_entries(const char *path, HfFileStays stays, const void *userdata);
/* The same and then the directory, unless something stays in it. */
int hf_file_remove_directory(const char *path, HfFileStays stays, const void *userdata);

/* ---- files in memory that a child inherits, where nothing is writable: memfd_create(2) ---- */

/* Read-only for everybody once made (mode 0444, F_SEAL_WRITE and the like), at its beginning,
 * CLOEXEC. Returns the descriptor (owned) or negative errno. */
int hf_memfile_make(const char *name, const char *data, size_t length);

/* An empty one that can be written again and again. CLOEXEC. Returns the descriptor (owned) or
 * negative errno. */
int hf_memfile_open(const char *name);
/* data in place of what is in it; who dies meanwhile leaves it torn. Returns 0 or negative errno.
 */
int hf_memfile_replace(int fd, const char *data, size_t length);
/* All of a file of at most maximum bytes, wherever its position is. Owned, NUL-terminated. Returns
 * 0, -EFBIG, -EINVAL for what is not a regular file, or another negative errno. */
int hf_memfile_read(int fd, size_t maximum, char **ret, size_t *ret_length);
