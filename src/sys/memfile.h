/* A sealed file in memory that a child inherits, where nothing is writable. memfd_create(2). */
#pragma once

#include <stddef.h>

/* Read-only for everybody once made (mode 0444, F_SEAL_WRITE and the like), at its beginning,
 * CLOEXEC. Returns the descriptor (owned) or negative errno. */
int hf_memfile_make(const char *name, const char *data, size_t length);
