/* The bus connection to systemd itself. org.freedesktop.systemd1(5). */
#pragma once

#include <systemd/sd-bus.h>

#define HF_SYSTEMD_NAME       "org.freedesktop.systemd1"
#define HF_SYSTEMD_PATH       "/org/freedesktop/systemd1"
#define HF_SYSTEMD_MANAGER    "org.freedesktop.systemd1.Manager"
#define HF_SYSTEMD_UNIT       "org.freedesktop.systemd1.Unit"
#define HF_SYSTEMD_SERVICE    "org.freedesktop.systemd1.Service"
#define HF_SYSTEMD_UNITS_PATH HF_SYSTEMD_PATH "/unit"

/* Through the bus daemon, or, where none runs, root as systemctl does. Calls time out after 10 s.
 * Returns 0 and an owned connection, or negative errno. */
int hf_systemd_connect(sd_bus **ret);
