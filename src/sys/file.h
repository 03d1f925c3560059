/* Small files: written whole or not at all, read bounded, locked. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Writes path by way of a temporary file beside it and rename(2). */
int hf_file_write(const char *path, const char *data, size_t length, mode_t mode);

/* Reads at most maximum bytes. Owned, NUL-terminated. -EFBIG when there is more, -EISDIR, -ENOENT... */
int hf_file_read(const char *path, size_t maximum, char **ret, size_t *ret_length);

/* mkdir -p of path with mode for what is made; 0 when it stands already as a directory. A directory that is neither ours nor
 * root's, or writable by others without being sticky, is refused with -EPERM. */
int hf_file_make_directory(const char *path, mode_t mode);

/* Opens (creates) path and takes an exclusive flock(2). Returns the descriptor (owned; closing unlocks), or -EWOULDBLOCK
 * when another process holds it; *ret_holder then is the pid that stands in the file, 0 when unknown. The own pid is written
 * to the file only once the lock is held. */
int hf_file_lock(const char *path, pid_t *ret_holder);

/* Removes the files of a directory (no recursion) and the directory. */
int hf_file_remove_directory(const char *path);
