#include "parts/control/control_parts.h"

/* There is no bus: each connection has one peer, and signals reach it without being asked for. */

static int method_hello(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)userdata;
    (void)unused;
    return sd_bus_reply_method_return(message, "s", ":1.0");
}

static int method_match(sd_bus_message *message, void *userdata, sd_bus_error *unused)
{
    (void)userdata;
    (void)unused;
    return sd_bus_reply_method_return(message, NULL);
}

const sd_bus_vtable hf_control_driver[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Hello", NULL, "s", method_hello, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("AddMatch", "s", NULL, method_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("RemoveMatch", "s", NULL, method_match, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};
