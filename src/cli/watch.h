/* `holdfast status --watch`. */
#pragma once

#include <stdbool.h>

/* Shows the instance (NULL: the only one) once a second, until it ends or SIGINT or SIGTERM comes.
 * Returns an exit status. */
int hf_inputs_status(const char *name, bool json);
