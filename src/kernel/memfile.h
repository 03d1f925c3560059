/* A sealed file in memory that a child inherits, where nothing is writable. memfd_create(2). */
#pragma once

#include <stddef.h>

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
