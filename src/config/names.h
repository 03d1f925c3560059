/* Names of instances and listeners, and where instances have their directories. */
#pragma once

#include <stdbool.h>

#include "config/settings.h"
#include "format/address.h"

/* Makes a name of what is none: every character outside [A-Za-z0-9._-] becomes '-', cut at
 * HF_NAME_MAX, lower case when asked for, "-" for an empty text and no leading '.'. Owned result.
 * Returns 0 or -ENOMEM. */
int hf_name_clean(const char *text, bool lower, char **ret);

/* A listener's name from its address: "127.0.0.1-9000", "9000", "run-php-www.sock". Owned. Returns
 * 0 or -ENOMEM. */
int hf_name_of_address(const HfAddress *address, char **ret);

/* Is this environment entry ("NAME=value") of a handoff or of sd_notify(3), and not the user's to
 * set: LISTEN_FD*, LISTEN_PID*, FPM_SOCKETS*, NOTIFY_SOCKET, WATCHDOG_PID, WATCHDOG_USEC, MAINPID,
 * FDSTORE, SERVER_STARTER_*, HOLDFAST_*? Other names stay, such as a user's own LISTEN_ADDRESS. */
bool hf_name_is_reserved(const char *entry);

/* The instance's name: the setting, or the base name of the command. Owned. Returns 0 or -ENOMEM.
 */
int hf_name_of_instance(const HfSettings *settings, char **ret);

#define HF_RUNTIME_BASE "/run/holdfast" /* of the system's instances */

/* The directory above those of the caller's instances. Owned. Returns 0 or -ENOMEM. */
int hf_name_of_runtime_base(char **ret);
