/* Reads one instance for the verbs that print it. */
#pragma once

#include "cli/client.h"
#include "cli/view.h"
#include "config/options.h"

/* Connects to the instance of that name (NULL: the only one) and calls read, hf_view_read or
 * hf_view_read_history. Returns an exit status; what failed has been logged. ret_bus may be NULL,
 * else it gets the connection (owned). */
int hf_look(const char *name, int (*read)(sd_bus *bus, HfView *ret), HfView *ret, sd_bus **ret_bus);
