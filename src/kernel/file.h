/* SPDX-License-Identifier: MIT */
/* Small files: written all or nothing, read up to a limit. */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes path by rename(2) of a temporary file beside it: readers see all of data or nothing, and a
 * link at path is replaced, not followed. mode is exact, whatever the umask. Not synced to disk:
 * such files live in /run and are made anew after a power cut. */
int hf_file_write(const char *path, const char *data, size_t length, mode_t mode);

/* Reads a regular file of at most maximum bytes. Owned, NUL-terminated; ret_length may be NULL.
 * Returns 0, -EFBIG when it is larger, -EISDIR, -EINVAL for anything else that is not a regular
 * file (a FIFO could block for ever), or another negative errno such as -ENOENT. */
int hf_file_read(const char *path, size_t maximum, char **ret, size_t *ret_length);

/* Can path be looked up without waiting for anybody: is all of it in the kernel's cache,
 * and what it names on a block device? False where the kernel does not tell. */
bool hf_file_is_near(const char *path);

/* mkdir -p of path; mode, whatever the umask, applies to the directories it creates. Returns 0,
 * also if path is a directory already; -EPERM if that is owned by neither us nor root, or is
 * writable by others and not sticky; -ENOTDIR if a link or anything else is there. */
int hf_file_make_directory(const char *path, mode_t mode);

/* For HF_CLEANUP_DIRECTORY; accepts NULL. */
void hf_file_close_directory(DIR **directory);
#define HF_CLEANUP_DIRECTORY __attribute__((cleanup(hf_file_close_directory)))

/* Must this file, in the directory at path, be left for its owner to remove? */
typedef bool (*HfFileStays)(const char *path, const char *name, const void *userdata);

/* Removes the files of a directory (not recursively), except those for which stays (NULL: none)
 * returns true. Returns 0, also when there is no directory, or -EISDIR when it contains a
 * directory, which stays. */
int hf_file_remove_entries(const char *path, HfFileStays stays, const void *userdata);
/* The same, and then removes the directory unless something stays in it. */
int hf_file_remove_directory(const char *path, HfFileStays stays, const void *userdata);

/* ---- memory files for children to inherit, for when no directory is writable: memfd_create(2)
 * ---- */

/* Makes a file with data that nobody can write any more (mode 0444, F_SEAL_WRITE and the like),
 * positioned at its beginning, CLOEXEC. Returns the descriptor (owned) or negative errno. */
int hf_memfile_make(const char *name, const char *data, size_t length);

/* Makes an empty file that can be rewritten again and again. CLOEXEC. Returns the descriptor
 * (owned) or negative errno. */
int hf_memfile_open(const char *name);
/* Replaces its contents with data; a writer that dies half way leaves it torn. Returns 0 or
 * negative errno. */
int hf_memfile_replace(int fd, const char *data, size_t length);
/* Reads a file of at most maximum bytes from its start, whatever its position. Owned,
 * NUL-terminated. Returns 0, -EFBIG, -EINVAL unless it is a regular file, or another negative
 * errno. */
int hf_memfile_read(int fd, size_t maximum, char **ret, size_t *ret_length);
